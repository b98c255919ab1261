#pragma once

/// \file
/// Sums over the rows of small contiguous matrices: gradients of biases, which a small network asks for again
/// and again, without the set-up that reduce() has for any strides.
///
///     sum_columns(out, in, rows, cols)      out[j] = sum over i of in[i * cols + j],   rows <= few_rows
///
/// Each column is added from the top, so there are at most few_rows additions behind one another. `out` may
/// be written, and `in` read, up to 64 bytes beyond the end.

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

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
