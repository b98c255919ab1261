#pragma once

/// \file
/// Which axes a reduction walks, in which order: the part of reduce.hpp that knows no element type.

#include <cstdint>

#include "autodiff/kernels/isa.hpp"
#include "autodiff/tensor/shape.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace reduction {

/// One axis, or several joined ones. Strides count elements; `out` is 0 for a reduced axis.
struct Axis {
  std::int64_t size = 1, in = 1, out = 0;
  bool reduced = true;
};

struct Plan {
  Axis axes[max_ndim];  ///< by increasing stride of the input: axes[0] is the innermost; at least one
  int count = 0;
  std::int64_t outputs = 1, inputs_per_output = 1;
  bool empty = false;  ///< outputs of no input at all
};

inline Plan make_plan(const Shape& shape, const Strides& strides, unsigned reduced_axes) {
  const auto magnitude = [](std::int64_t s) { return s < 0 ? -s : s; };
  // A repeated axis (stride 0) reads the same memory again and again: it belongs outside.
  const auto order = [&](const Axis& a) { return a.in == 0 ? INT64_MAX : magnitude(a.in); };
  Plan plan;
  for (int i = shape.size() - 1; i >= 0; --i) {
    const bool reduced = reduced_axes >> i & 1;
    const Axis axis = {shape[i], strides[i], reduced ? 0 : plan.outputs, reduced};
    (reduced ? plan.inputs_per_output : plan.outputs) *= shape[i];
    if (axis.size == 1) continue;
    int at = plan.count++;
    for (; at > 0 && order(plan.axes[at - 1]) > order(axis); --at) plan.axes[at] = plan.axes[at - 1];
    plan.axes[at] = axis;
  }
  plan.empty = plan.inputs_per_output == 0;
  int joined = 0;
  for (int i = 1; i < plan.count; ++i) {
    Axis& inner = plan.axes[joined];
    const Axis& outer = plan.axes[i];
    if (inner.reduced == outer.reduced && outer.in == inner.in * inner.size &&
        outer.out == inner.out * inner.size)
      inner.size *= outer.size;
    else
      plan.axes[++joined] = outer;
  }
  plan.count = plan.count == 0 ? 0 : joined + 1;
  if (plan.count == 0) plan.axes[plan.count++] = Axis{};  // one element
  return plan;
}

/// Walks over the kept or the reduced axes of a plan, from axes[first] on, in a fixed order; starts anew
/// after the last step.
struct Walk {
  Axis axes[max_ndim];
  std::int64_t index[max_ndim];
  int count = 0;
  std::int64_t in = 0, out = 0;

  WENGERT_INLINE Walk(const Plan& plan, bool reduced, int first) {
    for (int i = first; i < plan.count; ++i)
      if (plan.axes[i].reduced == reduced) {
        index[count] = 0;
        axes[count++] = plan.axes[i];
      }
  }
  WENGERT_INLINE bool next() {
    for (int d = 0; d < count; ++d) {
      in += axes[d].in;
      out += axes[d].out;
      if (++index[d] < axes[d].size) return true;
      in -= axes[d].in * axes[d].size;
      out -= axes[d].out * axes[d].size;
      index[d] = 0;
    }
    return false;
  }
};

}  // namespace reduction
}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
