#pragma once

/// \file
/// What take and take_along_axis share: attributes, checks of their shape rules, samples of positions.

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/positions.hpp"
#include "autodiff/tensor/axes.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {

struct TakeAttributes {
  std::int64_t axis;
  template <class V>
  void visit(V&& v) const {
    v("axis", axis);
  }
};

struct TransposedAttributes {
  std::int64_t axis;  // first, as in TakeAttributes
  Shape shape;
  template <class V>
  void visit(V&& v) const {
    v("shape", shape), v("axis", axis);
  }
};

inline Tensor positions_sample(const Shape& shape, std::initializer_list<std::int64_t> list) {
  return from_span<std::int64_t>(std::span(list.begin(), list.size()), shape);
}

inline int checked_axis(const Call& call, std::int64_t axis, const Shape& shape) {
  if (axis < 0 || axis >= shape.size())
    detail::fail_shapes(call, "axis " + std::to_string(axis) + " is not an axis of " + to_string(shape));
  return static_cast<int>(axis);
}
inline void need_positions(const Call& call) {
  if (call.dtype(1) != DType::int64) detail::fail_dtypes(call, "the positions must be int64");
}
inline void need_numbers(const Call& call) {
  if (call.dtype(0) == DType::bool_) detail::fail_dtypes(call, "adds entries, which bool does not");
}

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
