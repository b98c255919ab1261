#pragma once

/// \file
/// Codes of the steps of a chain (chain.hpp, ChainStep in row.hpp).

namespace wengert::kernels::chain_codes {

inline constexpr unsigned end = 0;
inline constexpr unsigned store = 1;  ///< what the chain has come to goes to `slot`, and on

/// Rule i on input `handed_on`; the other input is full, or a single element.
constexpr unsigned rule(int i, int handed_on = 0, bool repeated = false) {
  return static_cast<unsigned>(2 + 4 * i + 2 * handed_on + (repeated ? 1 : 0));
}

}  // namespace wengert::kernels::chain_codes
