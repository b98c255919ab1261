#pragma once

#include "autodiff/tensor/axes.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// x itself as a node of its own. Derivative: 1.
Tensor alias(const Tensor& x, SourceLocation where = SourceLocation::current());
/// x as a constant: same elements, no history. Derivative: 0 by definition.
Tensor stop_gradient(const Tensor& x, SourceLocation where = SourceLocation::current());
/// x in another element type. To integers truncates towards zero; to bool is x != 0.
/// Derivative between floating types: 1; nothing passes through integers.
Tensor cast(const Tensor& x, DType dtype, SourceLocation where = SourceLocation::current());
/// x in row-major order without gaps; x itself when it lies so already. Derivative: 1.
Tensor contiguous(const Tensor& x, SourceLocation where = SourceLocation::current());
/// The same elements in row-major order under another shape; one entry may be -1 and is worked out.
/// A view when x is contiguous, a copy otherwise. Throws ShapeError when the numbers of elements differ.
Tensor reshape(const Tensor& x, const Shape& shape, SourceLocation where = SourceLocation::current());
/// Axes in reverse order, as a view.
Tensor transpose(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Axes in the given order, a permutation of 0 .. ndim - 1 (negative ones count from the end), as a view.
Tensor transpose(const Tensor& x, const Shape& axes, SourceLocation where = SourceLocation::current());
/// Two axes exchanged, as a view.
Tensor swapaxes(const Tensor& x, int a, int b, SourceLocation where = SourceLocation::current());
/// x repeated to a larger shape by NumPy's rules, as a view with stride 0. Derivative: the sum over repeats.
Tensor broadcast_to(const Tensor& x, const Shape& shape, SourceLocation where = SourceLocation::current());
/// The sum of x over the axes along which `shape` would be repeated: the transpose of broadcast_to.
Tensor sum_to(const Tensor& x, const Shape& shape, SourceLocation where = SourceLocation::current());
/// Without axes of length 1: all of them, or the given ones (ShapeError when one is longer).
Tensor squeeze(const Tensor& x, const Axes& axes = {}, SourceLocation where = SourceLocation::current());
/// A new axis of length 1 at the position that it has in the result.
Tensor expand_dims(const Tensor& x, int axis, SourceLocation where = SourceLocation::current());
/// Tensors of equal shape but for `axis`, one after the other along it.
Tensor concatenate(const Tensors& tensors, int axis = 0, SourceLocation where = SourceLocation::current());
/// Tensors of equal shape along a new axis.
Tensor stack(const Tensors& tensors, int axis = 0, SourceLocation where = SourceLocation::current());

}  // namespace wengert
