#pragma once

/// \file
/// Sums over the rows of contiguous matrices, without the set-up that reduce() has for any strides.
///
///     sum_columns(out, in, rows, cols)           out[j] = sum over i of in[i * cols + j],   rows <= few_rows
///     add_rows(out, in, rows, cols, in_order)    out[j] += the same, for the tiles of a matrix one by one
///
/// Few rows are added from the top, so there are at most few_rows additions behind one another: gradients of
/// biases, which a small network asks for again and again. add_rows does so when `in_order`; otherwise it
/// joins eight rows at a time pairwise, and those of a narrow tile before they meet `out`. `out` may be
/// written, and `in` read, up to 64 bytes beyond the end.

#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

inline constexpr std::int64_t few_rows = 128;

namespace columns {

/// `count` registers side by side.
template <int count, class T>
WENGERT_INLINE void strip(T* out, const T* in, std::int64_t rows, std::int64_t cols) {
  using V = Native<T>;
  V sum[count];
  for (int c = 0; c < count; ++c) sum[c] = V::load(in + c * V::width);
  for (std::int64_t i = 1; i < rows; ++i) {
    in += cols;
    for (int c = 0; c < count; ++c) sum[c] = sum[c] + V::load(in + c * V::width);
  }
  for (int c = 0; c < count; ++c) sum[c].store(out + c * V::width);
}

/// As many registers as are left: one more would reach too far beyond the end.
template <int most, class T>
WENGERT_INLINE void last_strip(T* out, const T* in, std::int64_t rows, std::int64_t cols,
                               std::int64_t count) {
  if constexpr (most > 0) {
    if (count == most) return strip<most>(out, in, rows, cols);
    last_strip<most - 1>(out, in, rows, cols, count);
  }
}

/// The sum of `n` registers `pitch` apart, pairwise.
template <int n, class T>
WENGERT_INLINE Native<T> pairwise(const T* in, std::int64_t pitch) {
  if constexpr (n == 1)
    return Native<T>::load(in);
  else
    return pairwise<n / 2>(in, pitch) + pairwise<n / 2>(in + n / 2 * pitch, pitch);
}

/// A narrow tile: the sums stay in registers.
template <int count, class T>
WENGERT_INLINE void add_narrow(T* out, const T* in, std::int64_t rows, std::int64_t cols, bool in_order) {
  using V = Native<T>;
  constexpr int W = V::width;
  V sum[count];
  for (int c = 0; c < count; ++c) sum[c] = in_order ? V::load(out + c * W) : V(T(0));
  std::int64_t i = 0;
  if (!in_order)
    for (; rows - i >= 8; i += 8, in += 8 * cols)
      for (int c = 0; c < count; ++c) sum[c] = sum[c] + pairwise<8>(in + c * W, cols);
  for (; i < rows; ++i, in += cols)
    for (int c = 0; c < count; ++c) sum[c] = sum[c] + V::load(in + c * W);
  for (int c = 0; c < count; ++c) (in_order ? sum[c] : V::load(out + c * W) + sum[c]).store(out + c * W);
}
template <int most, class T>
WENGERT_INLINE void add_narrow_of(std::int64_t count, T* out, const T* in, std::int64_t rows,
                                  std::int64_t cols, bool in_order) {
  if constexpr (most > 0) {
    if (count == most) return add_narrow<most>(out, in, rows, cols, in_order);
    add_narrow_of<most - 1>(count, out, in, rows, cols, in_order);
  }
}

/// `count` rows of any length, read side by side.
template <int count, class T>
WENGERT_INLINE void add_wide(T* out, const T* in, std::int64_t cols, bool in_order) {
  using V = Native<T>;
  if (!in_order && count == 8) {
    for (std::int64_t j = 0; j < cols; j += V::width)
      (V::load(out + j) + pairwise<8>(in + j, cols)).store(out + j);
    return;
  }
  for (std::int64_t j = 0; j < cols; j += V::width) {
    V sum = V::load(out + j);
    for (int i = 0; i < count; ++i) sum = sum + V::load(in + i * cols + j);
    sum.store(out + j);
  }
}

}  // namespace columns

template <class T>
inline void sum_columns(T* out, const T* in, std::int64_t rows, std::int64_t cols) {
  constexpr int W = Native<T>::width;
  if (rows == 0) {
    for (std::int64_t j = 0; j < cols; ++j) out[j] = T(0);
    return;
  }
  std::int64_t j = 0;
  for (; cols - j > 8 * W; j += 8 * W) columns::strip<8>(out + j, in + j, rows, cols);
  columns::last_strip<8>(out + j, in + j, rows, cols, (cols - j + W - 1) / W);
}

template <class T>
inline void add_rows(T* out, const T* in, std::int64_t rows, std::int64_t cols, bool in_order) {
  constexpr int W = Native<T>::width;
  if (cols <= 4 * W && rows > 1)
    return columns::add_narrow_of<4>((cols + W - 1) / W, out, in, rows, cols, in_order);
  std::int64_t i = 0;
  for (; rows - i >= 8; i += 8, in += 8 * cols) columns::add_wide<8>(out, in, cols, in_order);
  if (rows - i >= 4) {
    columns::add_wide<4>(out, in, cols, true);
    i += 4;
    in += 4 * cols;
  }
  for (; i < rows; ++i, in += cols) columns::add_wide<1>(out, in, cols, true);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
