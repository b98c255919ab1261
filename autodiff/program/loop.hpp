#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "autodiff/kernels/row.hpp"

namespace wengert::program {

/// Where the executor finds a value: number of a buffer in the table of base addresses, and an offset.
struct Place {
  std::uint32_t buffer = ~0u;
  std::int64_t offset = 0;
};

/// What a row kernel is called with.
enum class Extent : std::uint32_t {
  tile,    ///< one row of all elements of the tile
  column,  ///< one row with an element for each row of the tile
  rows,    ///< the rows and columns of the tile
  row,     ///< one row, once for each row of the tile
};

/// An operand of an operation that runs row by row: how far it is to the next row.
struct RowMove {
  std::uint32_t slot = 0;
  std::int64_t bytes = 0;
};

struct LoopOp {
  RowOp op;
  Extent extent = Extent::tile;
  std::vector<RowMove>* moves = nullptr;  ///< row by row
};

/// An operand in memory: which slot it is, where it begins, how far apart rows and columns are.
struct Stream {
  std::uint32_t slot = 0;
  Place place;
  std::int64_t row_bytes = 0;
  std::int64_t column_bytes = 0;
};

/// A stream that is written. Kernels write whole vectors, beyond the end of the tile: into tiles that come
/// later, but at the end of a chunk into what another thread computes. Tiles that would do that are written
/// elsewhere and copied.
struct Written {
  std::uint32_t stream = 0;  ///< position in `streams`
  std::size_t spare = 0;     ///< offset in the frame of room for a tile
  bool full = false;         ///< otherwise one element a row
  std::int64_t item = 4;
  std::int64_t row_bytes = 0;  ///< of rows that a kernel writes one by one, each with whole vectors; or 0
};

/// A sum over all rows (or over everything): each tile adds to, or leaves, a part; the parts are added at
/// the end, in an order that does not depend on the number of threads.
struct TileSum {
  bool everything = false;      ///< one number a tile; otherwise one row a chunk
  std::uint32_t slot = 0;       ///< of the part
  Place parts;                  ///< in the arena, or the result itself where there is one part
  std::int64_t part_bytes = 0;  ///< from one part to the next
  Place result;
  std::int64_t columns = 1;
  std::int64_t item = 4;
  RowKernel add = nullptr;
  RowKernel sum = nullptr;
};

/// An operation whose operands and extent are the same in every run.
struct FlatOp {
  RowOp op;
  std::uint32_t rows = 1, columns = 1;

  void run(std::byte* const* slots) const { op.kernel(slots, op, rows, columns); }
};

/// A stream that is asked for a tile ahead of its use.
struct Ahead {
  std::uint32_t stream;  ///< position in streams
  std::int64_t bytes;    ///< after each operation, whole lines
};

/// A product that a loop computes itself, some rows before the tiles that they belong to.
struct LoopProduct {
  RowOp op;
  std::int64_t rows = 0;  ///< at a time: whole tiles, and whole blocks make a chunk
  std::int64_t row_bytes = 0;
  std::size_t frame = 0;  ///< offset in the frame of room for them

  explicit operator bool() const { return rows != 0; }
};

/// Row operations over the tiles of a domain of rows and columns.
struct Loop {
  std::int64_t rows = 1, columns = 1;
  std::int64_t tile_rows = 1, tile_columns = 1;
  std::int64_t column_tiles = 1, tiles = 1;
  std::int64_t chunk_tiles = 1, chunks = 1;  ///< tiles in a chunk; sums have a part for each
  std::vector<Stream> fixed;                 ///< the same for all tiles
  std::vector<Stream> streams;
  std::vector<Written> written;    ///< of the streams: those in which the end of a chunk matters
  std::int64_t guarded_tiles = 0;  ///< last tiles of a chunk for which that is so
  bool parallel = false;           ///< chunks may run side by side, and are worth it
  std::vector<LoopOp> prologue;    ///< once before the first tile
  std::vector<LoopOp> body;
  LoopProduct product;
  std::vector<TileSum> sums;
  std::vector<Ahead> ahead;
  std::uint32_t slots = 0;
  std::vector<std::pair<std::uint32_t, std::size_t>> temporaries;  ///< slot, offset in the frame
  std::size_t frame_bytes = 0;

  /// Whether there is a single tile: such loops are flat operations of the plan.
  bool flat() const { return tiles == 1 && rows * columns <= INT32_MAX && !product; }
};

/// What a thread needs for a loop: the addresses of all buffers, and for itself a table of loop.slots
/// addresses in which the temporaries are set, and the frame that they lie in.
struct LoopThread {
  std::byte* const* bases;
  std::byte** slots;
  std::byte* frame;
};

/// What a thread does before its first chunk of a loop.
void begin_loop(const Loop& loop, const LoopThread& thread);
/// One chunk. Several threads may run different chunks of a loop at a time.
void run_chunk(const Loop& loop, const LoopThread& thread, std::int64_t chunk);
/// Adds up the parts of the sums, after all chunks.
void finish_sums(const Loop& loop, std::byte* const* bases);

/// Row kernels of the executor's own.
namespace tiles {
/// out[r, c] = in[c], in[r]; `attributes` points to the size of an element, 1, 4 or 8.
void expand_row(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns);
void expand_column(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns);
/// The element as often as fills a vector register.
void spread(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns);
/// Zeros in as many bytes as there are columns.
void clear(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns);
/// One element.
void copy_one(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns);
}  // namespace tiles

}  // namespace wengert::program
