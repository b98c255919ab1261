#pragma once

/// \file
/// Reading and adding at positions given by an index array (int64). All arrays are contiguous,
/// but those of the _along_ functions, which are told their strides.
///
///     out_of_range(index, count, low, n)                place of the first index outside [low, n), or -1
///     take(out, in, outer, n, inner, index, count)      out[o, i, c] = in[o, index[i], c]
///     take_add(out, g, outer, n, inner, index, count)   out[o, index[i], c] += g[o, i, c]
///     take_along_axis(out, in, index, along)            out[o, i, c] = in[o, index[o, i, c], c]
///     take_along_axis_add(out, g, index, along)         out[o, index[o, i, c], c] += g[o, i, c]
///     one_hot(out, index, count, n)                     out[i, j] = (index[i] == j)
///
/// Negative indices count from the end, as in NumPy; all must be in range (out_of_range). Repeated indices
/// add up in the order of the index array. The _add functions add to what `out` holds.

#include <cstring>

#include "autodiff/kernels/vec.hpp"
#include "autodiff/tensor/shape.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

inline std::int64_t out_of_range(const std::int64_t* index, std::int64_t count, std::int64_t low,
                                 std::int64_t n) {
  // One pass without a branch, which the compiler vectorises; the search only when something is wrong.
  bool wrong = false;
  for (std::int64_t i = 0; i < count; ++i) wrong |= (index[i] < low) | (index[i] >= n);
  if (wrong)
    for (std::int64_t i = 0; i < count; ++i)
      if (index[i] < low || index[i] >= n) return i;
  return -1;
}

namespace indexing {

WENGERT_INLINE std::int64_t from_start(std::int64_t i, std::int64_t n) { return i < 0 ? i + n : i; }

/// Rows arrive from memory in any order: ask for one a little before it is needed.
inline constexpr std::int64_t ahead = 8;

template <class T>
WENGERT_INLINE void prefetch_row(const T* row, std::int64_t inner) {
  const std::int64_t bytes = inner * static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t b = 0; b < bytes && b < 512; b += 64)
    __builtin_prefetch(reinterpret_cast<const char*>(row) + b);
}

}  // namespace indexing

template <class T>
inline void take(T* out, const T* in, std::int64_t outer, std::int64_t n, std::int64_t inner,
                 const std::int64_t* index, std::int64_t count) {
  using namespace indexing;
  for (std::int64_t o = 0; o < outer; ++o, in += n * inner) {
    if (inner == 1) {
      for (std::int64_t i = 0; i < count; ++i) *out++ = in[from_start(index[i], n)];
      continue;
    }
    for (std::int64_t i = 0; i < count; ++i, out += inner) {
      if (i + ahead < count) prefetch_row(in + from_start(index[i + ahead], n) * inner, inner);
      std::memcpy(out, in + from_start(index[i], n) * inner, static_cast<std::size_t>(inner) * sizeof(T));
    }
  }
}

template <class T>
inline void take_add(T* out, const T* g, std::int64_t outer, std::int64_t n, std::int64_t inner,
                     const std::int64_t* index, std::int64_t count) {
  using namespace indexing;
  using V = Native<T>;
  for (std::int64_t o = 0; o < outer; ++o, out += n * inner) {
    if (inner == 1) {
      for (std::int64_t i = 0; i < count; ++i, ++g) {
        T& to = out[from_start(index[i], n)];
        to = (Vec<T, Scalar>(to) + Vec<T, Scalar>(*g)).v;
      }
      continue;
    }
    const std::int64_t whole = inner / V::width * V::width;
    for (std::int64_t i = 0; i < count; ++i, g += inner) {
      if (i + ahead < count) prefetch_row(out + from_start(index[i + ahead], n) * inner, inner);
      T* row = out + from_start(index[i], n) * inner;
      for (std::int64_t c = 0; c < whole; c += V::width) (V::load(row + c) + V::load(g + c)).store(row + c);
      for (std::int64_t c = whole; c < inner; ++c) row[c] = (Vec<T, Scalar>(row[c]) + Vec<T, Scalar>(g[c])).v;
    }
  }
}

/// The operands of take_along_axis: strides (in elements) over a common shape, 0 where an operand repeats.
/// `array` is the one whose axis is indexed, of length `n` there and with `step` from entry to entry; along
/// that axis its stride over the common shape is 0. `values` are its entries: out, or g of the _add function.
struct Along {
  Shape shape;
  Strides values, array, index;
  std::int64_t n, step;
};

namespace indexing {

/// visit(offset in values, offset in the array) for all elements in row-major order.
template <class Visit>
WENGERT_INLINE void for_each(const Along& a, const std::int64_t* index, Visit visit) {
  struct Axis {
    std::int64_t n, values, array, index;
  };
  Axis axes[max_ndim];
  int count = 0;
  for (int d = a.shape.size() - 1; d >= 0; --d) {
    const Axis axis{a.shape[d], a.values[d], a.array[d], a.index[d]};
    if (axis.n == 0) return;
    if (axis.n == 1) continue;
    if (count > 0) {
      Axis& last = axes[count - 1];
      if (axis.values == last.values * last.n && axis.array == last.array * last.n &&
          axis.index == last.index * last.n) {
        last.n *= axis.n;
        continue;
      }
    }
    axes[count++] = axis;
  }
  if (count == 0) axes[count++] = {1, 0, 0, 0};
  const Axis inner = axes[0];
  std::int64_t at[max_ndim] = {};
  std::int64_t v = 0, x = 0, k = 0;
  while (true) {
    for (std::int64_t i = 0; i < inner.n; ++i)
      visit(v + i * inner.values, x + i * inner.array + from_start(index[k + i * inner.index], a.n) * a.step);
    int d = 1;
    for (; d < count; ++d) {
      const bool carry = ++at[d] == axes[d].n;
      const std::int64_t steps = carry ? 1 - axes[d].n : 1;
      v += steps * axes[d].values;
      x += steps * axes[d].array;
      k += steps * axes[d].index;
      if (!carry) break;
      at[d] = 0;
    }
    if (d >= count) return;
  }
}

}  // namespace indexing

template <class T>
inline void take_along_axis(T* out, const T* in, const std::int64_t* index, const Along& along) {
  indexing::for_each(along, index, [=](std::int64_t to, std::int64_t from) { out[to] = in[from]; });
}

template <class T>
inline void take_along_axis_add(T* out, const T* g, const std::int64_t* index, const Along& along) {
  indexing::for_each(
      along, index, [=](std::int64_t from, std::int64_t to) { out[to] = static_cast<T>(out[to] + g[from]); });
}

template <class T>
inline void one_hot(T* out, const std::int64_t* index, std::int64_t count, std::int64_t n) {
  std::memset(out, 0, static_cast<std::size_t>(count * n) * sizeof(T));
  for (std::int64_t i = 0; i < count; ++i) out[i * n + indexing::from_start(index[i], n)] = T(1);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
