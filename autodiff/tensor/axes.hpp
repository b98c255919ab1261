#pragma once

#include <cstdint>
#include <initializer_list>

#include "autodiff/tensor/dtype.hpp"
#include "autodiff/tensor/shape.hpp"
#include "autodiff/tensor/source_location.hpp"

namespace wengert {

/// The axes that a reduction runs over: one, several, or (default) all of them. Negative ones count from
/// the end: sum(x), sum(x, -1), sum(x, {0, 2}).
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : all_(false), list_{axis} {}
  Axes(std::initializer_list<int> axes) : all_(false) {
    for (int a : axes) list_.push_back(a);
  }
  explicit Axes(const Shape& axes) : all_(false), list_(axes) {}

  bool all() const { return all_; }
  const Shape& list() const { return list_; }

 private:
  bool all_ = true;
  Shape list_;
};

namespace detail {
/// The position, 0 .. ndim - 1, of an axis that may count from the end. Throws ShapeError
/// ("sum: axis 3 is not an axis of float32[2, 3] (train.cpp:41)").
int resolve_axis(const char* operation, std::int64_t axis, DType dtype, const Shape& shape,
                 const SourceLocation& where);
/// The same for a set; bit i stands for axis i. Throws ShapeError also when an axis comes twice.
std::uint8_t resolve_axes(const char* operation, const Axes& axes, DType dtype, const Shape& shape,
                          const SourceLocation& where);
}  // namespace detail

}  // namespace wengert
