#pragma once

/// \file
/// The loop nest below every strided or broadcast elementwise kernel, without the arithmetic: it joins axes,
/// walks the outer ones and hands two-dimensional blocks to a function whose inputs are then contiguous or
/// constant along a row. Inputs with another stride are copied, a tile at a time, into a buffer that stays in
/// the L1 cache. Types are erased, so this exists once per number of inputs and not once per rule.

#include <cstdint>

#include "autodiff/kernels/isa.hpp"
#include "autodiff/kernels/transpose.hpp"
#include "autodiff/tensor/shape.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

/// `rows` rows of `n` elements. Pitches are the distances between rows, in elements.
template <int N>
struct Block {
  char* out;
  std::int64_t out_pitch, rows, n;
  const char* in[N];
  std::int64_t pitch[N];
  bool unit[N];  ///< consecutive along the row; otherwise one value for the whole row
};

template <int N>
struct NestInput {
  const char* data[N];
  const std::int64_t* strides[N];  ///< in elements, as many as the shape has axes
  int item[N];                     ///< bytes of an element: 1, 4 or 8
};

namespace nest {

inline constexpr int tile_bytes = 4096;

template <class T>
WENGERT_INLINE void copy_tile(T* to, const T* from, std::int64_t rows, std::int64_t cols,
                              std::int64_t row_stride, std::int64_t col_stride) {
  const auto magnitude = [](std::int64_t s) { return s < 0 ? -s : s; };
  if (row_stride == 1) return transpose_tile(to, cols, from, col_stride, rows, cols);
  if (magnitude(row_stride) < magnitude(col_stride)) {  // read along the shorter stride
    for (std::int64_t c = 0; c < cols; ++c)
      for (std::int64_t r = 0; r < rows; ++r) to[r * cols + c] = from[r * row_stride + c * col_stride];
  } else {
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < cols; ++c) to[r * cols + c] = from[r * row_stride + c * col_stride];
  }
}
inline void copy_tile(char* to, const char* from, int item, std::int64_t rows, std::int64_t cols,
                      std::int64_t row_stride, std::int64_t col_stride) {
  switch (item) {
    case 1:
      return copy_tile(reinterpret_cast<std::uint8_t*>(to), reinterpret_cast<const std::uint8_t*>(from), rows,
                       cols, row_stride, col_stride);
    case 4:
      return copy_tile(reinterpret_cast<float*>(to), reinterpret_cast<const float*>(from), rows, cols,
                       row_stride, col_stride);
    default:
      return copy_tile(reinterpret_cast<double*>(to), reinterpret_cast<const double*>(from), rows, cols,
                       row_stride, col_stride);
  }
}

/// A block some of whose inputs have a column stride other than 0 and 1.
template <int N, class Run>
void run_staged(const Block<N>& whole, const std::int64_t (&col_stride)[N], const int (&item)[N],
                int out_item, Run run) {
  // 64 bytes beyond each tile may be read, as beyond any buffer.
  alignas(64) char buffer[N][tile_bytes + 64];
  int widest = 1;
  for (int i = 0; i < N; ++i)
    if (!whole.unit[i] && col_stride[i] != 0 && item[i] > widest) widest = item[i];
  const std::int64_t capacity = tile_bytes / widest;
  const std::int64_t tile_cols = whole.rows == 1 ? capacity : whole.n < 32 ? whole.n : 32;
  const std::int64_t tile_rows = capacity / tile_cols < whole.rows ? capacity / tile_cols : whole.rows;
  const std::int64_t last_tile = whole.n == 0 ? 0 : (whole.n - 1) / tile_cols * tile_cols;
  Block<N> tile = whole;
  for (std::int64_t r = 0; r < whole.rows; r += tile_rows) {
    tile.rows = whole.rows - r < tile_rows ? whole.rows - r : tile_rows;
    // From right to left when there are rows below: the last vector of a row may write into the beginning of
    // the next row, which must not be finished yet. A single row goes from left to right for the same reason.
    for (std::int64_t k = 0; k <= last_tile; k += tile_cols) {
      const std::int64_t c = whole.rows == 1 ? k : last_tile - k;
      tile.n = whole.n - c < tile_cols ? whole.n - c : tile_cols;
      tile.out = whole.out + (r * whole.out_pitch + c) * out_item;
      for (int i = 0; i < N; ++i) {
        const char* from = whole.in[i] + (r * whole.pitch[i] + c * col_stride[i]) * item[i];
        if (col_stride[i] == 0 || col_stride[i] == 1) {
          tile.in[i] = from;
        } else {
          copy_tile(buffer[i], from, item[i], tile.rows, tile.n, whole.pitch[i], col_stride[i]);
          tile.in[i] = buffer[i];
          tile.pitch[i] = tile.n;
          tile.unit[i] = true;
        }
      }
      run(tile);
    }
  }
}

}  // namespace nest

/// Calls run(const Block<N>&) for blocks that cover a contiguous output of `shape` in row-major order. A run
/// may write up to one vector beyond the end of a row: what it overwrites is written later.
template <int N, class Run>
WENGERT_INLINE void for_each_block(char* out, int out_item, const Shape& shape, const NestInput<N>& in,
                                   Run run) {
  // Joined axes, innermost first.
  std::int64_t size[max_ndim], stride[max_ndim][N];
  int count = 0;
  for (int axis = shape.size() - 1; axis >= 0; --axis) {
    const std::int64_t n = shape[axis];
    if (n == 0) return;
    if (n == 1) continue;
    bool joins = count > 0;
    if (joins)
      for (int i = 0; i < N; ++i) joins &= in.strides[i][axis] == stride[count - 1][i] * size[count - 1];
    if (joins) {
      size[count - 1] *= n;
      continue;
    }
    size[count] = n;
    for (int i = 0; i < N; ++i) stride[count][i] = in.strides[i][axis];
    ++count;
  }
  Block<N> block;
  block.out = out;
  block.n = count > 0 ? size[0] : 1;
  block.rows = count > 1 ? size[1] : 1;
  block.out_pitch = block.n;
  bool staged = false;
  std::int64_t col_stride[N];
  for (int i = 0; i < N; ++i) {
    col_stride[i] = count > 0 ? stride[0][i] : 1;
    block.in[i] = in.data[i];
    block.pitch[i] = count > 1 ? stride[1][i] : 0;
    block.unit[i] = col_stride[i] == 1;
    staged |= col_stride[i] != 0 && col_stride[i] != 1;
  }
  std::int64_t index[max_ndim] = {};
  while (true) {
    if (staged)
      nest::run_staged(block, col_stride, in.item, out_item, run);
    else
      run(block);
    int d = 2;
    for (; d < count; ++d) {
      const bool carry = ++index[d] == size[d];
      const std::int64_t steps = carry ? 1 - size[d] : 1;
      for (int i = 0; i < N; ++i) block.in[i] += steps * stride[d][i] * in.item[i];
      if (!carry) break;
      index[d] = 0;
    }
    if (d >= count) return;
    block.out += block.rows * block.n * out_item;
  }
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
