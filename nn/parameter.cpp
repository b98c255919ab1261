#include "nn/parameter.hpp"

#include <algorithm>

#include "autodiff/ops/structure.hpp"

namespace wengert::nn {

void Parameter::throw_empty() {
  throw GraphError("Parameter", "this handle is empty (default-constructed or moved from)");
}

Tensor Parameter::prepare(Tensor value) {
  if (!value.is_contiguous()) value = contiguous(value);
  // A constant that nobody else holds becomes the variable itself, without a second header.
  wengert::detail::TensorImpl& impl = value.impl();
  if (impl.counts.load() == wengert::detail::TensorImpl::one_handle && impl.op == nullptr &&
      is_floating(impl.dtype)) {
    impl.requires_grad = true;
    return value;
  }
  return variable(value);
}

Parameter::Parameter(Tensor initial, SourceLocation where) {
  if (!is_floating(initial.dtype()))
    throw DTypeError("Parameter", "must be float32 or float64, got " + describe(initial), where);
  state_ = State(prepare(std::move(initial)));
}

void Parameter::set(Tensor value, SourceLocation where) {
  const Tensor& old = this->value();
  if (!value.defined()) throw GraphError("Parameter::set", "the value is an empty tensor", where);
  const auto problem = [&] { return "the parameter is " + describe(old) + ", the value " + describe(value); };
  if (value.shape() != old.shape()) throw ShapeError("Parameter::set", problem(), where);
  if (value.dtype() != old.dtype()) throw DTypeError("Parameter::set", problem(), where);
  replace(prepare(std::move(value)));
}

Tensor Parameter::converted(DType dtype, SourceLocation where) const {
  if (!is_floating(dtype))
    throw DTypeError("Parameter::to", "must be float32 or float64, got " + std::string(name(dtype)), where);
  return dtype == value().dtype() ? value() : prepare(cast(stop_gradient(value()), dtype));
}

bool Parameters::contains(const Parameter& p) const {
  return std::find(list_.begin(), list_.end(), p) != list_.end();
}

Parameters::operator Tensors() const {
  Tensors values;
  values.reserve(list_.size());
  for (const Parameter& p : list_) values.push_back(p.value());
  return values;
}

}  // namespace wengert::nn
