#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup softmax Softmax
/// Along one axis, shifted by its largest entry, so that logits of any finite size give finite results.
/// Shape and element type stay; int64 and bool compute in float64. ShapeError for an axis that x does not
/// have. An entry of -inf is a mask: probability 0, derivative 0. A row of nothing but masks is NaN, and only
/// that row. Source: as for logsumexp.

/// exp(x) / sum(exp(x)). Derivative: y (g - sum(g y)).
/// Example: Tensor p = softmax(logits);
Tensor softmax(const Tensor& x, int axis = -1, SourceLocation where = SourceLocation::current());
/// x - logsumexp(x), without going through softmax, whose small entries would round to 0.
/// Derivative: g - exp(y) sum(g).
/// Example: Tensor loss = -mean(take_along_axis(log_softmax(logits), labels, -1));
Tensor log_softmax(const Tensor& x, int axis = -1, SourceLocation where = SourceLocation::current());

}  // namespace wengert
