#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup math Elementary functions
/// Elementwise on floating tensors; int64 and bool compute in float64, as in NumPy. NaN stays NaN.
/// Where a derivative is infinite, a zero cotangent still gives zero.
/// Example: Tensor y = exp(-square(x));

/// e^x. Derivative: e^x.
Tensor exp(const Tensor& x, SourceLocation where = SourceLocation::current());
/// e^x - 1, exact near 0. Derivative: e^x.
Tensor expm1(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Natural logarithm; -inf at 0, NaN below. Derivative: 1 / x.
Tensor log(const Tensor& x, SourceLocation where = SourceLocation::current());
/// log(1 + x), exact near 0. Derivative: 1 / (1 + x).
Tensor log1p(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Square root; NaN below 0. Derivative: 1 / (2 sqrt(x)), +inf at 0.
Tensor sqrt(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Sine of an angle in radians; NaN at infinities. Derivative: cos(x).
Tensor sin(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Cosine of an angle in radians; NaN at infinities. Derivative: -sin(x).
Tensor cos(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Hyperbolic tangent. Derivative: 1 - tanh(x)^2.
Tensor tanh(const Tensor& x, SourceLocation where = SourceLocation::current());
/// 1 / (1 + e^-x), without overflow. Derivative: y (1 - y).
Tensor sigmoid(const Tensor& x, SourceLocation where = SourceLocation::current());
/// log(1 + e^x), without overflow: softplus(89) is 89. Derivative: sigmoid(x).
Tensor softplus(const Tensor& x, SourceLocation where = SourceLocation::current());
/// max(x, 0). Derivative: 1 above 0, 0 at 0 and below.
/// Source: V. Nair, G. Hinton, Rectified linear units improve restricted Boltzmann machines, ICML 2010.
Tensor relu(const Tensor& x, SourceLocation where = SourceLocation::current());
/// x above 0, slope * x at 0 and below. Derivative: 1 or slope; at 0 the slope.
/// Source: A. Maas, A. Hannun, A. Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.
Tensor leaky_relu(const Operand& x, const Operand& slope = 0.01);

}  // namespace wengert
