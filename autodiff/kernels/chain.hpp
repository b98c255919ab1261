#pragma once

/// \file
/// Chains: operators of which each reads the one before it, run on groups of registers. A row kernel of a
/// cheap operator is bound by its loads and its store, and on a single register by the way through memory to
/// the next one; here only the last result is stored.
///
///     chain_rows<T, F...>        the RowKernel of all chains of the rules F, elements of type T
///
/// `attributes` of its RowOp points to the steps (chain_codes.hpp); the chain begins with the operand in[0].
///
/// The rules are those of the row kernels, and a step ends in a jump that depends on the next one's code, so
/// no two of them are joined into a fused multiply-add: results have the same bits.

#include "autodiff/kernels/chain_codes.hpp"
#include "autodiff/kernels/elementwise.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace chain {

/// Registers that stay in registers: every index is a constant.
template <class T, int G>
struct Group {
  Vec<T, Simd> v[G];
};

template <class T, int G, int... I>
WENGERT_INLINE void fill(Group<T, G>& x, const std::byte* p, bool repeated,
                         std::integer_sequence<int, I...>) {
  if (repeated) {
    const Vec<T, Simd> one = elementwise::splat<T, T>(p);
    ((x.v[I] = one), ...);
  } else {
    ((x.v[I] = elementwise::load<T, T>(p, I * Vec<T, Simd>::width)), ...);
  }
}

template <class T, int G, int... I>
WENGERT_INLINE void store(const Group<T, G>& x, std::byte* p, std::integer_sequence<int, I...>) {
  (elementwise::store<T, T>(x.v[I], p, I * Vec<T, Simd>::width), ...);
}

/// x = f(x, y), or f(y, x).
template <unsigned code, class F, class V>
WENGERT_INLINE V with(V x, V y) {
  if constexpr ((code - 2) / 2 % 2 == 0)
    return F{}(x, y);
  else
    return F{}(y, x);
}

template <unsigned code, class F, class T, int G, int... I>
WENGERT_INLINE void apply(Group<T, G>& x, const std::byte* operand, std::int64_t at,
                          std::integer_sequence<int, I...>) {
  using V = Vec<T, Simd>;
  if constexpr (!std::is_invocable_v<F, V, V>) {
    if constexpr ((code - 2) % 4 == 0)
      ((x.v[I] = F{}(x.v[I])), ...);
    else
      __builtin_unreachable();
  } else if constexpr (code % 2 == 0) {
    operand += at;
    ((x.v[I] = with<code, F>(x.v[I], elementwise::load<T, T>(operand, I * V::width))), ...);
  } else {
    const V one = elementwise::splat<T, T>(operand);
    ((x.v[I] = with<code, F>(x.v[I], one)), ...);
  }
}

template <unsigned code, class T, class... F>
using Rule = std::tuple_element_t<(code - 2) / 4, std::tuple<F...>>;

// Every step ends with a jump of its own, whose target a processor learns; with one jump for all of them,
// which is what compilers make of a switch, a chain of products and sums takes up to three times as long.
// clang-format off
#define WENGERT_STEPS(X)                                                                          \
  X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17)         \
  X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33) \
  X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) X(48) X(49) \
  X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63) X(64) X(65)
// clang-format on
#define WENGERT_LABEL(n) , &&step_##n
#define WENGERT_STEP(n)                                                     \
  step_##n : if constexpr (n < 2 + 4 * sizeof...(F))                        \
                 apply<n, Rule<n, T, F...>>(x, slots[step->slot], at, all); \
  ++step;                                                                   \
  goto* labels[step->code];

/// `count` groups of G registers, from byte `at` of each operand on.
template <int G, class T, class... F>
[[gnu::noinline]] void groups(std::byte* const* slots, const RowOp& op, std::int64_t at, std::int64_t count) {
  static_assert(sizeof...(F) <= 16);
  static const void* const labels[] = {&&end, &&store WENGERT_STEPS(WENGERT_LABEL)};
  constexpr auto all = std::make_integer_sequence<int, G>{};
  constexpr auto bytes = static_cast<std::int64_t>(sizeof(Vec<T, Simd>));
  const bool repeated = (op.repeated & 1) != 0;
  for (const std::int64_t stop = at + count * G * bytes; at < stop; at += G * bytes) {
    Group<T, G> x;
    fill(x, slots[op.in[0]] + (repeated ? 0 : at), repeated, all);
    auto* step = static_cast<const ChainStep*>(op.attributes);
    goto* labels[step->code];
  store:
    chain::store(x, slots[step->slot] + at, all);
    ++step;
    goto* labels[step->code];
    WENGERT_STEPS(WENGERT_STEP)
  end:
    chain::store(x, slots[op.out] + at, all);
  }
}
#undef WENGERT_STEP
#undef WENGERT_LABEL
#undef WENGERT_STEPS

#ifdef WENGERT_SANITIZED  // checks in every lane of every step take minutes to compile
inline constexpr int largest_group = 2;
#else
inline constexpr int largest_group = 8;
#endif

/// `registers` of them, in groups of G, the rest in smaller ones.
template <int G, class T, class... F>
WENGERT_INLINE void parts(std::byte* const* slots, const RowOp& op, std::int64_t at, std::int64_t registers) {
  const std::int64_t count = registers / G;
  if (count != 0) groups<G, T, F...>(slots, op, at, count);
  if constexpr (G > 1)
    parts<G / 2, T, F...>(slots, op, at + count * G * std::int64_t{sizeof(Vec<T, Simd>)}, registers % G);
}

}  // namespace chain

template <class T, class... F>
void chain_rows(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t n) {
  constexpr int width = Vec<T, Simd>::width;
  chain::parts<chain::largest_group, T, F...>(slots, op, 0, (n + width - 1) / width);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
