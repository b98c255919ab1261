#pragma once

/// \file
/// The softmax family over the middle axis of contiguous arrays [outer, n, inner].
///
///     softmax(y, x, outer, n, inner)               y = exp(x - max) / sum(exp(x - max))
///     log_softmax(y, x, outer, n, inner)           y = (x - max) - log(sum(exp(x - max)))
///     log_softmax_from_p(y, x, p, ...)             the same with p = softmax(x) at hand: no exponential
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

/// How far ahead of an element the next row is asked for; rows that fill the cache are left to the hardware.
template <class T>
WENGERT_INLINE std::int64_t distance(std::int64_t n) {
  constexpr std::int64_t longest = 16384;  // bytes
  return n * static_cast<std::int64_t>(sizeof(T)) <= longest ? n : 0;
}
/// Asks for a line of the next row, and for one that will be written. In the passes that compute exponentials
/// memory has time for it, and in those before and after there is none.
template <class T>
WENGERT_INLINE void fetch(const T* read, const T* written) {
  __builtin_prefetch(read, 0);
  __builtin_prefetch(written, 1);
}

template <class T>
WENGERT_INLINE Native<T> max_of(const T* x, std::int64_t n) {
  return reduction::across(AnyMax{}, reduction::row_lanes(AnyMax{}, Identity{}, x, n, Native<T>(T(0))));
}

/// Maximum and sum(exp(x - maximum)) of one row, in every lane. A NaN makes the sum NaN, so the maximum need
/// not look for it. `y` is where the row's result will be written.
template <class T>
WENGERT_INLINE void max_and_total(const T* y, const T* x, std::int64_t n, Native<T>& max, Native<T>& total) {
  using V = Native<T>;
  if (n <= V::width) {
    const auto lanes = V::head(static_cast<int>(n));
    const V v = where(lanes, V::load(x), V(-std::numeric_limits<T>::infinity()));
    max = reduction::across(AnyMax{}, v);
    total = reduction::across(Plus{}, where(lanes, exp(v - max), V(T(0))));
    return;
  }
  const V shift = max = max_of(x, n);
  const std::int64_t ahead = distance<T>(n);
  total = reduction::across(Plus{}, reduction::lanes_over<T>(Plus{}, n, [=](std::int64_t j) {
                              fetch(x + ahead + j, y + j);
                              return exp(V::load(x + j) - shift);
                            }));
}

/// y = (x - shift) - log(total), where shift_and_total gives both for row r, or 1 / total where `inverse`: as
/// many rows at a time as a register has lanes, so that their logarithms are one call.
template <bool inverse, class T, class ShiftAndTotal>
WENGERT_INLINE void log_rows(T* y, const T* x, std::int64_t rows, std::int64_t n,
                             const ShiftAndTotal& shift_and_total) {
  using V = Native<T>;
  constexpr int W = V::width;
  alignas(64) T shifts[W], logs[W];
  for (int k = 0; k < W; ++k) logs[k] = T(1);
  const int at_once = n <= 512 ? W : 1;  // what is read again must still be in L1
  for (std::int64_t r = 0; r < rows; r += at_once) {
    const int count = static_cast<int>(rows - r < at_once ? rows - r : at_once);
    for (int k = 0; k < count; ++k) {
      V shift, total;
      shift_and_total(r + k, shift, total);
      shifts[k] = reduction::first_lane<T>(shift);
      logs[k] = reduction::first_lane<T>(total);
    }
    const V l = log(V::load(logs));
    (inverse ? -l : l).store(logs);
    for (int k = 0; k < count; ++k) {
      const V shift = V::splat(shifts + k), log_total = V::splat(logs + k);
      const T* const from = x + (r + k) * n;
      T* const to = y + (r + k) * n;
      for (std::int64_t j = 0; j < n; j += W) ((V::load(from + j) - shift) - log_total).store(to + j);
    }
  }
}

template <class T>
void log_softmax_rows(T* y, const T* x, std::int64_t rows, std::int64_t n) {
  using V = Native<T>;
  log_rows<false>(y, x, rows, n, [=](std::int64_t r, V& shift, V& total) {
    max_and_total(y + r * n, x + r * n, n, shift, total);
  });
}

/// The largest p of a row is 1 / total: there exp(x - shift) is 1. All of a row is NaN, or nothing.
template <class T>
void log_softmax_rows_from_p(T* y, const T* x, const T* p, std::int64_t rows, std::int64_t n) {
  using V = Native<T>;
  log_rows<true>(y, x, rows, n, [=](std::int64_t r, V& shift, V& total) {
    const V first = V::splat(p + r * n);
    shift = max_of(x + r * n, n);
    total = max_of(p + r * n, n) + (first - first);
  });
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
    const V max = max_of(x, n);
    const std::int64_t ahead = distance<T>(n);
    const V total = reduction::across(Plus{}, reduction::lanes_over<T>(Plus{}, n, [=](std::int64_t j) {
                                        fetch(x + ahead + j, y + ahead + j);
                                        const V e = exp(V::load(x + j) - max);
                                        e.store(y + j);
                                        return e;
                                      }));
    const V scale = V(T(1)) / total;
    for (std::int64_t j = 0; j < n; j += W) (V::load(y + j) * scale).store(y + j);
  }
}

/// What one entry contributes to the row's sum, and the result. `p` is exp(y) where `given`.
template <bool logarithm, bool given = false>
struct Backward {
  static constexpr bool exponentials = logarithm && !given;
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
  const V total = reduction::across(Plus{}, reduction::lanes_over<T>(Plus{}, n, [=](std::int64_t j) {
                                      return rule.part(V::load(g + j), V::load(y + j));
                                    }));
  [[maybe_unused]] const std::int64_t ahead = distance<T>(n);
  for (std::int64_t j = 0; j < n; j += W) {
    if constexpr (Rule::exponentials) fetch(g + ahead + j, dx + ahead + j);
    rule.result(V::load(g + j), V::load(y + j), p + j, total).store(dx + j);
  }
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

template <class T>
void forward_from_p(T* y, const T* x, const T* p, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  using V = Native<T>;
  if (n == 0) return;
  if (inner == 1) return log_softmax_rows_from_p(y, x, p, outer, n);
  for (std::int64_t i = 0; i < outer; ++i, x += n * inner, y += n * inner, p += n * inner)
    for (std::int64_t c = 0; c < inner; c += V::width) {
      const auto at = [&](const T* a, std::int64_t r) { return V::load(a + r * inner + c); };
      V max = at(x, 0), max_p = at(p, 0);
      for (std::int64_t r = 1; r < n; ++r) {
        max = max_or_second(at(x, r), max);
        max_p = max_or_second(at(p, r), max_p);
      }
      const V last = -log(max_p);
      for (std::int64_t r = 0; r < n; ++r) store_head((at(x, r) - max) - last, y + r * inner + c, inner - c);
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
inline void log_softmax_from_p(T* y, const T* x, const T* p, std::int64_t outer, std::int64_t n,
                               std::int64_t inner) {
  softmax_detail::forward_from_p(y, x, p, outer, n, inner);
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
