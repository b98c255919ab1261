#include "autodiff/program/loop.hpp"

#include <algorithm>
#include <cstring>

#include "autodiff/tensor/storage.hpp"

namespace wengert::program {
namespace {

template <class F>
void with_item(const RowOp& op, F&& f) {
  switch (*static_cast<const std::int64_t*>(op.attributes)) {
    case 1:
      return f(std::uint8_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

/// The operations on one tile; `after` is called behind each.
template <class After>
void run(const std::vector<LoopOp>& ops, std::byte** slots, std::int64_t rows, std::int64_t columns,
         After&& after) {
  const std::int64_t extents[4][2] = {{1, rows * columns}, {1, rows}, {rows, columns}, {1, columns}};
  for (const LoopOp& o : ops) {
    const auto& [r, c] = extents[static_cast<int>(o.extent)];
    o.op.kernel(slots, o.op, r, c);
    if (o.extent == Extent::row) {
      for (std::int64_t row = 1; row < rows; ++row) {
        for (const RowMove& m : *o.moves) slots[m.slot] += m.bytes;
        o.op.kernel(slots, o.op, r, c);
      }
      for (const RowMove& m : *o.moves) slots[m.slot] -= (rows - 1) * m.bytes;
    }
    after();
  }
}
void run(const std::vector<LoopOp>& ops, std::byte** slots, std::int64_t rows, std::int64_t columns) {
  run(ops, slots, rows, columns, [] {});
}

/// The same with the next tile's operands fetched into the cache meanwhile, some lines after each operation:
/// the hardware follows a stream only as long as it is read without a pause.
void run_fetching(const Loop& loop, std::byte** slots, std::int64_t rows, std::int64_t columns) {
  constexpr auto line = static_cast<std::int64_t>(detail::buffer_alignment);
  std::int64_t n = 0;
  run(loop.body, slots, rows, columns, [&] {
    for (const Ahead& a : loop.ahead) {
      const Stream& s = loop.streams[a.stream];
      const std::int64_t bytes = rows * columns * s.column_bytes;
      const std::byte* const next = slots[s.slot] + bytes;
      for (std::int64_t i = n * a.bytes; i < std::min(bytes, (n + 1) * a.bytes); i += line)
        __builtin_prefetch(next + i);
    }
    ++n;
  });
}

std::byte* at(std::byte* const* bases, const Place& place) { return bases[place.buffer] + place.offset; }

std::byte* tile_of(const Stream& s, const LoopThread& thread, std::int64_t row, std::int64_t column) {
  return at(thread.bases, s.place) + row * s.row_bytes + column * s.column_bytes;
}

/// A tile with the streams whose last vectors would reach beyond their chunk written into the frame instead.
struct Guard {
  const Loop& loop;
  const LoopThread& thread;
  std::int64_t row, column, end_row, end_column;  // of the tile; where the next chunk begins
  std::int64_t rows, columns;

  template <class F>
  void each(F&& f) const {
    constexpr std::size_t line = detail::buffer_alignment;
    for (const Written& w : loop.written) {
      const Stream& s = loop.streams[w.stream];
      std::byte* const begin = tile_of(s, thread, row, column);
      const auto bytes = static_cast<std::size_t>((w.full ? rows * columns : rows) * w.item);
      const std::size_t last = w.row_bytes == 0 ? bytes : static_cast<std::size_t>(w.row_bytes);
      if (begin + (bytes - last) + (last + line - 1) / line * line > tile_of(s, thread, end_row, end_column))
        f(s.slot, begin, thread.frame + w.spare, bytes);
    }
  }
  void run() const {
    each([&](std::uint32_t slot, const std::byte* tile, std::byte* spare, std::size_t bytes) {
      std::memcpy(spare, tile, bytes);  // it may be read before it is written
      thread.slots[slot] = spare;
    });
    program::run(loop.body, thread.slots, rows, columns);
    each([&](std::uint32_t, std::byte* tile, const std::byte* spare, std::size_t bytes) {
      std::memcpy(tile, spare, bytes);
    });
  }
};

}  // namespace

void begin_loop(const Loop& loop, const LoopThread& thread) {
  for (const Stream& s : loop.fixed) thread.slots[s.slot] = at(thread.bases, s.place);
  if (!loop.prologue.empty()) run(loop.prologue, thread.slots, loop.tile_rows, loop.tile_columns);
}

void run_chunk(const Loop& loop, const LoopThread& thread, std::int64_t chunk) {
  std::byte** const slots = thread.slots;
  for (const TileSum& sum : loop.sums)
    if (!sum.everything)
      std::memset(at(thread.bases, sum.parts) + chunk * sum.part_bytes, 0,
                  static_cast<std::size_t>(sum.columns * sum.item));
  const auto row_of = [&](std::int64_t tile) { return tile / loop.column_tiles * loop.tile_rows; };
  const auto column_of = [&](std::int64_t tile) { return tile % loop.column_tiles * loop.tile_columns; };
  const std::int64_t end = std::min(loop.tiles, (chunk + 1) * loop.chunk_tiles);
  // After the last chunk there is only the room that every buffer has to spare.
  const std::int64_t guarded = end == loop.tiles ? end : end - loop.guarded_tiles;
  for (std::int64_t tile = chunk * loop.chunk_tiles; tile < end; ++tile) {
    const std::int64_t row = row_of(tile), column = column_of(tile);
    for (const Stream& s : loop.streams) slots[s.slot] = tile_of(s, thread, row, column);
    for (const TileSum& sum : loop.sums)
      slots[sum.slot] = at(thread.bases, sum.parts) +
                        (sum.everything ? tile * sum.part_bytes : chunk * sum.part_bytes + column * sum.item);
    const std::int64_t rows = std::min(loop.tile_rows, loop.rows - row);
    const std::int64_t columns = std::min(loop.tile_columns, loop.columns - column);
    if (const LoopProduct& product = loop.product) {
      const std::int64_t of_block = row % product.rows;
      slots[product.op.out] = thread.frame + product.frame;
      if (of_block == 0)
        product.op.kernel(slots, product.op, std::min(product.rows, loop.rows - row), loop.columns);
      slots[product.op.out] += of_block * product.row_bytes;
    }
    if (tile >= guarded)
      Guard{loop, thread, row, column, row_of(end), column_of(end), rows, columns}.run();
    else if (loop.ahead.empty())
      run(loop.body, slots, rows, columns);
    else
      run_fetching(loop, slots, rows, columns);
  }
}

void finish_sums(const Loop& loop, std::byte* const* bases) {
  for (const TileSum& sum : loop.sums) {
    std::byte* slots[] = {at(bases, sum.result), at(bases, sum.parts), nullptr};
    RowOp op;
    if (sum.everything) {
      op.out = 0;
      op.in[0] = 1;
      sum.sum(slots, op, 1, loop.tiles);
      continue;
    }
    if (loop.chunks == 1) continue;  // the only part is the result itself
    std::memcpy(slots[0], slots[1], static_cast<std::size_t>(sum.columns * sum.item));
    op.in[1] = 1;
    for (std::int64_t chunk = 1; chunk < loop.chunks; ++chunk) {
      slots[1] += sum.part_bytes;
      sum.add(slots, op, 1, sum.columns);
    }
  }
}

namespace tiles {

void expand_row(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns) {
  const std::int64_t bytes = columns * *static_cast<const std::int64_t*>(op.attributes);
  std::byte* out = slots[op.out];
  const std::byte* const in = slots[op.in[0]];
  if (bytes <= static_cast<std::int64_t>(detail::buffer_alignment)) {  // whole lines, over the next row
    for (std::int64_t r = 0; r < rows; ++r, out += bytes) std::memcpy(out, in, detail::buffer_alignment);
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r, out += bytes) std::memcpy(out, in, static_cast<std::size_t>(bytes));
}

void expand_column(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t columns) {
  with_item(op, [&](auto zero) {
    using T = decltype(zero);
    auto* out = reinterpret_cast<T*>(slots[op.out]);
    const auto* in = reinterpret_cast<const T*>(slots[op.in[0]]);
    for (std::int64_t r = 0; r < rows; ++r, out += columns) std::fill(out, out + columns, in[r]);
  });
}

void spread(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t) {
  with_item(op, [&](auto zero) {
    using T = decltype(zero);
    auto* out = reinterpret_cast<T*>(slots[op.out]);
    std::fill(out, out + detail::buffer_alignment / sizeof(T), *reinterpret_cast<const T*>(slots[op.in[0]]));
  });
}

void clear(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t bytes) {
  std::memset(slots[op.out], 0, static_cast<std::size_t>(bytes));
}

void copy_one(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t) {
  std::memcpy(slots[op.out], slots[op.in[0]],
              static_cast<std::size_t>(*static_cast<const std::int64_t*>(op.attributes)));
}

}  // namespace tiles

}  // namespace wengert::program
