#include "autodiff/graph/apply.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "autodiff/graph/tracer.hpp"

namespace wengert {
namespace detail {
namespace {

[[noreturn]] [[gnu::cold]] void fail_arguments(const OperatorDefinition& op, TensorImpl* const* inputs,
                                               std::uint32_t count, const SourceLocation& where) {
  for (std::uint32_t i = 0; i < count; ++i)
    if (inputs[i] == nullptr)
      throw GraphError(op.name, "argument " + std::to_string(i) + " is an empty tensor", where);
  if (op.attributes != nullptr && count >= static_cast<std::uint32_t>(op.min_inputs) &&
      count <= static_cast<std::uint32_t>(op.max_inputs))
    throw ValueError(op.name, "called without its attributes", where);
  throw ValueError(op.name,
                   "takes " + std::to_string(op.min_inputs) +
                       (op.max_inputs > op.min_inputs ? " to " + std::to_string(op.max_inputs) : "") +
                       " tensors, got " + std::to_string(count),
                   where);
}

std::string describe_inputs(const Call& call) {
  std::string text;
  for (std::uint32_t i = 0; i < call.count; ++i) {
    if (i > 0) text += ", ";
    if (call.count <= 3) text += std::string(1, call.count == 1 ? 'x' : static_cast<char>('a' + i)) + " is ";
    text += describe(call.dtype(i), call.shape(i));
  }
  return text;
}

// A tensor that is recorded keeps its inputs: with their values where the derivative rule reads them.
[[gnu::always_inline]] inline void record(const OperatorDefinition& op, TensorImpl* const* inputs,
                                          std::uint32_t count, const void* attributes,
                                          const SourceLocation& where, TensorImpl& out) {
  out.inputs = out.few_inputs;
  if (count > TensorImpl::inline_inputs) {
    out.inputs = static_cast<TensorImpl**>(std::malloc(count * sizeof(TensorImpl*)));
    if (out.inputs == nullptr) throw std::bad_alloc();
  }
  if (op.attributes != nullptr && attributes != nullptr) {
    out.attributes = out.few_attributes;
    if (op.attributes->size > sizeof out.few_attributes) {
      out.attributes = static_cast<std::byte*>(std::malloc(op.attributes->size));
      if (out.attributes == nullptr) throw std::bad_alloc();
    }
    std::memcpy(out.attributes, attributes, op.attributes->size);
  }
  out.value_inputs = recording.keep_values ? ~0u : op.reads_inputs;
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool reads = out.value_inputs >> (i < 31 ? i : 31) & 1;
    inputs[i]->counts.add(reads ? TensorImpl::one_handle : TensorImpl::one_node);
    out.inputs[i] = inputs[i];
  }
  out.input_count = count;
  out.op = &op;
  out.where = where;
  out.requires_grad = true;
  if (op.reads_output || recording.keep_values) {
    out.reads_output = true;
    out.counts.add(TensorImpl::one_value);
  }
}

template <class T>
bool all_finite(const T* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    if (!std::isfinite(values[i])) return false;
  return true;
}

bool all_finite(const TensorImpl& x) {
  if (!is_floating(x.dtype)) return true;
  const bool single = x.dtype == DType::float32;
  if (x.contiguous) return single ? all_finite(x.as<float>(), x.size) : all_finite(x.as<double>(), x.size);
  std::int64_t at[max_ndim] = {};
  std::int64_t place = 0;
  for (std::int64_t n = 0; n < x.size; ++n) {
    if (!(single ? std::isfinite(x.as<float>()[place]) : std::isfinite(x.as<double>()[place]))) return false;
    for (int d = x.shape.size() - 1; d >= 0; --d) {
      place += x.strides[d];
      if (++at[d] < x.shape[d]) break;
      place -= x.strides[d] * x.shape[d];
      at[d] = 0;
    }
  }
  return true;
}

}  // namespace

void record_node(const Call& call, TensorImpl& result) {
  record(call.op, call.inputs, call.count, call.attributes, call.where, result);
}

[[gnu::cold]] void check_finite(const Call& call, const TensorImpl& out) {
  if (all_finite(out)) return;
  for (std::uint32_t i = 0; i < call.count; ++i)
    if (!all_finite(call[i])) return;
  throw ValueError(call.op.name, "finite inputs gave a result with NaN or infinity: " + describe_inputs(call),
                   call.where);
}

void fail_shapes(const Call& call, std::string_view problem) {
  throw ShapeError(call.op.name, std::string(problem) + ": " + describe_inputs(call), call.where);
}
void fail_dtypes(const Call& call, std::string_view problem) {
  throw DTypeError(call.op.name, std::string(problem) + ": " + describe_inputs(call), call.where);
}
void fail_values(const Call& call, std::string_view problem) {
  throw ValueError(call.op.name, std::string(problem) + ": " + describe_inputs(call), call.where);
}

Shape broadcast_inputs(const Call& call) {
  Shape shape = call.shape(0);
  for (std::uint32_t i = 1; i < call.count; ++i) {
    const Shape& other = call.shape(i);
    if (other.empty() || shape == other) continue;
    Shape both;
    if (!broadcast(shape, other, both)) fail_shapes(call, "the shapes don't broadcast");
    shape = both;
  }
  return shape;
}

Meta infer_elementwise(const Call& call) {
  return {call.op.boolean_result ? DType::bool_ : call.dtype(0), broadcast_inputs(call)};
}

namespace {

// The result's header. Elementwise operators whose inputs have one shape, or are numbers or rows beside it,
// need no general shape rule: they are most calls of a small network.
[[gnu::always_inline]] inline TensorImpl* new_result(const Call& call) {
  const OperatorDefinition& op = call.op;
  if (op.elementwise) {
    const Shape* whole = &call.shape(0);
    bool same = true;
    for (std::uint32_t i = 1; i < call.count; ++i) {
      const Shape* shape = &call.shape(i);
      if (shape->size() > whole->size()) std::swap(shape, whole);
      same &= ends_with(*whole, *shape);
    }
    if (same) return new_tensor(op.boolean_result ? DType::bool_ : call.dtype(0), *whole);
  }
  const Meta meta = op.infer(call);
  return op.view ? op.view(call, meta) : new_tensor(meta.dtype, meta.shape);
}

[[gnu::cold, gnu::noinline]] Tensor trace(const Call& call, bool requires_grad) {
  if (recording.tracer == nullptr)
    throw GraphError(call.op.name, "an argument was made by a capture that has ended: it has no value",
                     call.where);
  Tensor out = Tensor::adopt(recording.tracer->apply(call));
  if (requires_grad && call.op.differentiable && recording.enabled)
    record(call.op, call.inputs, call.count, call.attributes, call.where, *out.get());
  return out;
}

}  // namespace
}  // namespace detail

Tensor Call::input(std::uint32_t i) const {
  if (!(op.reads_inputs >> (i < 31 ? i : 31) & 1))
    throw GraphError(op.name, "a derivative rule reads input " + std::to_string(i) + " without declaring it",
                     where);
  return Tensor::share(inputs[i]);
}

Tensor Call::output() const {
  if (!op.reads_output)
    throw GraphError(op.name, "a derivative rule reads the result without declaring it", where);
  return Tensor::share(result);
}

Tensor apply_op(const OperatorDefinition& op, detail::TensorImpl* const* inputs, std::uint32_t count,
                const void* attributes, const SourceLocation& where) {
  if (count < static_cast<std::uint32_t>(op.min_inputs) ||
      count > static_cast<std::uint32_t>(op.max_inputs) ||
      (op.attributes != nullptr && attributes == nullptr))
    detail::fail_arguments(op, inputs, count, where);
  bool requires_grad = false;
  std::uint32_t traced = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (inputs[i] == nullptr) detail::fail_arguments(op, inputs, count, where);
    requires_grad |= inputs[i]->requires_grad;
    traced |= inputs[i]->trace;
  }
  const Call call{op, inputs, count, attributes, where};
  if (traced != 0 || detail::recording.tracer != nullptr) [[unlikely]]
    return detail::trace(call, requires_grad);
  Tensor out = Tensor::adopt(detail::new_result(call));
  if (op.kernel != nullptr)
    op.kernel(call, *out.get());
  else if (op.body)
    op.body(call, *out.get());
  if (requires_grad && op.differentiable && detail::recording.enabled)
    detail::record(op, inputs, count, attributes, where, *out.get());
  if (detail::recording.check_finite) detail::check_finite(call, *out.get());
  return out;
}

Tensor apply_op(const OperatorDefinition& op, const Tensors& tensors, const void* attributes,
                const SourceLocation& where) {
  static_assert(sizeof(Tensor) == sizeof(detail::TensorImpl*));
  std::vector<detail::TensorImpl*> inputs;
  inputs.reserve(tensors.size());
  for (const Tensor& t : tensors) inputs.push_back(t.get());
  return apply_op(op, inputs.data(), static_cast<std::uint32_t>(inputs.size()), attributes, where);
}

namespace detail {

Tensor as_tensor(const Operand& x, DType dtype) {
  if (!x.is_tensor()) return scalar(x, dtype);
  if (x.tensor().dtype() == dtype) return x.tensor();
  static const OperatorDefinition& cast = *find_operator("cast");
  return apply_op(cast, {x.tensor()}, &dtype, x.where());
}

DType common_dtype(const Operand& a, const Operand& b) {
  if (a.is_tensor() && b.is_tensor()) return promote(a.tensor().dtype(), b.tensor().dtype());
  if (a.is_tensor()) return promote_scalar(a.tensor().dtype(), b.kind());
  if (b.is_tensor()) return promote_scalar(b.tensor().dtype(), a.kind());
  const DType kind = promote(a.kind(), b.kind());
  return kind == DType::float64 ? DType::float32 : kind;
}

}  // namespace detail

namespace {

// Integers and bools that a floating operator computes become float64, as in NumPy.
DType lift(DType dtype, DType at_least) {
  if (dtype >= at_least) return dtype;
  return is_floating(at_least) ? DType::float64 : at_least;
}

}  // namespace

namespace {

void need_tensor(const OperatorDefinition& op, const Operand& x, int argument) {
  if (x.is_tensor() && !x.tensor().defined())
    throw GraphError(op.name, "argument " + std::to_string(argument) + " is an empty tensor", x.where());
}

}  // namespace

Tensor apply_elementwise(const OperatorDefinition& op, const Operand& a, DType at_least) {
  if (a.is_tensor() && a.tensor().defined() && a.tensor().dtype() >= at_least) {
    detail::TensorImpl* inputs[] = {a.tensor().get()};
    return apply_op(op, inputs, 1, nullptr, a.where());
  }
  need_tensor(op, a, 0);
  if (a.is_tensor()) {
    const Tensor x = detail::as_tensor(a, lift(a.tensor().dtype(), at_least));
    return apply_op(op, {x}, nullptr, a.where());
  }
  const Tensor x = detail::scalar(a, promote_scalar(at_least, a.kind()));
  return apply_op(op, {x}, nullptr, a.where());
}

Tensor apply_elementwise(const OperatorDefinition& op, const Operand& a, const Operand& b, DType at_least) {
  if (a.is_tensor() && b.is_tensor()) {
    detail::TensorImpl* inputs[] = {a.tensor().get(), b.tensor().get()};
    if (inputs[0] == nullptr || inputs[1] == nullptr) return apply_op(op, inputs, 2, nullptr, a.where());
    if (inputs[0]->dtype == inputs[1]->dtype && inputs[0]->dtype >= at_least)
      return apply_op(op, inputs, 2, nullptr, a.where());
  }
  need_tensor(op, a, 0);
  need_tensor(op, b, 1);
  const DType dtype = lift(detail::common_dtype(a, b), at_least);
  const Tensor x = detail::as_tensor(a, dtype);
  const Tensor y = detail::as_tensor(b, dtype);
  detail::TensorImpl* inputs[] = {x.get(), y.get()};
  return apply_op(op, inputs, 2, nullptr, a.where());
}

namespace {

// Elementwise operators bring all operands to one element type. Others keep integers and bools, which are
// positions or masks to them, and bring floating operands and numbers to one floating type.
DType element_type(const OperatorDefinition& op, std::initializer_list<const Operand*> operands) {
  DType dtype = DType::bool_;
  bool any = false;
  for (const Operand* x : operands) {
    if (!x->is_tensor()) continue;
    if (!x->tensor().defined()) throw GraphError(op.name, "an argument is an empty tensor", x->where());
    if (!op.elementwise && !is_floating(x->tensor().dtype())) continue;
    dtype = any ? promote(dtype, x->tensor().dtype()) : x->tensor().dtype();
    any = true;
  }
  if (!any) dtype = DType::float32;
  for (const Operand* x : operands)
    if (!x->is_tensor()) dtype = promote_scalar(dtype, x->kind());
  return dtype;
}

Tensor as_argument(const OperatorDefinition& op, const Operand& x, DType dtype) {
  const bool as_it_is = x.is_tensor() && !op.elementwise && !is_floating(x.tensor().dtype());
  return as_it_is ? x.tensor() : detail::as_tensor(x, dtype);
}

}  // namespace

Tensor Operator::operator()(const Operand& x) const {
  const DType dtype = element_type(*definition_, {&x});
  return apply_op(*definition_, {as_argument(*definition_, x, dtype)}, nullptr, x.where());
}
Tensor Operator::operator()(const Operand& a, const Operand& b) const {
  const DType dtype = element_type(*definition_, {&a, &b});
  return apply_op(*definition_, {as_argument(*definition_, a, dtype), as_argument(*definition_, b, dtype)},
                  nullptr, a.where());
}
Tensor Operator::operator()(const Operand& a, const Operand& b, const Operand& c) const {
  const DType dtype = element_type(*definition_, {&a, &b, &c});
  return apply_op(*definition_,
                  {as_argument(*definition_, a, dtype), as_argument(*definition_, b, dtype),
                   as_argument(*definition_, c, dtype)},
                  nullptr, a.where());
}

}  // namespace wengert
