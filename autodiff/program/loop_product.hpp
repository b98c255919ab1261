#pragma once

#include "autodiff/program/loop_tiles.hpp"

namespace wengert::program {

/// A loop that computes a matrix product along with what reads it (Step::product): a block of rows at a time,
/// which lie in the thread's frame until the loop's tiles have used them. So the result of the product is in
/// the cache when it is used and needs no memory of its own, and what else is used with it (the weights and
/// moments of an update) is fetched while the product keeps the arithmetic units busy.

/// The domain of the loop, and what its tiles depend on.
void look_at_product(const LoopRequest& request, Loop& loop, TileNeeds& needs);

/// Gives the slot of the product's rows. The tiles are chosen by then.
std::uint32_t add_product(const LoopRequest& request, Loop& loop, Plan& plan);

/// When all streams and the frame are known: room for the rows, and which matrices are fetched beside them.
void fetch_beside_product(Loop& loop, Plan& plan);

}  // namespace wengert::program
