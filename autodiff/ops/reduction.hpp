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
/// Position of the first largest entry, int64; NaN counts as the largest, as in NumPy. Over all axes: in
/// row-major order. Throws ValueError when there is no entry. Derivative: 0 by definition (not recorded).
/// Example: Tensor hits = argmax(logits, -1) == labels;
Tensor argmax(const Tensor& x, SourceLocation where = SourceLocation::current());
Tensor argmax(const Tensor& x, int axis, bool keepdims = false,
              SourceLocation where = SourceLocation::current());

}  // namespace wengert
