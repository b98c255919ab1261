#pragma once

#include "autodiff/program/loop_maker.hpp"

namespace wengert::program {

/// An instruction's place in a chain of its loop (kernels/chain.hpp); positions are those in the loop.
struct ChainLink {
  static constexpr std::uint8_t nothing = 0xff;

  std::uint32_t before = none, after = none;  ///< positions of the operations before and after it
  std::uint8_t handed_on = nothing;  ///< the input that is the result of the one before; or it begins anew
  bool stored = false;               ///< somebody else reads the result too
};

/// The chains of a loop, by position. An operator joins the chains of the operators that compute its inputs,
/// one after the other, when they are of the same extent; what the one before it computes, it gets in
/// registers. The operations of a chain run where the last of them stands, so a chain ends before somebody
/// else reads what it computes, or writes over what it reads.
std::vector<ChainLink> find_chains(const LoopRequest& request, const Plan& plan);

}  // namespace wengert::program
