#pragma once

#include <limits>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Python's start:stop:step along one axis, or a single position. Omitted ends are `none`.
struct Slice {
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::min();
  std::int64_t start = none;
  std::int64_t stop = none;
  std::int64_t step = 1;
  bool single = false;  ///< one position: the axis disappears

  constexpr Slice() = default;
  constexpr Slice(std::int64_t first, std::int64_t last, std::int64_t by = 1)
      : start(first), stop(last), step(by) {}
  constexpr Slice(int position) : start(position), single(true) {}
};

/// x[start:stop:step, ...] as a view; axes not named are taken whole. Negative positions count from the end,
/// ranges are cut to the axis as in Python; a single position outside throws IndexError.
/// Derivative: the cotangent at the taken places, 0 elsewhere.
/// Example: slice(x, {Slice(0, 10), -1}) is x[0:10, -1].
Tensor slice(const Tensor& x, std::initializer_list<Slice> slices,
             SourceLocation where = SourceLocation::current());
/// The transpose of slice: zeros of `shape` with x at the places that the slices name.
Tensor slice_to(const Tensor& x, const Shape& shape, std::initializer_list<Slice> slices,
                SourceLocation where = SourceLocation::current());
/// Entries of x along an axis at integer positions of any shape: out = x[..., indices, ...].
/// Derivative: contributions of repeated positions add up, in order. Throws IndexError.
Tensor take(const Tensor& x, const Tensor& indices, int axis = 0,
            SourceLocation where = SourceLocation::current());
/// out[i, ..., j, ...] = x[i, ..., indices[i, ..., j, ...], ...] along the axis. `indices` has x's number of
/// dimensions and, but for the axis, broadcasts with it; a missing axis at the end ([n] labels for [n, k]
/// values) is accepted for axis -1 and disappears from the result. Derivative: as for take.
Tensor take_along_axis(const Tensor& x, const Tensor& indices, int axis,
                       SourceLocation where = SourceLocation::current());
/// The transpose of take (used by its derivative): zeros of `shape`, to which x's entries are added.
Tensor take_transposed(const Tensor& x, const Tensor& indices, const Shape& shape, int axis,
                       SourceLocation where = SourceLocation::current());
/// The transpose of take_along_axis.
Tensor take_along_axis_transposed(const Tensor& x, const Tensor& indices, const Shape& shape, int axis,
                                  SourceLocation where = SourceLocation::current());
/// A new last axis of length `classes` with 1 at the given position. Derivative: 0 by definition.
Tensor one_hot(const Tensor& indices, std::int64_t classes, DType dtype = DType::float32,
               SourceLocation where = SourceLocation::current());

}  // namespace wengert
