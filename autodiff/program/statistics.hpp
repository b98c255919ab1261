#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace wengert {

/// What one pass did: instructions before and after it.
struct PassStatistics {
  std::string name;
  std::size_t before = 0;
  std::size_t after = 0;
};

/// A program in numbers.
///
/// *Operations.* One for each + - * /, maximum, minimum and elementary function (exp, tanh, sqrt, power) of a
/// floating element; none for comparisons, choices, changes of sign and copies. Elementwise operators are
/// counted in their own rule; a product of m x k and k x n is 2 m k n; a reduction is one for each element of
/// its input, softmax 5, its derivative, logsumexp and variances 4. Operators of one's own with an xtensor
/// body count nothing.
///
/// *Bytes moved.* What the steps of a run read and write as a whole: the operands and the result of a call;
/// for a loop of fused operators what comes from outside, and what is needed outside of it. Values that live
/// in a loop's tiles, and views, are none; a broadcast operand counts once.
///
/// *Memory.* The arena and the tiles are allocated once and kept; results and those new values of states that
/// are not written over the old ones are allocated by every run. Their sum is the peak: what a run needs
/// besides arguments, constants and states, whose sizes are given too. (Kernels that can't work on a strided
/// operand copy it for themselves; that is not counted.) Every thread that runs the program at the same time
/// has an arena of its own.
struct ProgramStatistics {
  std::size_t recorded = 0;      ///< instructions as they were written down
  std::size_t instructions = 0;  ///< after the passes
  std::size_t steps = 0;         ///< kernel calls and loops of a run
  std::size_t loops = 0;
  std::size_t products = 0;            ///< that loops compute themselves, some rows at a time
  std::size_t assumptions = 0;         ///< values that are looked at, whether they are bounded
  std::size_t groups = 0;              ///< of steps that run side by side when there are several threads
  std::size_t steps_grouped = 0;       ///< in all of them
  std::vector<PassStatistics> passes;  ///< that ran, in their order

  std::int64_t flops = 0;
  std::int64_t bytes_moved = 0;

  std::size_t arena_bytes = 0;      ///< of intermediate values
  std::size_t frame_bytes = 0;      ///< of tiles, a thread
  std::size_t result_bytes = 0;     ///< of results that are new tensors
  std::size_t new_state_bytes = 0;  ///< of states that are not changed in place
  std::size_t argument_bytes = 0;
  std::size_t constant_bytes = 0;
  std::size_t state_bytes = 0;

  std::size_t peak_bytes() const { return arena_bytes + frame_bytes + result_bytes + new_state_bytes; }
};

/// A line each for instructions and the passes that changed their number, for work, and for memory.
std::string to_string(const ProgramStatistics& statistics);
std::ostream& operator<<(std::ostream& out, const ProgramStatistics& statistics);

}  // namespace wengert
