#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup logic Comparisons, logic, choice
/// Elementwise with broadcasting; the result is bool. Derivative: 0 by definition (not recorded).
/// Comparisons with NaN are false, except not_equal. Example: Tensor hits = argmax(logits, -1) == labels;

Tensor equal(const Operand& a, const Operand& b);
Tensor not_equal(const Operand& a, const Operand& b);
Tensor less(const Operand& a, const Operand& b);
Tensor less_equal(const Operand& a, const Operand& b);
Tensor greater(const Operand& a, const Operand& b);
Tensor greater_equal(const Operand& a, const Operand& b);
/// Of any element type; everything but 0 counts as true.
Tensor logical_and(const Operand& a, const Operand& b);
Tensor logical_or(const Operand& a, const Operand& b);
Tensor logical_not(const Tensor& x, SourceLocation where = SourceLocation::current());
/// a where `condition` (bool, DTypeError otherwise) holds, b elsewhere; all three broadcast.
/// Derivative: the cotangent for the chosen branch, exactly 0 for the other, whatever its own derivative is.
Tensor where(const Tensor& condition, const Operand& a, const Operand& b);

inline Tensor operator==(const Operand& a, const Operand& b) { return equal(a, b); }
inline Tensor operator!=(const Operand& a, const Operand& b) { return not_equal(a, b); }
inline Tensor operator<(const Operand& a, const Operand& b) { return less(a, b); }
inline Tensor operator<=(const Operand& a, const Operand& b) { return less_equal(a, b); }
inline Tensor operator>(const Operand& a, const Operand& b) { return greater(a, b); }
inline Tensor operator>=(const Operand& a, const Operand& b) { return greater_equal(a, b); }
inline Tensor operator&(const Operand& a, const Operand& b) { return logical_and(a, b); }
inline Tensor operator|(const Operand& a, const Operand& b) { return logical_or(a, b); }
inline Tensor operator!(const Tensor& x) { return logical_not(x, {}); }

}  // namespace wengert
