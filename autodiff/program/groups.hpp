#pragma once

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

/// Steps that can throw, draw random numbers or run a function of the user's stand alone, and products that
/// are cut into pieces themselves; nobody runs beside what changes a state that he reads. Two threads must
/// gain `least_gain` nanoseconds by a group.
Groups find_groups(const Graph& graph, const Schedule& schedule, std::int64_t least_gain);

}  // namespace wengert::program
