#pragma once

#include <functional>

#include "autodiff/program/plan.hpp"

namespace wengert::program {

/// Every tile has at least this many elements, or all.
inline constexpr std::int64_t smallest_tile = 256;
/// From this many elements on a loop is cut into chunks in which sums have a part of their own.
inline constexpr std::int64_t chunked_elements = 1 << 16;
/// From this many on it is worth a second thread.
inline std::int64_t parallel_elements(const Step& step) {
  const auto operations = static_cast<std::int64_t>(step.instructions.size());
  return (parallel_work + operations - 1) / operations;
}

/// Notes about values, by root: one set for all loops of a program, because each value is computed by one of
/// them.
struct LoopNotes {
  explicit LoopNotes(std::size_t values)
      : last(values, none),
        read_by(values, none),
        slot(values, none),
        position(values, none),
        frame(values, 0) {}
  std::vector<std::uint32_t> last;     ///< position of the last reader in the loop that computes it
  std::vector<std::uint32_t> read_by;  ///< the last loop that reads it as a stream
  std::vector<std::uint32_t> slot;
  std::vector<std::uint32_t> position;  ///< of what computes it, in its loop
  std::vector<std::uint8_t> frame;      ///< it lives in the frame: 1 an element a row, 2 a tile
};

/// What a loop is made from.
struct LoopRequest {
  const Graph& graph;
  const Schedule& schedule;
  const Step& step;
  std::uint32_t step_number;
  const std::vector<bool>& leaves;  ///< by root: needed outside of the loop
  LoopNotes& notes;
  std::function<Place(ValueId)> place;           ///< of values in memory
  std::function<Place(std::size_t)> work_space;  ///< for the time of the loop

  ValueId root(ValueId v) const { return schedule.layouts[v].root; }
  /// Whether the loop itself computes that root.
  bool inside(ValueId r) const {
    const Value& value = graph.value(r);
    return value.source == Source::instruction && schedule.step_of[value.index] == step_number;
  }
};

/// Lowers a step of row operators to row operations on tiles: which operands are streams of memory and which
/// stay in the L1 cache, how large the tiles are, how sums are put together. `plan` keeps what the operations
/// point to.
Loop make_loop(const LoopRequest& request, Plan& plan);

}  // namespace wengert::program
