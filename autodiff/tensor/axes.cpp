#include "autodiff/tensor/axes.hpp"

#include <string>

#include "autodiff/tensor/error.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert::detail {

int resolve_axis(const char* operation, std::int64_t axis, DType dtype, const Shape& shape,
                 const SourceLocation& where) {
  const int n = shape.size();
  if (axis < -n || axis >= n)
    throw ShapeError(operation,
                     "axis " + std::to_string(axis) + " is not an axis of " + describe(dtype, shape), where);
  return static_cast<int>(axis < 0 ? axis + n : axis);
}

std::uint8_t resolve_axes(const char* operation, const Axes& axes, DType dtype, const Shape& shape,
                          const SourceLocation& where) {
  if (axes.all()) return static_cast<std::uint8_t>((1u << shape.size()) - 1);
  unsigned bits = 0;
  for (const std::int64_t axis : axes.list()) {
    const int position = resolve_axis(operation, axis, dtype, shape, where);
    if (bits >> position & 1)
      throw ShapeError(
          operation,
          "axis " + std::to_string(axis) + " comes twice among the axes of " + describe(dtype, shape), where);
    bits |= 1u << position;
  }
  return static_cast<std::uint8_t>(bits);
}

}  // namespace wengert::detail
