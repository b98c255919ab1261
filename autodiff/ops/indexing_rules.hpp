#pragma once

/// \file
/// What take and take_along_axis share: attributes, checks of their shape rules, samples of positions.

#include <optional>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/axis_attributes.hpp"
#include "autodiff/ops/positions.hpp"
#include "autodiff/tensor/axes.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {

struct TransposedAttributes {
  std::int64_t axis;  // first, as in AxisAttributes
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

/// Whether the last axis of an array of this shape is the axis, with one position in each row.
[[maybe_unused]] inline bool one_a_row(const Shape& shape, const Shape& indices, std::int64_t axis) {
  const int last = shape.size() - 1;
  if (axis != last || (indices.size() == shape.size() && indices.back() != 1)) return false;
  for (int d = 0; d < last; ++d)
    if (indices[d] != shape[d]) return false;
  return true;
}

}  // namespace WENGERT_ISA

/// Values that are zero but for one place in each row of the last axis, in a program that is being written
/// again: a one_hot, its product with one number a row, or what take_along_axis_transposed makes. The other
/// numbers are columns [..., 1], or single ones.
class Places {
 public:
  using Value = Rewriting::Value;

  /// If v is such a value.
  static std::optional<Places> of(const Rewriting& r, Value v);

  bool operator==(const Places& other) const { return from_ == other.from_; }
  bool marked() const { return marked_; }  ///< by a one_hot
  Value from() const { return from_; }     ///< that one_hot, or the positions
  Value value(Rewriting& r) const;         ///< what v holds there
  /// What x holds there. Elementwise operators that compute x, `depth` of them one behind the other, are
  /// computed there again.
  Value take(Rewriting& r, Value x, int depth = 8) const;
  Value put(Rewriting& r, Value value) const;           ///< the value there, 0 elsewhere
  Value add(Rewriting& r, Value x, Value value) const;  ///< x with the value added there
  /// The sum of v over the last axis: one number a row, or none where it is a single one for all rows.
  Value sum(Rewriting& r) const;

 private:
  Places(const Shape& shape, Value from, bool marked, Value value)
      : shape_(shape), from_(from), value_(value), marked_(marked) {}
  Value positions(Rewriting& r) const;

  Shape shape_;
  Value from_, value_;
  bool marked_;
};

/// OperatorDefinition::at_nonzero of take_along_axis_transposed, of one_hot, and of safe_multiply, by which
/// a one_hot gets other values than 1.
std::uint32_t at_places(Rewriting& r, std::uint32_t which, const OperatorDefinition& by,
                        std::span<const std::uint32_t> bounded);

}  // namespace wengert::ops
