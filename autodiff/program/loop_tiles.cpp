#include "autodiff/program/loop_tiles.hpp"

#include <algorithm>
#include <numeric>

namespace wengert::program {
namespace {

constexpr auto line = static_cast<std::int64_t>(detail::buffer_alignment);
/// What the operands of one tile may take of the L1 cache.
constexpr std::int64_t tile_budget = 32768;
constexpr std::int64_t largest_tile = 2048;
constexpr std::int64_t tile_unit = 128;  // whole groups of registers in chains
/// Elements of a tile of which nothing is read a second time.
constexpr std::int64_t passing_tile = 1 << 14;
constexpr std::int64_t most_chunks = 16;
constexpr std::int64_t fewest_rows_in_chunk = 16;
/// That sums over rows add side by side.
constexpr std::int64_t rows_at_once = 8;
/// Operands of so many bytes are asked for.
constexpr std::int64_t fetched_bytes = 1 << 20;

/// What is asked for after each operation.
std::int64_t bytes_ahead(const Loop& loop, const Stream& s) {
  const std::int64_t bytes = loop.tile_rows * loop.tile_columns * s.column_bytes;
  const std::int64_t lines = (bytes + line - 1) / line, parts = static_cast<std::int64_t>(loop.body.size());
  return (lines + parts - 1) / parts * line;
}

/// The tiles of a loop with a product: rows that end on a cache line, as many as make up a block of rows that
/// the product computes at a time.
void choose_rows(Loop& loop, const TileNeeds& needs, std::int64_t elements) {
  const std::int64_t unit = line / std::gcd(loop.columns, line), most = needs.product_rows;
  loop.tile_columns = loop.columns;
  loop.tile_rows = unit;
  while (2 * loop.tile_rows <= most && 2 * loop.tile_rows * loop.columns <= elements) loop.tile_rows *= 2;
  loop.tiles = (loop.rows + loop.tile_rows - 1) / loop.tile_rows;
  const std::int64_t blocks = (loop.rows + most - 1) / most;
  const bool cut = needs.large_product || (needs.sums && loop.rows * loop.columns >= chunked_elements);
  loop.chunks = cut ? std::min(blocks, most_chunks) : 1;
  loop.chunk_tiles = (blocks + loop.chunks - 1) / loop.chunks * (most / loop.tile_rows);
  loop.chunks = (loop.tiles + loop.chunk_tiles - 1) / loop.chunk_tiles;
}

}  // namespace

void choose_tile(Loop& loop, const Step& step, const TileNeeds& needs) {
  const std::int64_t total = step.rows * step.columns;
  std::int64_t elements = tile_budget / (needs.wide_operands * needs.item) / tile_unit * tile_unit;
  elements = std::clamp(elements, smallest_tile, largest_tile);
  if (needs.product_rows != 0) return choose_rows(loop, needs, elements);
  if (!step.structured) {
    loop.rows = 1;
    loop.columns = total;
  }
  if (needs.passes) {
    elements = passing_tile;
    if (needs.sums_rows) elements = std::max(elements, rows_at_once * loop.columns);
  }
  if (loop.columns > elements && !needs.whole_rows) {
    loop.tile_rows = 1;
    loop.tile_columns = elements;
  } else {
    loop.tile_columns = loop.columns;
    loop.tile_rows = std::clamp<std::int64_t>(elements / loop.columns, 1, loop.rows);
  }
  // Tiles that end on cache lines where that is possible; small loops stay whole.
  const std::int64_t unit = line / std::gcd(loop.columns, line);
  if (loop.tile_rows > unit && total > smallest_tile) loop.tile_rows -= loop.tile_rows % unit;
  loop.column_tiles = (loop.columns + loop.tile_columns - 1) / loop.tile_columns;
  loop.tiles = (loop.rows + loop.tile_rows - 1) / loop.tile_rows * loop.column_tiles;
  loop.chunks = total >= (needs.sums ? chunked_elements : parallel_elements(step))
                    ? std::min(loop.tiles, most_chunks)
                    : 1;
  // Parts of sums that are small beside what they are the sum of.
  if (needs.sums_rows)
    loop.chunks = std::clamp<std::int64_t>(loop.rows / fewest_rows_in_chunk, 1, loop.chunks);
  loop.chunk_tiles = (loop.tiles + loop.chunks - 1) / loop.chunks;
  if (loop.column_tiles > 1 && loop.rows > 1)  // whole rows of tiles
    loop.chunk_tiles = (loop.chunk_tiles + loop.column_tiles - 1) / loop.column_tiles * loop.column_tiles;
  if (loop.chunks > 1 && loop.rows > 1) {
    const std::int64_t rows_of_tiles = loop.chunk_tiles / loop.column_tiles;
    const std::int64_t need = unit / std::gcd(unit, loop.tile_rows);
    loop.chunk_tiles = (rows_of_tiles + need - 1) / need * need * loop.column_tiles;
  }
  loop.chunks = (loop.tiles + loop.chunk_tiles - 1) / loop.chunk_tiles;
}

void add_move(std::vector<RowMove>& moves, std::uint32_t slot, std::int64_t bytes) {
  if (std::none_of(moves.begin(), moves.end(), [&](const RowMove& m) { return m.slot == slot; }))
    moves.push_back({slot, bytes});
}

void fetch_ahead(Loop& loop, const LongChain& chain, const std::set<std::uint32_t>& written) {
  for (std::uint32_t k = 0; k < loop.streams.size(); ++k) {
    const Stream& s = loop.streams[k];
    if (s.row_bytes * loop.rows < fetched_bytes || s.column_bytes == 0) continue;
    if (chain.steps == nullptr || !written.contains(s.slot)) {
      loop.ahead.push_back({k, bytes_ahead(loop, s)});
      continue;
    }
    LoopOp& o = loop.body[chain.operation];
    chain.steps->insert(chain.steps->begin(), {chain.fetch, s.slot});
    o.op.attributes = chain.steps->data();
    if (o.moves != nullptr) add_move(*o.moves, s.slot, s.row_bytes);
  }
}

}  // namespace wengert::program
