#pragma once

#include <set>

#include "autodiff/program/loop_maker.hpp"

namespace wengert::program {

/// What the size of a loop's tiles depends on.
struct TileNeeds {
  bool whole_rows = false, sums_rows = false;  ///< some operation takes whole rows, adds up rows
  bool sums = false;                           ///< some operation adds up rows, or everything
  bool passes = false;                         ///< a single operation: nothing has to stay in the cache
  std::int64_t item = 1;                       ///< bytes of the largest element
  std::int64_t wide_operands = 1;              ///< tiles in the L1 cache at a time
  std::int64_t product_rows = 0;               ///< that the loop's product computes at a time
  bool large_product = false;                  ///< worth a second thread
};

void choose_tile(Loop& loop, const Step& step, const TileNeeds& needs);

/// A chain with an elementary function: memory has time while it computes.
struct LongChain {
  std::size_t operation = 0;  ///< position in the body
  std::vector<ChainStep>* steps = nullptr;
  const void* fetch = nullptr;  ///< ChainRunner::fetch
};

/// What a loop reads is asked for a tile ahead, some lines after each operation: the hardware follows a
/// stream only as long as it is read without a pause. What it writes (slots in `written`) is asked for in
/// that chain, if there is one, for the tile at hand; otherwise like the rest.
void fetch_ahead(Loop& loop, const LongChain& chain, const std::set<std::uint32_t>& written);

void add_move(std::vector<RowMove>& moves, std::uint32_t slot, std::int64_t bytes);

}  // namespace wengert::program
