#pragma once

/// \file
/// The loop nest around an elementwise row kernel, without the arithmetic: it joins axes, walks the outer
/// ones and hands rows to the kernel whose operands are then contiguous or a single element. Operands with
/// another stride are copied, a tile at a time, into a buffer that stays in the L1 cache. Types are erased,
/// so this is compiled once and not once per rule.

#include <cstdint>

#include "autodiff/kernels/isa.hpp"
#include "autodiff/kernels/row.hpp"
#include "autodiff/kernels/transpose.hpp"
#include "autodiff/tensor/shape.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

/// The result in the first buffer of a table, the inputs in the next ones.
inline constexpr RowOp first_slots{nullptr, nullptr, 0, {1, 2, 3, 4, 5, 6, 7, 8}, 0};

/// A row kernel over a contiguous output of `shape`.
struct Nest {
  struct Input {
    std::byte* data;
    const std::int64_t* strides;  ///< in elements, as many as the shape has axes; 0 along a repeated one
    int item;                     ///< bytes of an element: 1, 4 or 8
  };
  RowKernel kernel;
  const Shape& shape;
  std::byte* out;
  int out_item, count;
  Input in[RowOp::max_inputs];
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
inline void copy_tile(std::byte* to, const std::byte* from, int item, std::int64_t rows, std::int64_t cols,
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

/// Two axes of the output: `rows` rows of `n` elements. `inputs` is the number of them, or the largest.
template <int inputs>
struct Block {
  PitchedRowOp op{first_slots, nullptr};
  std::byte* slots[1 + inputs];
  std::int64_t pitch[1 + inputs];  ///< bytes between rows
  std::int64_t rows, n;

  void run() {
    op.pitch = pitch;
    op.kernel(slots, op, rows, n);
  }
};

/// A block some of whose inputs have a column stride other than 0 and 1.
template <int inputs>
[[gnu::noinline]] void run_staged(const Nest& nest, const Block<inputs>& whole,
                                  const std::int64_t* col_stride, int count) {
  // 64 bytes beyond each tile may be read, as beyond any buffer.
  alignas(64) std::byte buffer[inputs][tile_bytes + 64];
  int widest = 1;
  for (int i = 0; i < count; ++i)
    if (col_stride[i] != 0 && col_stride[i] != 1 && nest.in[i].item > widest) widest = nest.in[i].item;
  const std::int64_t capacity = tile_bytes / widest;
  const std::int64_t tile_cols = whole.rows == 1 ? capacity : whole.n < 32 ? whole.n : 32;
  const std::int64_t tile_rows = capacity / tile_cols < whole.rows ? capacity / tile_cols : whole.rows;
  const std::int64_t last_tile = (whole.n - 1) / tile_cols * tile_cols;
  Block<inputs> tile = whole;
  for (std::int64_t r = 0; r < whole.rows; r += tile_rows) {
    tile.rows = whole.rows - r < tile_rows ? whole.rows - r : tile_rows;
    // From right to left when there are rows below: the last vector of a row may write into the beginning of
    // the next row, which must not be finished yet. A single row goes from left to right for the same reason.
    for (std::int64_t k = 0; k <= last_tile; k += tile_cols) {
      const std::int64_t c = whole.rows == 1 ? k : last_tile - k;
      tile.n = whole.n - c < tile_cols ? whole.n - c : tile_cols;
      tile.slots[0] = whole.slots[0] + r * whole.pitch[0] + c * nest.out_item;
      for (int i = 0; i < count; ++i) {
        const int item = nest.in[i].item;
        std::byte* const from = whole.slots[1 + i] + r * whole.pitch[1 + i] + c * col_stride[i] * item;
        tile.slots[1 + i] = from;
        if (col_stride[i] == 0 || col_stride[i] == 1) continue;
        copy_tile(buffer[i], from, item, tile.rows, tile.n, whole.pitch[1 + i] / item, col_stride[i]);
        tile.slots[1 + i] = buffer[i];
        tile.pitch[1 + i] = tile.n * item;
      }
      tile.run();
    }
  }
}

/// `known` is the number of inputs, or 0 when only the nest knows it.
template <int known>
[[gnu::noinline]] void run(const Nest& nest) {
  constexpr int inputs = known > 0 ? known : RowOp::max_inputs;
  const int input_count = known > 0 ? known : nest.count;
  // Joined axes, innermost first.
  std::int64_t size[max_ndim], stride[max_ndim][inputs];
  int count = 0;
  for (int axis = nest.shape.size() - 1; axis >= 0; --axis) {
    const std::int64_t n = nest.shape[axis];
    if (n == 0) return;
    if (n == 1) continue;
    bool joins = count > 0;
    for (int i = 0; joins && i < input_count; ++i)
      joins = nest.in[i].strides[axis] == stride[count - 1][i] * size[count - 1];
    if (joins) {
      size[count - 1] *= n;
      continue;
    }
    size[count] = n;
    for (int i = 0; i < input_count; ++i) stride[count][i] = nest.in[i].strides[axis];
    ++count;
  }
  Block<inputs> block;
  block.op.kernel = nest.kernel;
  block.n = count > 0 ? size[0] : 1;
  block.rows = count > 1 ? size[1] : 1;
  block.slots[0] = nest.out;
  block.pitch[0] = block.n * nest.out_item;
  bool staged = false;
  std::int64_t col_stride[inputs];
  for (int i = 0; i < input_count; ++i) {
    col_stride[i] = count > 0 ? stride[0][i] : 1;
    block.slots[1 + i] = nest.in[i].data;
    block.pitch[1 + i] = count > 1 ? stride[1][i] * nest.in[i].item : 0;
    if (col_stride[i] == 0) block.op.repeated |= 1u << i;
    staged |= col_stride[i] != 0 && col_stride[i] != 1;
  }
  std::int64_t index[max_ndim] = {};
  while (true) {
    if (staged)
      run_staged<inputs>(nest, block, col_stride, input_count);
    else
      block.run();
    int d = 2;
    for (; d < count; ++d) {
      const bool carry = ++index[d] == size[d];
      const std::int64_t steps = carry ? 1 - size[d] : 1;
      for (int i = 0; i < input_count; ++i) block.slots[1 + i] += steps * stride[d][i] * nest.in[i].item;
      if (!carry) break;
      index[d] = 0;
    }
    if (d >= count) return;
    block.slots[0] += block.rows * block.pitch[0];
  }
}

}  // namespace nest

/// Runs the kernel on rows that cover the output in row-major order. It may write up to one vector beyond the
/// end of a row: what it overwrites is written later.
inline void run_nest(const Nest& nest) {
  switch (nest.count) {
    case 1:
      return nest::run<1>(nest);
    case 2:
      return nest::run<2>(nest);
    case 3:
      return nest::run<3>(nest);
    default:
      return nest::run<0>(nest);
  }
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
