#pragma once

/// \file
/// The softmax family over the middle axis of contiguous arrays [outer, n, inner].
///
///     softmax(y, x, outer, n, inner)               y = exp(x - max) / sum(exp(x - max))
///     log_softmax(y, x, outer, n, inner)           y = (x - max) - log(sum(exp(x - max)))
///     softmax_backward(dx, g, y, outer, n, inner)        dx = y * (g - sum(g * y))
///     log_softmax_backward(dx, g, y, outer, n, inner)    dx = g - exp(y) * sum(g)
///     log_softmax_backward_from_p(dx, g, y, p, ...)      the same with p = exp(y) at hand
///
/// Shifted by the maximum, so logits of any finite size are fine. Entries of -inf are masks: their
/// probability is 0, their gradient 0 whatever g is there, and g of a masked entry counts nowhere. A fully
/// masked row, a +inf or a NaN makes its row NaN.
///
/// Buffers have 64 bytes after their last element; the output overlaps no input.

#include "autodiff/kernels/reduce.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace softmax_detail {

/// Maximum and sum(exp(x - maximum)) of one row, in every lane. A NaN makes the sum NaN, so the maximum need
/// not look for it.
template <class T>
WENGERT_INLINE void max_and_total(const T* x, std::int64_t n, Native<T>& max, Native<T>& total) {
  using V = Native<T>;
  if (n <= V::width) {
    const auto lanes = V::head(static_cast<int>(n));
    const V v = where(lanes, V::load(x), V(-std::numeric_limits<T>::infinity()));
    max = reduction::across(AnyMax{}, v);
    total = reduction::across(Plus{}, where(lanes, exp(v - max), V(T(0))));
    return;
  }
  max = reduction::across(AnyMax{}, reduction::row_lanes(AnyMax{}, Identity{}, x, n, V(T(0))));
  const auto e = [](auto v, auto shift) { return exp(v - shift); };
  total = reduction::across(Plus{}, reduction::row_lanes(Plus{}, e, x, n, max));
}

/// As many rows at a time as a register has lanes, so that their logarithms are one call.
template <class T>
void log_softmax_rows(T* y, const T* x, std::int64_t rows, std::int64_t n) {
  using V = Native<T>;
  constexpr int W = V::width;
  alignas(64) T max[W], total[W];
  for (int k = 0; k < W; ++k) total[k] = T(1);
  const int at_once = n <= 512 ? W : 1;  // what is read again must still be in L1
  for (std::int64_t r = 0; r < rows; r += at_once) {
    const int count = static_cast<int>(rows - r < at_once ? rows - r : at_once);
    for (int k = 0; k < count; ++k) {
      V row_max, row_total;
      max_and_total(x + (r + k) * n, n, row_max, row_total);
      max[k] = reduction::first_lane<T>(row_max);
      total[k] = reduction::first_lane<T>(row_total);
    }
    log(V::load(total)).store(total);
    for (int k = 0; k < count; ++k) {
      const V shift = V::splat(max + k), log_total = V::splat(total + k);
      const T* const from = x + (r + k) * n;
      T* const to = y + (r + k) * n;
      for (std::int64_t j = 0; j < n; j += W) ((V::load(from + j) - shift) - log_total).store(to + j);
    }
  }
}

template <class T>
void softmax_rows(T* y, const T* x, std::int64_t rows, std::int64_t n) {
  using V = Native<T>;
  constexpr int W = V::width;
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    if (n <= W) {  // a single register: one load, one store
      const auto lanes = V::head(static_cast<int>(n));
      const V v = where(lanes, V::load(x), V(-std::numeric_limits<T>::infinity()));
      const V e = where(lanes, exp(v - reduction::across(AnyMax{}, v)), V(T(0)));
      (e / reduction::across(Plus{}, e)).store(y);
      continue;
    }
    const V max = reduction::across(AnyMax{}, reduction::row_lanes(AnyMax{}, Identity{}, x, n, V(T(0))));
    for (std::int64_t j = 0; j < n; j += W) exp(V::load(x + j) - max).store(y + j);
    const V total = reduction::across(Plus{}, reduction::row_lanes(Plus{}, Identity{}, y, n, max));
    const V scale = V(T(1)) / total;
    for (std::int64_t j = 0; j < n; j += W) (V::load(y + j) * scale).store(y + j);
  }
}

/// What one entry contributes to the row's sum, and the result. `p` is exp(y) where `given`.
template <bool logarithm, bool given = false>
struct Backward {
  template <class V>
  WENGERT_INLINE V part(V g, V y) const {
    using T = typename V::value_type;
    if constexpr (logarithm)
      return where(y == V(-std::numeric_limits<T>::infinity()), V(T(0)), g);
    else
      return where(y == V(T(0)), V(T(0)), g * y);
  }
  template <class V>
  WENGERT_INLINE V result(V g, V y, const typename V::value_type* p, V total) const {
    using T = typename V::value_type;
    if constexpr (logarithm && given)
      return where(y == V(-std::numeric_limits<T>::infinity()), V(T(0)), g - V::load(p) * total);
    else if constexpr (logarithm)
      return where(y == V(-std::numeric_limits<T>::infinity()), V(T(0)), g - exp(y) * total);
    else
      return where(y == V(T(0)), V(T(0)), y * (g - total));
  }
};

template <class Rule, class T>
WENGERT_INLINE void backward_row(const Rule& rule, T* dx, const T* g, const T* y, const T* p,
                                 std::int64_t n) {
  using V = Native<T>;
  constexpr int W = V::width;
  if (n <= W) {
    const V gv = V::load(g), yv = V::load(y);
    const V total =
        reduction::across(Plus{}, where(V::head(static_cast<int>(n)), rule.part(gv, yv), V(T(0))));
    rule.result(gv, yv, p, total).store(dx);
    return;
  }
  // dx first holds the terms of the sum, which row_lanes then adds pairwise.
  for (std::int64_t j = 0; j < n; j += W) rule.part(V::load(g + j), V::load(y + j)).store(dx + j);
  const V total = reduction::across(Plus{}, reduction::row_lanes(Plus{}, Identity{}, dx, n, V(T(0))));
  for (std::int64_t j = 0; j < n; j += W)
    rule.result(V::load(g + j), V::load(y + j), p + j, total).store(dx + j);
}

/// Columns of an [n, inner] slice, one register of them at a time, so that the passes need no buffer. Sums
/// run down a column in blocks of 64 that are joined pairwise.
template <class V, class Term>
WENGERT_INLINE V column_sum(std::int64_t n, Term term) {
  reduction::Tree<Plus, V> tree;
  for (std::int64_t r = 0; r < n; r += 64) {
    V part(0);
    const std::int64_t end = n < r + 64 ? n : r + 64;
    for (std::int64_t k = r; k < end; ++k) part += term(k);
    tree.push(Plus{}, part);
  }
  return tree.result(Plus{}, V(0));
}

/// Stores the first n lanes: the following elements belong to another slice that is already finished.
template <class V, class T>
WENGERT_INLINE void store_head(V v, T* p, std::int64_t n) {
  if (n >= V::width) return v.store(p);
  alignas(64) T lanes[V::width];
  v.store(lanes);
  for (std::int64_t j = 0; j < n; ++j) p[j] = lanes[j];
}

template <bool logarithm, class T>
void forward(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  using V = Native<T>;
  if (n == 0) return;
  if (inner == 1) return logarithm ? log_softmax_rows(y, x, outer, n) : softmax_rows(y, x, outer, n);
  for (std::int64_t i = 0; i < outer; ++i, x += n * inner, y += n * inner)
    for (std::int64_t c = 0; c < inner; c += V::width) {
      const auto at = [&](std::int64_t r) { return V::load(x + r * inner + c); };
      V max = at(0);
      for (std::int64_t r = 1; r < n; ++r) max = max_or_second(at(r), max);
      const V total = column_sum<V>(n, [&](std::int64_t r) { return exp(at(r) - max); });
      const V last = logarithm ? log(total) : V(T(1)) / total;
      for (std::int64_t r = 0; r < n; ++r)
        store_head(logarithm ? (at(r) - max) - last : exp(at(r) - max) * last, y + r * inner + c, inner - c);
    }
}

template <class Rule, class T>
void backward(T* dx, const T* g, const T* y, const T* p, std::int64_t outer, std::int64_t n,
              std::int64_t inner) {
  using V = Native<T>;
  constexpr Rule rule;
  if (inner == 1) {
    for (std::int64_t i = 0; i < outer; ++i)
      backward_row(rule, dx + i * n, g + i * n, y + i * n, p + i * n, n);
    return;
  }
  for (std::int64_t i = 0; i < outer; ++i, dx += n * inner, g += n * inner, y += n * inner, p += n * inner)
    for (std::int64_t c = 0; c < inner; c += V::width) {
      const auto gs = [&](std::int64_t r) { return V::load(g + r * inner + c); };
      const auto ys = [&](std::int64_t r) { return V::load(y + r * inner + c); };
      const V total = column_sum<V>(n, [&](std::int64_t r) { return rule.part(gs(r), ys(r)); });
      for (std::int64_t r = 0; r < n; ++r)
        store_head(rule.result(gs(r), ys(r), p + r * inner + c, total), dx + r * inner + c, inner - c);
    }
}

}  // namespace softmax_detail

template <class T>
inline void softmax(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  softmax_detail::forward<false>(y, x, outer, n, inner);
}
template <class T>
inline void log_softmax(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  softmax_detail::forward<true>(y, x, outer, n, inner);
}
template <class T>
inline void softmax_backward(T* dx, const T* g, const T* y, std::int64_t outer, std::int64_t n,
                             std::int64_t inner) {
  softmax_detail::backward<softmax_detail::Backward<false>>(dx, g, y, y, outer, n, inner);
}
template <class T>
inline void log_softmax_backward(T* dx, const T* g, const T* y, std::int64_t outer, std::int64_t n,
                                 std::int64_t inner) {
  softmax_detail::backward<softmax_detail::Backward<true>>(dx, g, y, y, outer, n, inner);
}
template <class T>
inline void log_softmax_backward_from_p(T* dx, const T* g, const T* y, const T* p, std::int64_t outer,
                                        std::int64_t n, std::int64_t inner) {
  softmax_detail::backward<softmax_detail::Backward<true, true>>(dx, g, y, p, outer, n, inner);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
