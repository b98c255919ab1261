#pragma once

#include <functional>

#include "autodiff/program/plan.hpp"

namespace wengert::program {

/// Every tile has at least this many elements, or all.
inline constexpr std::int64_t smallest_tile = 256;

/// What a loop is made from.
struct LoopRequest {
  const Graph& graph;
  const Schedule& schedule;
  const Step& step;
  std::uint32_t step_number;
  const std::vector<bool>& leaves;               ///< by root: needed outside of the loop
  std::function<Place(ValueId)> place;           ///< of values in memory
  std::function<Place(std::size_t)> work_space;  ///< for the time of the loop
};

/// Lowers a step of row operators to row operations on tiles: which operands are streams of memory and which
/// stay in the L1 cache, how large the tiles are, how sums are put together. `plan` keeps what the operations
/// point to.
Loop make_loop(const LoopRequest& request, Plan& plan);

}  // namespace wengert::program
