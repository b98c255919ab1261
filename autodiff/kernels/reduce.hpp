#pragma once

/// \file
/// Reductions over any subset of the axes of a strided array.
///
///     reduce(Plus{}, f, out, in, shape, strides, axes)         out[k] = sum over r of f(in[k, r])
///     reduce(Plus{}, f, out, in, shape, strides, axes, with)   out[k] = sum over r of f(in[k, r], with[k])
///     reduce_all(Plus{}, f, in, n)                             the result for n contiguous elements
///     sum, max, min(out, in, shape, strides, axes)
///     logsumexp(out, scratch, in, shape, strides, axes)
///     variance(out, scratch, in, shape, strides, axes, ddof)
///
/// `axes` has bit i set when axis i is reduced. `out`, `with` and `scratch` are contiguous over the kept axes
/// in their order. f is a generic lambda on Vec, so that squares and exponentials need no temporary array.
/// All element types; float and double run on registers. max and min give NaN when there is one, like
/// NumPy's; over zero elements they give their identity, and so do sums (0).
///
/// The order of the operations depends on shape and strides only. Sums are blocked and pairwise: at most 128
/// additions follow one another before partial sums are joined as in a binary tree, so the error grows with
/// the logarithm of the length (Higham, Accuracy and Stability of Numerical Algorithms, 4.2).
///
/// Buffers have 64 readable bytes after their last element.

#include "autodiff/kernels/elementwise.hpp"
#include "autodiff/kernels/reduce_plan.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

struct Plus {
  template <class V>
  WENGERT_INLINE V operator()(V a, V b) const {
    return a + b;
  }
  template <class T>
  static constexpr T identity = T(0);
};
struct Times {
  template <class V>
  WENGERT_INLINE V operator()(V a, V b) const {
    return a * b;
  }
  template <class T>
  static constexpr T identity = T(1);
};
struct Max {
  template <class V>
  WENGERT_INLINE V operator()(V a, V b) const {
    return maximum(a, b);
  }
  template <class T>
  static constexpr T identity = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                                            : std::numeric_limits<T>::lowest();
};
/// max where a NaN need not be found, because what follows meets it anyway: the same without NaN, cheaper.
struct AnyMax : Max {
  template <class V>
  WENGERT_INLINE V operator()(V a, V b) const {
    return max_or_second(a, b);
  }
};
struct Min {
  template <class V>
  WENGERT_INLINE V operator()(V a, V b) const {
    return minimum(a, b);
  }
  template <class T>
  static constexpr T identity = std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity()
                                                            : std::numeric_limits<T>::max();
};
struct Identity {
  template <class V, class... W>
  WENGERT_INLINE V operator()(V x, W...) const {
    return x;
  }
};

namespace reduction {

/// Joins partial results as the carries of a binary counter do: the k-th entry stands for 2^k blocks.
template <class Op, class V>
struct Tree {
  static constexpr int levels = 48;
  V entry[levels];
  std::uint64_t count = 0;

  WENGERT_INLINE void push(Op op, V value) {
    int level = 0;
    for (std::uint64_t c = count; c & 1; c >>= 1) value = op(entry[level++], value);
    entry[level] = value;
    ++count;
  }
  WENGERT_INLINE V result(Op op, V value) const {
    int level = 0;
    for (std::uint64_t c = count; c != 0; c >>= 1, ++level)
      if (c & 1) value = op(entry[level], value);
    return value;
  }
};

template <int distance, class Op, class V>
WENGERT_INLINE V fold_lanes(Op op, V v) {
  if constexpr (distance == 0)
    return v;
  else
    return fold_lanes<distance / 2>(op, op(v, v.template swapped<distance>()));
}
/// All lanes joined, in every lane.
template <class Op, class V>
WENGERT_INLINE V across(Op op, V v) {
  return fold_lanes<V::width / 2>(op, v);
}

/// The values at(0) to at(n - 1), as one register whose lanes are still to be joined; `at` is called in order
/// and gives as many values as a register has.
template <class T, class Op, class At>
WENGERT_INLINE Native<T> lanes_over(Op op, std::int64_t n, const At& at) {
  using V = Native<T>;
  constexpr int W = V::width;
  constexpr std::int64_t block = 128 * W;
  const V none(Op::template identity<T>);
  if constexpr (std::is_integral_v<T>) {  // exact in any order: the plain loop, which the compiler vectorises
    V a = none;
    for (std::int64_t j = 0; j < n; ++j) a = op(a, V(at(j)));
    return a;
  }
  if (n <= W) return where(V::head(static_cast<int>(n)), V(at(0)), none);
  const auto run = [&](std::int64_t j, std::int64_t end) {
    V a0 = none, a1 = none, a2 = none, a3 = none;
    for (; end - j >= 4 * W; j += 4 * W) {
      a0 = op(a0, V(at(j)));
      a1 = op(a1, V(at(j + W)));
      a2 = op(a2, V(at(j + 2 * W)));
      a3 = op(a3, V(at(j + 3 * W)));
    }
    for (; end - j >= W; j += W) a0 = op(a0, V(at(j)));
    if (j < end) a1 = op(a1, where(V::head(static_cast<int>(end - j)), V(at(j)), none));
    return op(op(a0, a1), op(a2, a3));
  };
  if (n <= block) return run(0, n);
  Tree<Op, V> tree;
  std::int64_t j = 0;
  for (; n - j >= block; j += block) tree.push(op, run(j, j + block));
  return tree.result(op, j < n ? run(j, n) : none);
}

/// f of n consecutive elements.
template <class Op, class F, class T>
WENGERT_INLINE Native<T> row_lanes(Op op, const F& f, const T* p, std::int64_t n, Native<T> w) {
  return lanes_over<T>(op, n, [&](std::int64_t j) { return f(Native<T>::load(p + j), w); });
}

template <class T>
WENGERT_INLINE T first_lane(Native<T> v) {
  if constexpr (vectorised<T>)
    return v.lanes()[0];
  else
    return v.v;
}

inline constexpr int panel_bytes = 2048;

/// n elements at any stride.
template <class Op, class F, class T>
WENGERT_INLINE Native<T> strided_lanes(Op op, const F& f, const T* p, std::int64_t n, std::int64_t stride,
                                       Native<T> w) {
  if (stride == 1) return row_lanes(op, f, p, n, w);
  using V = Native<T>;
  constexpr int capacity = panel_bytes / sizeof(T);
  alignas(64) T buffer[capacity + 64];
  if (n <= V::width) {
    for (std::int64_t k = 0; k < n; ++k) buffer[k] = p[k * stride];
    for (int k = static_cast<int>(n); k < V::width; ++k) buffer[k] = T(0);
    return row_lanes(op, f, buffer, n, w);
  }
  Tree<Op, V> tree;
  for (std::int64_t j = 0; j < n; j += capacity) {
    const std::int64_t length = n - j < capacity ? n - j : capacity;
    for (std::int64_t k = 0; k < length; ++k) buffer[k] = p[(j + k) * stride];
    tree.push(op, row_lanes(op, f, buffer, length, w));
  }
  return tree.result(op, V(Op::template identity<T>));
}

/// The innermost axis is reduced: rows of it are, one after the other.
template <class Op, class F, class T>
void along_rows(Op op, const F& f, T* out, const T* in, const Plan& plan, const T* with) {
  using V = Native<T>;
  const Axis row = plan.axes[0];
  Walk kept(plan, false, 1), rows(plan, true, 1);
  do {
    const V w = with ? V(with[kept.out]) : V(T(0));
    const T* p = in + kept.in;
    V lanes;
    if (rows.count == 0) {
      lanes = strided_lanes(op, f, p, row.size, row.in, w);
    } else {
      Tree<Op, V> tree;
      do tree.push(op, strided_lanes(op, f, p + rows.in, row.size, row.in, w));
      while (rows.next());
      lanes = tree.result(op, V(Op::template identity<T>));
    }
    out[kept.out] = first_lane<T>(across(op, lanes));
  } while (kept.next());
}

/// The innermost axis is kept: panels of it are accumulated, eight rows at a time.
template <class Op, class F, class T>
void along_columns(Op op, const F& f, T* out, const T* in, const Plan& plan, const T* with) {
  using V = Native<T>;
  constexpr int W = V::width, rows_at_once = 8, block_rows = 64, staged_panel = panel_bytes / sizeof(T);
  constexpr int widest = 8192 / sizeof(T);
  const Axis column = plan.axes[0];
  // Panels as wide as the partial sums of a binary counter leave room for: long rows stream better.
  constexpr int room = 9 * widest;
  int levels = 2;
  for (std::int64_t blocks = plan.inputs_per_output / block_rows; blocks > 0; blocks /= 2) ++levels;
  const int panel = column.in != 1            ? staged_panel
                    : room / levels >= widest ? widest
                                              : room / levels / 64 * 64;
  alignas(64) T entries[room], staged[rows_at_once][staged_panel], w[widest];
  T* const accumulated = entries + (levels - 1) * panel;
  const V none(Op::template identity<T>);
  if (!with)
    for (int j = 0; j < panel; ++j) w[j] = T(0);
  Walk kept(plan, false, 1), rows(plan, true, 1);
  do {
    for (std::int64_t start = 0; start < column.size; start += panel) {
      const int n = static_cast<int>(column.size - start < panel ? column.size - start : panel);
      T* const result = out + kept.out + start * column.out;
      if (with)
        for (int j = 0; j < n; ++j) w[j] = with[kept.out + (start + j) * column.out];
      const T* const first = in + kept.in + start * column.in;
      std::uint64_t blocks = 0;
      int in_block = 0;
      for (bool more = true; more;) {
        const T* p[rows_at_once];
        int count = 0;
        do p[count++] = first + rows.in;
        while ((more = rows.next()) && count < rows_at_once);
        if (column.in != 1)
          for (int r = 0; r < count; ++r) {
            for (int j = 0; j < n; ++j) staged[r][j] = p[r][j * column.in];
            p[r] = staged[r];
          }
        const auto row = [&](int r, int j) { return V(f(V::load(p[r] + j), V::load(w + j))); };
        if (count == rows_at_once) {
          for (int j = 0; j < n; j += W) {
            const V a = op(op(row(0, j), row(1, j)), op(row(2, j), row(3, j)));
            const V b = op(op(row(4, j), row(5, j)), op(row(6, j), row(7, j)));
            op(in_block ? V::load(accumulated + j) : none, op(a, b)).store(accumulated + j);
          }
        } else {
          for (int j = 0; j < n; j += W) {
            V a = in_block ? V::load(accumulated + j) : none;
            for (int r = 0; r < count; ++r) a = op(a, row(r, j));
            a.store(accumulated + j);
          }
        }
        in_block += count;
        if (more && in_block < block_rows) continue;
        // The carries of a binary counter; at the end all entries that are left.
        int level = 0;
        for (std::uint64_t c = blocks; more ? c & 1 : c != 0; c >>= 1, ++level)
          if (c & 1)
            for (int j = 0; j < n; j += W)
              op(V::load(entries + level * panel + j), V::load(accumulated + j)).store(accumulated + j);
        if (more)
          for (int j = 0; j < n; j += W) V::load(accumulated + j).store(entries + level * panel + j);
        ++blocks;
        in_block = 0;
      }
      // Exactly n elements: the neighbours in `out` may already be finished.
      if (column.out == 1) {
        const int whole = n / W * W;
        for (int j = 0; j < whole; j += W) V::load(accumulated + j).store(result + j);
        for (int j = whole; j < n; ++j) result[j] = accumulated[j];
      } else {
        for (int j = 0; j < n; ++j) result[j * column.out] = accumulated[j];
      }
    }
  } while (kept.next());
}

template <class F>
struct IgnoreSecond {
  const F& f;
  template <class V>
  WENGERT_INLINE auto operator()(V x, V) const {
    return f(x);
  }
};

template <class Op, class F, class T>
void run(Op op, const F& f, T* out, const T* in, const Shape& shape, const Strides& strides, unsigned axes,
         const T* with) {
  const Plan plan = make_plan(shape, strides, axes);
  if (plan.outputs == 0) return;
  if (plan.empty) {
    for (std::int64_t i = 0; i < plan.outputs; ++i) out[i] = Op::template identity<T>;
  } else if (plan.axes[0].reduced) {
    along_rows(op, f, out, in, plan, with);
  } else {
    along_columns(op, f, out, in, plan, with);
  }
}

}  // namespace reduction

template <class Op, class F, class T>
inline void reduce(Op op, const F& f, T* out, const T* in, const Shape& shape, const Strides& strides,
                   unsigned axes) {
  reduction::run<Op, reduction::IgnoreSecond<F>, T>(op, {f}, out, in, shape, strides, axes, nullptr);
}
template <class Op, class F, class T>
inline void reduce(Op op, const F& f, T* out, const T* in, const Shape& shape, const Strides& strides,
                   unsigned axes, const T* with) {
  reduction::run(op, f, out, in, shape, strides, axes, with);
}

/// op over f of n contiguous elements, without the set-up for strides.
template <class Op, class F, class T>
WENGERT_INLINE T reduce_all(Op op, const F& f, const T* in, std::int64_t n) {
  const reduction::IgnoreSecond<F> ignoring{f};
  return reduction::first_lane<T>(
      reduction::across(op, reduction::row_lanes(op, ignoring, in, n, Native<T>(T(0)))));
}

template <class T>
inline void sum(T* out, const T* in, const Shape& shape, const Strides& strides, unsigned axes) {
  reduce(Plus{}, Identity{}, out, in, shape, strides, axes);
}
template <class T>
inline void max(T* out, const T* in, const Shape& shape, const Strides& strides, unsigned axes) {
  reduce(Max{}, Identity{}, out, in, shape, strides, axes);
}
template <class T>
inline void min(T* out, const T* in, const Shape& shape, const Strides& strides, unsigned axes) {
  reduce(Min{}, Identity{}, out, in, shape, strides, axes);
}

/// log(sum(exp(in))), shifted by the maximum so that nothing overflows; -inf where all are -inf, +inf where
/// one is. `scratch` has the size of `out`.
template <class T>
inline void logsumexp(T* out, T* scratch, const T* in, const Shape& shape, const Strides& strides,
                      unsigned axes) {
  const std::int64_t n = reduction::make_plan(shape, strides, axes).outputs;
  reduce(AnyMax{}, Identity{}, scratch, in, shape, strides, axes);
  // An infinite maximum is no shift: inf - inf would be NaN.
  for (std::int64_t i = 0; i < n; ++i)
    if (scratch[i] - scratch[i] != T(0) && scratch[i] == scratch[i]) scratch[i] = T(0);
  reduce(
      Plus{}, [](auto x, auto shift) { return exp(x - shift); }, out, in, shape, strides, axes, scratch);
  // In place element for element, which the loop over registers allows where nothing is read twice.
  for (std::int64_t i = 0; i < n; i += Native<T>::width)
    (log(Native<T>::load(out + i)) + Native<T>::load(scratch + i)).store(out + i);
}

/// sum((in - mean)^2) / max(n - ddof, 0), in two passes. The mean is taken relative to the first element, so
/// a constant vector has variance exactly 0. `scratch` has the size of `out`.
template <class T>
inline void variance(T* out, T* scratch, const T* in, const Shape& shape, const Strides& strides,
                     unsigned axes, std::int64_t ddof) {
  const reduction::Plan plan = reduction::make_plan(shape, strides, axes);
  if (plan.outputs == 0) return;
  const T n = static_cast<T>(plan.inputs_per_output);
  const T divisor = static_cast<T>(plan.inputs_per_output > ddof ? plan.inputs_per_output - ddof : 0);
  if (!plan.empty) {
    reduction::Walk kept(plan, false, 0);
    do scratch[kept.out] = in[kept.in];
    while (kept.next());
    reduce(
        Plus{}, [](auto x, auto first) { return x - first; }, out, in, shape, strides, axes, scratch);
    for (std::int64_t i = 0; i < plan.outputs; ++i) scratch[i] += out[i] / n;
  }
  reduce(
      Plus{}, [](auto x, auto mean) { return square(x - mean); }, out, in, shape, strides, axes, scratch);
  for (std::int64_t i = 0; i < plan.outputs; ++i) out[i] /= divisor;
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
