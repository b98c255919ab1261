#pragma once

/// \file
/// Positions of extremes along one axis.
///
///     argmax(out, in, shape, strides, axis)      argmin(out, in, shape, strides, axis)
///
/// `out` (int64) is contiguous over the other axes; the first of equal extremes counts, a NaN counts as the
/// extreme, as in NumPy. The axis is not empty. For the position in the whole array pass it as one axis.

#include "autodiff/kernels/reduce.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace reduction {

template <class Op, class T>
WENGERT_INLINE bool replaces(T x, T best) {
  const bool beyond = std::is_same_v<Op, Max> ? x > best : x < best;
  return beyond | ((x != x) & (best == best));
}

/// Where `value`, or NaN when it is one, stands first.
template <class T>
WENGERT_INLINE std::int64_t position(const T* p, std::int64_t n, T value) {
  using V = Native<T>;
  const V wanted(value);
  for (std::int64_t j = 0; j < n; j += V::width) {
    const V x = V::load(p + j);
    if (any(value == value ? x == wanted : x != x))
      for (std::int64_t k = j; k < n && k < j + V::width; ++k)
        if (value == value ? p[k] == value : p[k] != p[k]) return k;
  }
  return 0;
}

template <class Op, class T>
void extreme_positions(std::int64_t* out, const T* in, const Shape& shape, const Strides& strides, int axis) {
  const Plan plan = make_plan(shape, strides, 1u << axis);
  if (plan.outputs == 0) return;
  const Axis inner = plan.axes[0];
  if (inner.reduced) {
    Walk kept(plan, false, 1);
    do {
      const T* p = in + kept.in;
      if (inner.in == 1) {
        const T extreme =
            first_lane<T>(across(Op{}, row_lanes(Op{}, Identity{}, p, inner.size, Native<T>(T(0)))));
        out[kept.out] = position(p, inner.size, extreme);
      } else {
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < inner.size; ++k)
          if (replaces<Op>(p[k * inner.in], p[best * inner.in])) best = k;
        out[kept.out] = best;
      }
    } while (kept.next());
    return;
  }
  constexpr int panel = panel_bytes / sizeof(T);
  alignas(64) T best[panel];
  alignas(64) T at[panel];
  std::int64_t where_best[panel];
  Walk kept(plan, false, 1);
  Axis along;
  for (int i = 0; i < plan.count; ++i)
    if (plan.axes[i].reduced) along = plan.axes[i];
  // Positions fit into lanes of T while T holds them exactly.
  const bool registers = vectorised<T> && inner.in == 1 && along.size < std::int64_t(1) << 24;
  do {
    for (std::int64_t start = 0; start < inner.size; start += panel) {
      const int n = static_cast<int>(inner.size - start < panel ? inner.size - start : panel);
      const T* p = in + kept.in + start * inner.in;
      for (int j = 0; j < n; ++j) best[j] = p[j * inner.in], at[j] = T(0), where_best[j] = 0;
      for (std::int64_t r = 1; r < along.size; ++r) {
        const T* q = p + r * along.in;
        if (registers) {
          using V = Native<T>;
          for (int j = 0; j < n; j += V::width) {
            const V x = V::load(q + j), b = V::load(best + j);
            const auto better = (std::is_same_v<Op, Max> ? x > b : x < b) | (isnan(x) & !isnan(b));
            where(better, x, b).store(best + j);
            where(better, V(r), V::load(at + j)).store(at + j);
          }
          continue;
        }
        for (int j = 0; j < n; ++j)
          if (const T x = q[j * inner.in]; replaces<Op>(x, best[j])) best[j] = x, where_best[j] = r;
      }
      for (int j = 0; j < n; ++j)
        out[kept.out + (start + j) * inner.out] =
            registers ? static_cast<std::int64_t>(at[j]) : where_best[j];
    }
  } while (kept.next());
}

}  // namespace reduction

template <class T>
inline void argmax(std::int64_t* out, const T* in, const Shape& shape, const Strides& strides, int axis) {
  reduction::extreme_positions<Max>(out, in, shape, strides, axis);
}
template <class T>
inline void argmin(std::int64_t* out, const T* in, const Shape& shape, const Strides& strides, int axis) {
  reduction::extreme_positions<Min>(out, in, shape, strides, axis);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
