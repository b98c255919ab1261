#pragma once

#include <atomic>

#include "autodiff/program/schedule.hpp"

namespace wengert::program {

/// Which steps of a schedule run side by side: steps of one stage, which don't depend on each other, that are
/// worth a thread together but not each.
struct Groups {
  std::vector<std::uint32_t> end;       ///< by step: the last one of its group; its own number without one
  std::vector<std::int64_t> durations;  ///< by step: nanoseconds, roughly

  /// Whether the step runs beside others.
  bool any(std::uint32_t step) const { return end[step] != step || (step > 0 && end[step - 1] == step); }
  /// Whether it is the first of its group.
  bool begins(std::uint32_t step) const { return end[step] != step && (step == 0 || end[step - 1] < step); }
};

/// What two threads must gain by a group, in nanoseconds. Tests make groups of everything.
inline std::atomic<std::int64_t> least_gain{2500};

/// Steps that can throw, draw random numbers or run a function of the user's stand alone, and products that
/// are cut into pieces themselves; nobody runs beside what changes a state that he reads.
Groups find_groups(const Graph& graph, const Schedule& schedule);

}  // namespace wengert::program
