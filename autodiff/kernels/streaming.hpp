#pragma once

#include <cstdint>

namespace wengert {

/// In RowOp::repeated of a chain, beside the bits of its inputs: its arrays come from memory, so it takes
/// smaller groups of registers (chain.hpp).
inline constexpr std::uint32_t streaming_chain = 1u << 31;

}  // namespace wengert
