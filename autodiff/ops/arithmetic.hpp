#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup arithmetic Arithmetic
/// All are elementwise with NumPy's broadcasting and promotion; a number takes the element type of the
/// tensor beside it. They throw ShapeError when the shapes don't broadcast. bool computes in int64.
/// Example: Tensor y = (x - mean(x)) / 2.0;

/// a + b. Derivative: 1 and 1.
Tensor add(const Operand& a, const Operand& b);
/// a - b. Derivative: 1 and -1.
Tensor subtract(const Operand& a, const Operand& b);
/// a * b. Derivative: b and a.
Tensor multiply(const Operand& a, const Operand& b);
/// a / b; integers divide in float64, as in NumPy. Derivative: 1 / b and -a / b^2.
Tensor divide(const Operand& a, const Operand& b);
/// -x. Derivative: -1.
Tensor negative(const Tensor& x, SourceLocation where = SourceLocation::current());
/// a^b. Derivative: b a^(b-1), which is 0 for b = 0, and a^b log(a), which is 0 at a = 0 for b > 0.
/// The numbers 2, 1, 0.5 and -1 as exponents are computed by square, x, sqrt and 1 / x.
/// Integers to negative powers throw ValueError.
Tensor power(const Operand& a, const Operand& b);
/// power under its C++ name.
inline Tensor pow(const Operand& a, const Operand& b) { return power(a, b); }
/// x^2. Derivative: 2 x.
Tensor square(const Tensor& x, SourceLocation where = SourceLocation::current());
/// |x|. Derivative: sign(x), 0 at 0.
Tensor abs(const Tensor& x, SourceLocation where = SourceLocation::current());
/// -1, 0 or 1. Derivative: 0 by definition.
Tensor sign(const Tensor& x, SourceLocation where = SourceLocation::current());
/// The larger; NaN when either is. Derivative: 1 for the larger, 1/2 each over ties.
Tensor maximum(const Operand& a, const Operand& b);
/// The smaller; NaN when either is. Derivative: 1 for the smaller, 1/2 each over ties.
Tensor minimum(const Operand& a, const Operand& b);
/// minimum(maximum(x, low), high). Derivative: 1 from low to high, the bounds included, 0 outside.
Tensor clip(const Operand& x, const Operand& low, const Operand& high);
/// a * b, and 0 where a is 0 whatever b is: how a cotangent meets a derivative that may be infinite.
/// Derivative: b and a.
Tensor safe_multiply(const Operand& a, const Operand& b);

inline Tensor operator+(const Operand& a, const Operand& b) { return add(a, b); }
inline Tensor operator-(const Operand& a, const Operand& b) { return subtract(a, b); }
inline Tensor operator*(const Operand& a, const Operand& b) { return multiply(a, b); }
inline Tensor operator/(const Operand& a, const Operand& b) { return divide(a, b); }
inline Tensor operator-(const Tensor& x) { return negative(x, {}); }
/// Rebinds the handle: x = x + y. Other handles of x's elements see nothing of it.
inline Tensor& operator+=(Tensor& x, const Operand& y) { return x = add(Operand(x, y.where()), y); }
inline Tensor& operator-=(Tensor& x, const Operand& y) { return x = subtract(Operand(x, y.where()), y); }
inline Tensor& operator*=(Tensor& x, const Operand& y) { return x = multiply(Operand(x, y.where()), y); }
inline Tensor& operator/=(Tensor& x, const Operand& y) { return x = divide(Operand(x, y.where()), y); }

}  // namespace wengert
