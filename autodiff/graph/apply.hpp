#pragma once

#include <functional>
#include <initializer_list>

#include "autodiff/graph/operator.hpp"
#include "autodiff/graph/recording.hpp"

namespace wengert {

/// The one entry point of every operator: check the arguments, infer the shape, compute, record.
/// `attributes` points to the operator's attribute struct (null when it has none) and is copied.
Tensor apply_op(const OperatorDefinition& op, detail::TensorImpl* const* inputs, std::uint32_t count,
                const void* attributes, const SourceLocation& where);

inline Tensor apply_op(const OperatorDefinition& op,
                       std::initializer_list<std::reference_wrapper<const Tensor>> tensors,
                       const void* attributes, const SourceLocation& where) {
  detail::TensorImpl* inputs[8];
  std::uint32_t count = 0;
  for (const Tensor& t : tensors) inputs[count++] = t.get();
  return apply_op(op, inputs, count, attributes, where);
}
Tensor apply_op(const OperatorDefinition& op, const Tensors& inputs, const void* attributes,
                const SourceLocation& where);

/// Elementwise operators on tensors and numbers: brings the operands to their common element type
/// (promote, promote_scalar; numbers become 0-d constants) and applies the operator. `at_least` is the
/// lowest type that it computes in: with float32, integers and bools become float64, as in NumPy.
Tensor apply_elementwise(const OperatorDefinition& op, const Operand& a, DType at_least = DType::bool_);
Tensor apply_elementwise(const OperatorDefinition& op, const Operand& a, const Operand& b,
                         DType at_least = DType::bool_);

namespace detail {
/// The tensor of an operand in the given element type: a recorded cast, or a 0-d constant.
Tensor as_tensor(const Operand& x, DType dtype);
/// The element type in which two operands meet.
DType common_dtype(const Operand& a, const Operand& b);
/// Errors of shape rules: "add: <problem>: a is float32[2, 3], b is float32[4] (train.cpp:41)".
[[noreturn]] void fail_shapes(const Call& call, std::string_view problem);
[[noreturn]] void fail_dtypes(const Call& call, std::string_view problem);
[[noreturn]] void fail_values(const Call& call, std::string_view problem);
/// Throws ValueError when the result has a NaN or an infinity and no input has one (CheckFinite).
void check_finite(const Call& call, const TensorImpl& out);
/// NumPy broadcasting of all inputs.
Shape broadcast_inputs(const Call& call);
/// The shape rule of elementwise operators.
Meta infer_elementwise(const Call& call);
}  // namespace detail

}  // namespace wengert
