#pragma once

#include "autodiff/tensor/axes.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup statistics Statistics
/// Reductions over axes, with the rules of the group reduction. int64 and bool compute in float64.
/// Example: Tensor z = (x - mean(x, 0, true)) / wengert::std(x, 0, true);

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

}  // namespace wengert
