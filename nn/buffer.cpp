#include "nn/buffer.hpp"

#include "autodiff/ops/structure.hpp"

namespace wengert::nn {

Buffer::Buffer(const Tensor& initial) : slot_(std::make_shared<Tensor>(prepare(initial))) {}

Tensor Buffer::prepare(const Tensor& value) { return contiguous(stop_gradient(value)); }

const Tensor& Buffer::value() const {
  if (slot_ == nullptr)
    throw GraphError("Buffer", "this handle is empty (default-constructed or moved from)");
  return *slot_;
}

void Buffer::set(const Tensor& value, SourceLocation where) const {
  const Tensor& old = this->value();
  const auto problem = [&] { return "the buffer is " + describe(old) + ", the value " + describe(value); };
  if (value.shape() != old.shape()) throw ShapeError("Buffer::set", problem(), where);
  if (value.dtype() != old.dtype()) throw DTypeError("Buffer::set", problem(), where);
  replace(prepare(value));
}

}  // namespace wengert::nn
