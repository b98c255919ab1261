#pragma once

#include "autodiff/tensor/axes.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup reduction Reductions
/// Each runs over one axis, several, or (default) all, and takes them out of the shape; with keepdims they
/// stay with length 1, so that the result broadcasts against x. An axis that x does not have, or that is
/// named twice, throws ShapeError. NaN anywhere gives NaN. Sums are taken over fixed trees: the rounding
/// error grows with the logarithm of the number of terms, and the same input always gives the same bits.
/// Example: Tensor centred = x - mean(x, 0, true);

/// Sum. Floating types keep theirs, int64 and bool give int64. Over no elements: 0.
/// Derivative: 1 for each entry, a view of the cotangent.
/// Source: N. J. Higham, The accuracy of floating point summation, SIAM J. Sci. Comput. 14(4), 1993.
/// Example: sum(x, {0, 2}) of a float32[2, 3, 4] is a float32[3].
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
           SourceLocation where = SourceLocation::current());
/// Sum divided by the number n of entries; int64 and bool compute in float64. Over no elements: NaN.
/// Derivative: 1 / n for each entry.
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
            SourceLocation where = SourceLocation::current());
/// The largest entry, in x's element type. Throws ValueError when an axis to reduce over has length 0.
/// Derivative: 1 for the largest entry; k entries that tie get 1 / k each. NaN throughout where the result
/// is NaN. Example: Tensor shifted = x - max(x, -1, true);
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
           SourceLocation where = SourceLocation::current());
/// The smallest entry; everything else as for max.
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
           SourceLocation where = SourceLocation::current());
/// Variance: the sum of (x - mean)^2, divided by n - ddof (by 0 when ddof exceeds n, as in NumPy).
/// ddof 0 is the mean square deviation, ddof 1 the unbiased estimate. int64 and bool compute in float64.
/// Computed in two passes, so that a large mean costs no accuracy. One entry with ddof 1 gives NaN.
/// Derivative: 2 (x - mean) / (n - ddof).
/// Source: T. Chan, G. Golub, R. LeVeque, Algorithms for computing the sample variance, Am. Stat. 37, 1983.
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdims = false, int ddof = 0,
           SourceLocation where = SourceLocation::current());
/// Standard deviation: the square root of var. Beside `using namespace wengert`, write wengert::std: the name
/// alone could also mean the standard library's namespace.
/// Derivative: (x - mean) / ((n - ddof) std); 0 for a constant vector, whose std is 0.
Tensor std(const Tensor& x, const Axes& axes = {}, bool keepdims = false, int ddof = 0,
           SourceLocation where = SourceLocation::current());
/// log(sum(exp(x))), shifted by the maximum so that no finite x overflows; int64 and bool compute in float64.
/// Entries of -inf count for nothing, and nothing else, or no entries at all, gives -inf; +inf gives +inf.
/// Derivative: softmax(x), which is 0 at entries of -inf and throughout where the result is -inf; where the
/// result is +inf it is NaN at the entries of +inf and 0 at the others.
/// Source: P. Blanchard, D. Higham, N. Higham, Accurately computing the log-sum-exp and softmax functions,
/// IMA J. Numer. Anal. 41(4), 2021. Example: logsumexp(tensor({1e4, 1e4})) is 1e4 + log(2).
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
                 SourceLocation where = SourceLocation::current());
/// Position of the first largest entry, int64; NaN counts as the largest, as in NumPy. Over all axes: in
/// row-major order. Throws ValueError when there is no entry. Derivative: 0 by definition (not recorded).
/// Example: Tensor hits = argmax(logits, -1) == labels;
Tensor argmax(const Tensor& x, SourceLocation where = SourceLocation::current());
Tensor argmax(const Tensor& x, int axis, bool keepdims = false,
              SourceLocation where = SourceLocation::current());

}  // namespace wengert
