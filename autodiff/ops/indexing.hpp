#pragma once

#include <limits>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Python's start:stop:step along one axis, or a single position. Omitted ends are `none`.
///
///     Slice()                       :          Slice(2, Slice::none)               2:
///     Slice(2, 8)                   2:8        Slice(Slice::none, Slice::none, -1) ::-1
///     Slice(0, -1, 2)               0:-1:2     Slice(-1), or the number -1         -1
struct Slice {
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::min();
  std::int64_t start = none;
  std::int64_t stop = none;
  std::int64_t step = 1;
  bool single = false;  ///< one position: the axis disappears

  constexpr Slice() = default;
  constexpr Slice(std::int64_t first, std::int64_t last, std::int64_t by = 1)
      : start(first), stop(last), step(by) {}
  constexpr Slice(std::int64_t position) : start(position), single(true) {}
};

/// \defgroup indexing Slices and positions
/// Positions are int64 tensors (DTypeError otherwise); negative ones count from the end. A position outside
/// its axis throws IndexError with its place: "take: position 7 at indices[3, 0] is outside axis 1 of length
/// 5". The element type stays. Scatters add in the order of the positions: the same bits every time.

/// x[start:stop:step, ...] as a view; axes not named are taken whole.
/// Ranges are cut to the axis as in Python, so they may be empty; a single position outside throws
/// IndexError, step 0 ValueError, more slices than axes ShapeError. Derivative: the cotangent at the taken
/// places, 0 elsewhere (slice_to). Example: slice(x, {Slice(0, 10), -1}) is x[0:10, -1].
Tensor slice(const Tensor& x, std::initializer_list<Slice> slices,
             SourceLocation where = SourceLocation::current());
/// The same along one axis, which may count from the end (ShapeError when x does not have it).
/// Example: slice(x, -1, Slice(0, 3)) is x[..., 0:3].
Tensor slice(const Tensor& x, int axis, const Slice& range, SourceLocation where = SourceLocation::current());

/// The transpose of slice: zeros of `shape` with x at the places that the slices name. ShapeError unless x
/// has the shape that they leave. Derivative: the same slice of the cotangent. Example: slice_to(row, {3, 4},
/// {1}) has `row` as its second row.
Tensor slice_to(const Tensor& x, const Shape& shape, std::initializer_list<Slice> slices,
                SourceLocation where = SourceLocation::current());

/// Entries of x along an axis at positions of any shape: out[o..., j..., i...] = x[o..., indices[j...],
/// i...]. The result has the shape of `indices` in place of the axis. ShapeError for an axis that x does not
/// have. Derivative: take_transposed; contributions of repeated positions add up. Example: Tensor words =
/// take(embedding, tokens); // [vocabulary, n] by [batch, length]: [batch, length, n]
Tensor take(const Tensor& x, const Tensor& indices, int axis = 0,
            SourceLocation where = SourceLocation::current());

/// A position for every element: out[i, ..., j, ...] = x[i, ..., indices[i, ..., j, ...], ...] along the
/// axis. `indices` has x's number of dimensions and, but for the axis, broadcasts with x (ShapeError). Labels
/// are the exception: with the last axis, `indices` may lack it, [n] labels for [n, k] values, and so does
/// the result, [n]. Derivative: take_along_axis_transposed. Example: Tensor log_p =
/// take_along_axis(log_softmax(logits, -1), labels, -1);
Tensor take_along_axis(const Tensor& x, const Tensor& indices, int axis,
                       SourceLocation where = SourceLocation::current());

/// The transpose of take: zeros of `shape`, with x[o..., j..., i...] added at [o..., indices[j...], i...].
/// x has the shape that take gives (ShapeError) and is not bool. Derivative: take.
/// Example: take_transposed(ones({4}), tensor({0, 2, 2, 1}), {3}, 0) counts how often each position occurs.
Tensor take_transposed(const Tensor& x, const Tensor& indices, const Shape& shape, int axis,
                       SourceLocation where = SourceLocation::current());

/// The transpose of take_along_axis: zeros of `shape`, with x[i, ..., j, ...] added at
/// [i, ..., indices[i, ..., j, ...], ...], and over the axes along which `shape` would be repeated.
/// x has the shape that take_along_axis gives (ShapeError) and is not bool. Derivative: take_along_axis.
/// Example: take_along_axis_transposed(g, labels, {n, k}, -1) has g[i] at [i, labels[i]].
Tensor take_along_axis_transposed(const Tensor& x, const Tensor& indices, const Shape& shape, int axis,
                                  SourceLocation where = SourceLocation::current());

/// A new last axis of length `classes` with 1 at the given position, 0 elsewhere. Positions are 0 .. classes
/// - 1: negative ones throw IndexError here, as a label that marks "none" would otherwise become the last
/// class. ValueError for a negative number of classes. Derivative: 0 by definition. Example:
/// one_hot(tensor({1, 0}), 3) is {{0, 1, 0}, {1, 0, 0}}.
Tensor one_hot(const Tensor& indices, std::int64_t classes, DType dtype = DType::float32,
               SourceLocation where = SourceLocation::current());

}  // namespace wengert
