#pragma once

#include "autodiff/tensor/axes.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup structure Structure
/// Other arrangements of the same elements, of any element type. "As a view" means that nothing is copied:
/// the result shares the elements with x, which nothing ever changes. Axes may be negative and then count
/// from the end; ShapeError names one that is not there. All are linear: what the derivative says of the
/// cotangent holds at every order. Names and rules are NumPy's.

/// x itself as a node of its own, as a view. Derivative: 1.
/// Example: the gradient at alias(x) is that of this use of x alone.
Tensor alias(const Tensor& x, SourceLocation where = SourceLocation::current());
/// x as a constant: the same elements as a view, no history. Derivative: 0 by definition.
/// Example: Tensor target = reward + 0.9 * stop_gradient(value);
Tensor stop_gradient(const Tensor& x, SourceLocation where = SourceLocation::current());
/// x in another element type; x itself when it has that one. Floating values become int64 by truncation
/// towards zero (NaN and what does not fit: the smallest int64) and bool as x != 0; float64 is rounded to
/// float32. Derivative between floating types: the cotangent cast back; nothing passes through int64 and
/// bool. Example: Tensor accuracy = mean(cast(argmax(logits, -1) == labels, DType::float32));
Tensor cast(const Tensor& x, DType dtype, SourceLocation where = SourceLocation::current());
/// x in row-major order without gaps; x itself when it lies so already. Derivative: 1.
/// Example: contiguous(transpose(x)).span<float>().
Tensor contiguous(const Tensor& x, SourceLocation where = SourceLocation::current());

/// The same elements in row-major order under another shape; one entry may be -1 and is worked out.
/// A view wherever strides can express it (always for a contiguous x), a copy otherwise; x itself when it has
/// that shape. Throws ShapeError when the numbers of elements differ, or the -1 has no or several solutions.
/// Derivative: the cotangent reshaped back. Example: reshape(images, {-1, 28 * 28}).
Tensor reshape(const Tensor& x, const Shape& shape, SourceLocation where = SourceLocation::current());
/// Without axes of length 1: all of them, or the given ones (ShapeError when one is longer). A view as for
/// reshape; x itself when nothing goes. Derivative: the cotangent reshaped back.
/// Example: squeeze(ones({1, 3, 1}), 0) is [3, 1].
Tensor squeeze(const Tensor& x, const Axes& axes = {}, SourceLocation where = SourceLocation::current());
/// A new axis of length 1 at the position that it has in the result (-1: the last), as a view.
/// Derivative: the cotangent reshaped back. Example: x - expand_dims(mean(x, 1), 1).
Tensor expand_dims(const Tensor& x, int axis, SourceLocation where = SourceLocation::current());

/// Axes in reverse order, as a view. Derivative: the transpose of the cotangent.
/// Example: matmul(transpose(x), y) multiplies without a copy.
Tensor transpose(const Tensor& x, SourceLocation where = SourceLocation::current());
/// Axes in the given order, as a view: axis i of the result is axis axes[i] of x. Throws ShapeError unless
/// `axes` is a permutation of x's. Derivative: the cotangent with its axes put back.
/// Example: transpose(images, {0, 3, 1, 2}) takes channels from the end to the front.
Tensor transpose(const Tensor& x, const Shape& axes, SourceLocation where = SourceLocation::current());
/// The same for axes in braces, where {0, 1} could also be read as a file and a line.
inline Tensor transpose(const Tensor& x, std::initializer_list<std::int64_t> axes,
                        SourceLocation where = SourceLocation::current()) {
  return transpose(x, Shape(axes), where);
}
/// Two axes exchanged, as a view. Derivative: the same exchange of the cotangent.
/// Example: swapaxes(x, -1, -2) transposes each matrix of a batch.
Tensor swapaxes(const Tensor& x, int a, int b, SourceLocation where = SourceLocation::current());

/// x repeated to a larger shape by NumPy's rules, as a view with stride 0 along what repeats. Throws
/// ShapeError when the shapes don't fit. Derivative: sum_to of the cotangent. Example: broadcast_to(bias,
/// {64, 10}).
Tensor broadcast_to(const Tensor& x, const Shape& shape, SourceLocation where = SourceLocation::current());
/// The transpose of broadcast_to: the sum of x over the axes along which `shape` would be repeated to x's
/// shape (ShapeError when it can't be). Derivative: broadcast_to of the cotangent.
/// Example: sum_to(g, {10}) of a float32[64, 10] sums over its rows.
Tensor sum_to(const Tensor& x, const Shape& shape, SourceLocation where = SourceLocation::current());

/// One tensor after the other along an axis; at least one (ValueError), of equal shape but for that axis
/// (ShapeError names the piece), brought to their common element type. Zero-size pieces are allowed.
/// Derivative: each piece gets its slice of the cotangent. Example: concatenate({hidden, input}, -1).
Tensor concatenate(const Tensors& tensors, int axis = 0, SourceLocation where = SourceLocation::current());
/// Tensors of equal shape (ShapeError names the piece) along a new axis, at the position that it has in the
/// result; element types as in concatenate. Derivative: each gets its entry of the cotangent.
/// Example: stack({x, y}, -1) of two [n] tensors is [n, 2].
Tensor stack(const Tensors& tensors, int axis = 0, SourceLocation where = SourceLocation::current());

}  // namespace wengert
