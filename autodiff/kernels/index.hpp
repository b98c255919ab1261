#pragma once

/// \file
/// Reading and adding at positions given by an index array (int64). All arrays are contiguous.
///
///     out_of_range(index, count, n)                        position of the first index outside [-n, n), or
///     -1 take(out, in, outer, n, inner, index, count)         out[o, i, c] = in[o, index[i], c]
///     take_add(out, g, outer, n, inner, index, count)      out[o, index[i], c] += g[o, i, c]
///     take_along_axis(out, in, index, outer, n, inner, k)      out[o, i, c] = in[o, index[o, i, c], c], i <
///     k take_along_axis_add(out, g, index, outer, n, inner, k)   out[o, index[o, i, c], c] += g[o, i, c]
///     one_hot(out, index, count, n)                        out[i, j] = (index[i] == j)
///     copy_rows(out, out_pitch, in, in_pitch, rows, bytes)     rows of a concatenation; pitches in bytes
///
/// Negative indices count from the end, as in NumPy; all must be in range (out_of_range). Repeated indices
/// add up in the order of the index array. The _add functions add to what `out` holds.

#include <cstring>

#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

inline std::int64_t out_of_range(const std::int64_t* index, std::int64_t count, std::int64_t n) {
  // One pass without a branch, which the compiler vectorises; the search only when something is wrong.
  bool wrong = false;
  for (std::int64_t i = 0; i < count; ++i) wrong |= (index[i] < -n) | (index[i] >= n);
  if (wrong)
    for (std::int64_t i = 0; i < count; ++i)
      if (index[i] < -n || index[i] >= n) return i;
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

template <class T>
inline void take_along_axis(T* out, const T* in, const std::int64_t* index, std::int64_t outer,
                            std::int64_t n, std::int64_t inner, std::int64_t k) {
  for (std::int64_t o = 0; o < outer; ++o, in += n * inner)
    for (std::int64_t i = 0; i < k; ++i)
      for (std::int64_t c = 0; c < inner; ++c) *out++ = in[indexing::from_start(*index++, n) * inner + c];
}

template <class T>
inline void take_along_axis_add(T* out, const T* g, const std::int64_t* index, std::int64_t outer,
                                std::int64_t n, std::int64_t inner, std::int64_t k) {
  for (std::int64_t o = 0; o < outer; ++o, out += n * inner)
    for (std::int64_t i = 0; i < k; ++i)
      for (std::int64_t c = 0; c < inner; ++c) {
        T& to = out[indexing::from_start(*index++, n) * inner + c];
        to = (Vec<T, Scalar>(to) + Vec<T, Scalar>(*g++)).v;
      }
}

template <class T>
inline void one_hot(T* out, const std::int64_t* index, std::int64_t count, std::int64_t n) {
  std::memset(out, 0, static_cast<std::size_t>(count * n) * sizeof(T));
  for (std::int64_t i = 0; i < count; ++i) out[i * n + indexing::from_start(index[i], n)] = T(1);
}

inline void copy_rows(void* out, std::int64_t out_pitch, const void* in, std::int64_t in_pitch,
                      std::int64_t rows, std::int64_t bytes) {
  if (out_pitch == bytes && in_pitch == bytes) {
    bytes *= rows;
    rows = 1;
  }
  if (bytes == 0) return;
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(static_cast<char*>(out) + r * out_pitch, static_cast<const char*>(in) + r * in_pitch,
                static_cast<std::size_t>(bytes));
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
