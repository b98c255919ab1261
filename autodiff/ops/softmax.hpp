#pragma once

#include "autodiff/tensor/axes.hpp"
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

/// log(sum(exp(x))), shifted by the maximum so that no finite x overflows; int64 and bool compute in float64.
/// Entries of -inf count for nothing, and nothing else, or no entries at all, gives -inf; +inf gives +inf.
/// Derivative: softmax(x), which is 0 at entries of -inf and throughout where the result is -inf; where the
/// result is +inf it is NaN at the entries of +inf and 0 at the others.
/// Source: P. Blanchard, D. Higham, N. Higham, Accurately computing the log-sum-exp and softmax functions,
/// IMA J. Numer. Anal. 41(4), 2021. Example: logsumexp(tensor({1e4, 1e4})) is 1e4 + log(2).
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
                 SourceLocation where = SourceLocation::current());

}  // namespace wengert
