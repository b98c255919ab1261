#pragma once

#include <cstdint>

namespace wengert::detail {

/// Four random words.
struct PhiloxBlock {
  std::uint32_t word[4];
};

/// Philox4x32-10: the block of random words that stands at position (`low`, `high`) of the sequence that
/// belongs to `key`. A bijection of the 128-bit position for each key, so any part of a sequence can be
/// computed by itself, in any order and by any number of threads, and is the same everywhere.
///
/// Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
/// The words of the position, from the least significant one: low, low >> 32, high, high >> 32.
[[gnu::always_inline]] constexpr PhiloxBlock philox(std::uint64_t key, std::uint64_t low,
                                                    std::uint64_t high) {
  constexpr std::uint64_t multiplier[] = {0xD2511F53, 0xCD9E8D57};
  constexpr std::uint32_t weyl[] = {0x9E3779B9, 0xBB67AE85};  // golden ratio, sqrt(3) - 1
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  std::uint32_t c0 = static_cast<std::uint32_t>(low), c1 = static_cast<std::uint32_t>(low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(high), c3 = static_cast<std::uint32_t>(high >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = multiplier[0] * c0;
    const std::uint64_t b = multiplier[1] * c2;
    c0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(b);
    c2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(a);
    k0 += weyl[0];
    k1 += weyl[1];
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace wengert::detail
