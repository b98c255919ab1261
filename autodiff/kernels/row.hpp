#pragma once

/// \file
/// Row kernels: an operator's arithmetic on a tile of contiguous rows, which is what chains of operators are
/// run with, tile by tile, in the L1 cache.

#include <array>
#include <cstddef>
#include <cstdint>

namespace wengert {

struct Call;
struct RowOp;

/// Computes one tile. `slots` is a table of buffers; the operation names its operands by position in it.
/// The tile is `rows` rows of `cols` elements, contiguous and row-major; in a reduction, a softmax or
/// take_along_axis `cols` is the length of a row of the full operand, in one_hot the depth. Every buffer may
/// be read and written to the next multiple of 64 bytes after its end, as any buffer of a tensor may. The
/// result overlaps no input, but that of an elementwise operator may take the place of an input whose
/// elements have its size.
using RowKernel = void (*)(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols);

/// One operation of a chain.
struct RowOp {
  static constexpr int max_inputs = 8;

  RowKernel kernel = nullptr;
  const void* attributes = nullptr;  ///< the operator's attribute struct, or null
  std::uint32_t out = 0;             ///< position of the result in the table of buffers
  std::uint32_t in[max_inputs] = {};
  std::uint32_t repeated = 0;  ///< elementwise: bit i, input i is a single element used for all
};

/// One operator of a chain that hands its result on in registers (chain.hpp), a store, a load, or the end. An
/// operator of n > 2 operands takes n - 1 of them, one for each operand that is not handed on.
struct ChainStep {
  const void* functions = nullptr;  ///< chain::Functions of the element type
  std::uint32_t slot = 0;           ///< the other operand, when there is one, or the result
};

/// What runs chains of an element type, on registers of one size.
struct ChainRunner {
  RowKernel kernel = nullptr;
  const void* store = nullptr;  ///< ChainStep::functions of what writes to `slot` and goes on
  const void* end = nullptr;    ///< ... and ends the chain
  const void* load[2] = {};     ///< begins anew with the operand at `slot`: a full one, a single element
  const void* fetch =
      nullptr;          ///< ... of what asks for the cache lines at `slot`, to be written, and goes on
  int group_bytes = 0;  ///< of the registers that are handed on at most; equal in all steps of a chain
  int most_steps = 0;   ///< of a chain: a store and a load that often cost nothing
};

/// How an elementwise operator takes part in chains.
struct ChainRule {
  const ChainRunner* runner = nullptr;
  const void* const* functions = nullptr;  ///< of its steps
  std::uint8_t operands = 0;
  std::uint8_t handed_on = 0;  ///< the first so many operands may be the one in registers
  std::uint8_t scalars =
      0;                 ///< of more than two operands, the last so many are single elements, the others full
  bool is_long = false;  ///< an elementary function: while it computes, memory has time

  /// ChainStep::functions where operand k is handed on; of two operands, the other one may be a single
  /// element used for all.
  const void* step(std::uint32_t k, bool repeated) const {
    return functions[operands == 2 ? 2 * k + (repeated ? 1 : 0) : k];
  }
};

/// What an elementwise row kernel gets with more than one row, each at a distance of its own.
struct PitchedRowOp : RowOp {
  /// Bytes from a row to the next: of the result, then of the inputs (0 for a bias). Rows are written in
  /// order, the last vector of each in full.
  const std::int64_t* pitch = nullptr;
};

/// What a kernel can be told about a call beforehand.
using DirectSizes = std::array<std::int64_t, 8>;

/// What a product that computes some rows of its result has in place of the attribute struct.
struct SomeRows {
  static constexpr std::size_t most_fetched = 4;
  /// transpose_a, transpose_b, m, n, k, and how far rows of A and B are apart.
  DirectSizes sizes;
  /// Elements of A from what is multiplied for a row of the result to the next one.
  std::int64_t row_step() const { return sizes[0] != 0 ? 1 : sizes[5]; }
  /// Slots of matrices of the result's shape and element type that are used after these rows: they are asked
  /// for meanwhile.
  std::array<std::uint32_t, most_fetched> fetched = {};
  std::uint32_t fetches = 0;
};

/// How an operator works on the rows of a matrix, when it does.
struct RowRule {
  /// By element type of input `data_input`.
  RowKernel kernel[4] = {};
  std::uint8_t data_input = 0;  ///< 1 for `where`, whose input 0 is the condition
  /// out[i] = f(in0[i], ...): called with rows = 1 and cols elements, at least one, or with a
  /// PitchedRowOp; inputs are full or `repeated`.
  bool elementwise = false;
  /// Elementwise, by element type: null where it does not take part.
  const ChainRule* chain[4] = {};
  /// Not elementwise: whether this call works on whole rows, all leading axes of the data counted as rows and
  /// the last one as columns.
  bool (*fits)(const Call&) = nullptr;
  std::uint32_t column_inputs = 0;  ///< bit i: input i has one element a row; the others are full tiles
  bool column_result = false;       ///< the result has one element a row
  bool in_place = false;            ///< not elementwise: the result may take the place of input 0
  /// sum: whether this call adds up over all leading axes (the result is one row) or over all axes.
  bool (*sums_rows)(const Call&) = nullptr;
  /// No row operator, but a kernel that needs nothing but addresses and a few numbers when all operands are
  /// contiguous: fills in the numbers that `attributes` then points to, instead of the attribute struct, or
  /// returns false. `rows` and `cols` mean nothing to it. The input that the operator overwrites may have the
  /// memory of the result.
  bool (*direct)(const Call&, DirectSizes&) = nullptr;
  /// A product of matrices, `direct`, that may be computed some rows of the result at a time, so that a loop
  /// uses them while they are in the cache: how many at a time, or 0. Each is a multiple of rows that end on
  /// a cache line.
  std::int64_t (*rows_at_once)(const Call&) = nullptr;
  /// ... by element type: `rows` rows of the result. Input 0 begins with what they are computed from, at
  /// `attributes` is a SomeRows, and the bits are those of the whole product.
  RowKernel some_rows[4] = {};
  /// sum, by element type: out[c] += the sum of in[r, c] over the rows of a tile. `attributes` points to an
  /// std::int64_t, the number of rows that the tiles have together.
  RowKernel add_rows[4] = {};
};

}  // namespace wengert
