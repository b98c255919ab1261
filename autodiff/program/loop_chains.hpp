#pragma once

#include "autodiff/program/loop_maker.hpp"

namespace wengert::program {

/// An instruction's place in a chain of its loop (kernels/chain.hpp); positions are those in the loop.
struct ChainLink {
  std::uint32_t before = none, after = none;  ///< positions of the operations before and after it
  std::uint8_t handed_on = 0;                 ///< the input that is the result of the one before
  bool stored = false;                        ///< somebody else reads the result too
  std::uint8_t kept = 0;     ///< tiles that are kept for the chain: operands of it, and of those before
  std::uint16_t steps = 1;   ///< of the chain up to here
  std::uint32_t end = none;  ///< the chain may end here, not later
};

/// The chains of a loop, by position. A result is handed on in registers to its first reader, when that is an
/// operator of the same extent in the same loop. The operations of a chain run where the last of them stands,
/// so a chain ends before somebody else reads what it computes, or writes over what it reads.
std::vector<ChainLink> find_chains(const LoopRequest& request, const Plan& plan);

}  // namespace wengert::program
