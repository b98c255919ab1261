#pragma once

/// \file
/// Chains: operators that read one another, run on groups of registers. A row kernel of a cheap operator is
/// bound by its loads and its store, and on a single register by the way through memory to the next one; here
/// the next one gets the result in registers, and it is stored where others read it too.
///
///     chain_rule<F, T, n>()      how the rule F of n operands takes part, elements of type T
///
/// Every rule is compiled where it is written, to steps: functions that get the group in registers, as
/// arguments, apply the rule, and end by jumping to the next step with what they have come to. `attributes`
/// of a chain's RowOp points to its steps (ChainStep, row.hpp), of which the last one stores the result; the
/// chain begins with the operand in[0], and may begin anew with another one (ChainRunner::load).
///
/// No two rules meet in one function, so nothing is joined into a fused multiply-add that row kernels don't
/// join: results have the same bits. Where the compiler makes calls of the jumps (without optimisation,
/// with sanitizers) a chain needs a stack frame a step; that is why chains have an end
/// (ChainRunner::most_steps).

#include <algorithm>

#include "autodiff/kernels/elementwise.hpp"
#include "autodiff/kernels/streaming.hpp"

#if defined(__clang__) && __has_cpp_attribute(clang::musttail)
#define WENGERT_JUMP [[clang::musttail]] return
#else
#define WENGERT_JUMP return
#endif

namespace wengert::kernels {
inline namespace WENGERT_ISA {

#if WENGERT_SIMD
namespace chain {
#ifdef WENGERT_SANITIZED  // checks in every lane of every step: minutes to compile, 16 KB of the stack
inline constexpr int largest_group = 2, most_steps = 16;
#define WENGERT_STEP
#else
inline constexpr int largest_group = 8, most_steps = 512;
#define WENGERT_STEP [[gnu::flatten]]  // g++ leaves rules out of line that are used eight times
#endif
template <int G>
using Indices = std::make_integer_sequence<int, G>;

/// The bare register, which calling conventions pass in a register. One for each i.
template <class T, int i>
struct Lane {
  using type = typename Vec<T, Simd>::Register;
};

template <class T, class Registers>
struct FunctionOn;
template <class T, int... I>
struct FunctionOn<T, std::integer_sequence<int, I...>> {
  using type = void (*)(typename Lane<T, I>::type... x, std::byte* const* slots, std::int64_t at,
                        const ChainStep* step);
};
/// A step on G registers, from byte `at` of each operand on.
template <class T, int G>
using Function = typename FunctionOn<T, Indices<G>>::type;

/// A step on groups of every size.
template <class T>
struct Functions {
  Function<T, 1> one = nullptr;
  Function<T, 2> two = nullptr;
  Function<T, 4> four = nullptr;
  Function<T, 8> eight = nullptr;

  template <int G>
  WENGERT_INLINE Function<T, G> on() const {
    if constexpr (G == 1) return one;
    if constexpr (G == 2) return two;
    if constexpr (G == 4) return four;
    if constexpr (G == 8) return eight;
  }
};
template <template <class> class Step, class T>
constexpr Functions<T> functions_of() {
  Functions<T> f{Step<Indices<1>>::run, Step<Indices<2>>::run};
  if constexpr (largest_group == 8) {
    f.four = Step<Indices<4>>::run;
    f.eight = Step<Indices<8>>::run;
  }
  return f;
}

template <class T, int G>
WENGERT_INLINE Function<T, G> function(const ChainStep* step) {
  return static_cast<const Functions<T>*>(step->functions)->template on<G>();
}

/// What a step does, unless it says otherwise: it looks at the registers one by one, then hands each on, or
/// another one in its place.
template <class T>
struct Action {
  using V = Vec<T, Simd>;
  using Register = typename V::Register;
  static constexpr int length = 1;  ///< ChainSteps that it takes
  static constexpr bool ends = false;

  WENGERT_INLINE void look(Register, int) const {}
  WENGERT_INLINE Register hand_on(Register x, int) const { return x; }
};

template <class T, class Does>
struct Step {
  template <class Registers>
  struct On;
  template <int... I>
  struct On<std::integer_sequence<int, I...>> {
    WENGERT_STEP static void run(typename Lane<T, I>::type... x, std::byte* const* slots, std::int64_t at,
                                 const ChainStep* step) {
      const auto next = Does::ends ? nullptr : function<T, sizeof...(I)>(step + Does::length);
      const Does action(slots, at, step);
      (action.look(x, I), ...);
      if constexpr (!Does::ends) WENGERT_JUMP next(action.hand_on(x, I)..., slots, at, step + Does::length);
    }
  };
  static constexpr Functions<T> functions = functions_of<On, T>();
};

// ------------------------------------------------------------------------------------------------ rules

/// The operand that is not handed on.
template <class T, bool repeated>
struct Other {
  using V = Vec<T, Simd>;
  const std::byte* p;
  V one = {};

  WENGERT_INLINE Other(std::byte* const* slots, std::int64_t at, const ChainStep* step)
      : p(slots[step->slot]) {
    if constexpr (repeated)
      one = elementwise::splat<T, T>(p);
    else
      p += at;
  }
  WENGERT_INLINE typename V::Register get(typename V::Register, int i) const {
    if constexpr (repeated)
      return one.v.data;
    else
      return elementwise::load<T, T>(p, i * V::width).v.data;
  }
};

/// F on one register of each operand.
template <class F, class T, class Operands>
struct OneRegister;
template <class F, class T, int... K>
struct OneRegister<F, T, std::integer_sequence<int, K...>> {
  using V = Vec<T, Simd>;

  /// An elementary function: long code.
  static constexpr bool is_long = F{}((static_cast<void>(K), Uses(1u))...).elementary;

  WENGERT_INLINE static typename V::Register apply(typename Lane<T, K>::type... x) {
    typename V::Register result = F{}(V(x)...).v.data;
    // Complete before the next register's turn comes: g++ would first compare all eight, say, and run out of
    // mask registers.
#if defined(__x86_64__) && !defined(__clang__)
    asm("" : "+v"(result));
#endif
    return result;
  }
};

/// The operand in registers.
template <class T>
struct HandedOn {
  using Register = typename Vec<T, Simd>::Register;
  WENGERT_INLINE HandedOn(std::byte* const*, std::int64_t, const ChainStep*) {}
  WENGERT_INLINE Register get(Register x, int) const { return x; }
};
template <class T, int k, int handed_on, bool repeated>
struct Operand : Other<T, repeated> {
  using Other<T, repeated>::Other;
};
template <class T, int k, bool repeated>
struct Operand<T, k, k, repeated> : HandedOn<T> {
  using HandedOn<T>::HandedOn;
};

/// Bit k of `repeated`: operand k is a single element used for all.
template <class F, class T, int n, int handed_on, unsigned repeated>
struct Rule {
  template <class All>
  struct On;
  template <int... K>
  struct On<std::integer_sequence<int, K...>> : Action<T>,
                                                Operand<T, K, handed_on, (repeated >> K & 1) != 0>... {
    using typename Action<T>::Register;
    static constexpr int length = n > 2 ? n - 1 : 1;

    WENGERT_INLINE On(std::byte* const* slots, std::int64_t at, const ChainStep* step)
        : Operand<T, K, handed_on, (repeated >> K & 1) != 0>(slots, at,
                                                             step + K - (K > handed_on ? 1 : 0))... {}
    WENGERT_INLINE Register hand_on(Register x, int i) const {
      return OneRegister<F, T, Indices<n>>::apply(
          Operand<T, K, handed_on, (repeated >> K & 1) != 0>::get(x, i)...);
    }
  };
};
template <class F, class T, int n, int handed_on, unsigned repeated>
using RuleStep = Step<T, typename Rule<F, T, n, handed_on, repeated>::template On<Indices<n>>>;

// ------------------------------------------------------------------------------------------------ chains

template <class T, bool last>
struct Store : Action<T> {
  using typename Action<T>::V;
  static constexpr bool ends = last;
  std::byte* out;

  WENGERT_INLINE Store(std::byte* const* slots, std::int64_t at, const ChainStep* step)
      : out(slots[step->slot] + at) {}
  WENGERT_INLINE void look(typename V::Register x, int i) const {
    elementwise::store<T, T>(V(x), out, i * V::width);
  }
};

/// Asks for what another operation will write, while elementary functions are computed.
template <class T>
struct Fetch : Action<T> {
  using typename Action<T>::V;
  const std::byte* p;

  WENGERT_INLINE Fetch(std::byte* const* slots, std::int64_t at, const ChainStep* step)
      : p(slots[step->slot] + at) {}
  WENGERT_INLINE void look(typename V::Register, int i) const {
    constexpr int bytes = sizeof(V), line = 64;
    if (i * bytes % line == 0) __builtin_prefetch(p + i * bytes, 1);
  }
};

/// Begins anew, with an operand from memory.
template <class T, bool repeated>
struct Load : Action<T> {
  using typename Action<T>::Register;
  Other<T, repeated> y;

  WENGERT_INLINE Load(std::byte* const* slots, std::int64_t at, const ChainStep* step) : y(slots, at, step) {}
  WENGERT_INLINE Register hand_on(Register x, int i) const { return y.get(x, i); }
};

/// `count` groups, from byte `at` on.
template <class T, int... I>
void groups(std::byte* const* slots, const RowOp& op, std::int64_t at, std::int64_t count,
            std::integer_sequence<int, I...>) {
  using V = Vec<T, Simd>;
  constexpr std::int64_t group = sizeof...(I) * sizeof(V);
  const auto* const step = static_cast<const ChainStep*>(op.attributes);
  const auto first = function<T, sizeof...(I)>(step);
  const std::byte* const p = slots[op.in[0]];
  const std::int64_t stop = at + count * group;
  if ((op.repeated & 1) != 0) {
    for (; at < stop; at += group)
      first((static_cast<void>(I), elementwise::splat<T, T>(p).v.data)..., slots, at, step);
  } else {
    for (; at < stop; at += group)
      first(elementwise::load<T, T>(p + at, I * V::width).v.data..., slots, at, step);
  }
}

/// `registers` of them, in groups of G, the rest in smaller ones.
template <int G, class T>
WENGERT_INLINE void parts(std::byte* const* slots, const RowOp& op, std::int64_t at, std::int64_t registers) {
  const std::int64_t count = registers / G;
  if (count != 0) groups<T>(slots, op, at, count, Indices<G>{});
  if constexpr (G > 1)
    parts<G / 2, T>(slots, op, at + count * G * std::int64_t{sizeof(Vec<T, Simd>)}, registers % G);
}

/// Of arrays that come from memory: four cache lines. With eight from one array before the next array's turn
/// comes, too few of the others are under way.
template <class T>
inline constexpr int streaming_group = std::min(largest_group, 256 / static_cast<int>(sizeof(Vec<T, Simd>)));

template <class T>
[[gnu::noinline]] void registers(std::byte* const* slots, const RowOp& op, std::int64_t n) {
  constexpr int width = Vec<T, Simd>::width;
  const std::int64_t count = (n + width - 1) / width;
  if ((op.repeated & streaming_chain) != 0) return parts<streaming_group<T>, T>(slots, op, 0, count);
  parts<largest_group, T>(slots, op, 0, count);
}

/// Of a single register the chain is all that there is to do: no frame, no loops.
template <class T>
void rows(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t n) {
  using V = Vec<T, Simd>;
  if (n > V::width) return registers<T>(slots, op, n);
  const auto* const step = static_cast<const ChainStep*>(op.attributes);
  const std::byte* const p = slots[op.in[0]];
  const auto first = function<T, 1>(step);
  if ((op.repeated & 1) != 0) return first(elementwise::splat<T, T>(p).v.data, slots, 0, step);
  return first(elementwise::load<T, T>(p, 0).v.data, slots, 0, step);
}

template <class T>
inline constexpr ChainRunner runner = {
    rows<T>,
    &Step<T, Store<T, false>>::functions,
    &Step<T, Store<T, true>>::functions,
    {&Step<T, Load<T, false>>::functions, &Step<T, Load<T, true>>::functions},
    &Step<T, Fetch<T>>::functions,
    largest_group* static_cast<int>(sizeof(Vec<T, Simd>)),
    most_steps};

/// What is compiled of a rule: for one operand or two all combinations. With more it would be too many, so
/// there the last `scalars` operands are single elements; of the others, the first or, where there are such
/// scalars, any may be handed on.
template <class F, class T, int n, int scalars>
struct Compiled {
  static_assert(scalars == 0 || (n > 2 && scalars < n));
  static constexpr int handed_on = scalars == 0 ? 1 : n - scalars;
  static constexpr unsigned repeated = ((1u << scalars) - 1) << (n - scalars);

  template <class HandedOn>
  struct Steps;
  template <int... K>
  struct Steps<std::integer_sequence<int, K...>> {
    static constexpr const void* functions[] = {&RuleStep<F, T, n, K, repeated>::functions...};
  };
  static constexpr ChainRule value = {&runner<T>, Steps<Indices<handed_on>>::functions,  n, handed_on,
                                      scalars,    OneRegister<F, T, Indices<n>>::is_long};
};
template <class F, class T>
struct Compiled<F, T, 2, 0> {
  static constexpr const void* functions[] = {
      &RuleStep<F, T, 2, 0, 0>::functions, &RuleStep<F, T, 2, 0, 2>::functions,
      &RuleStep<F, T, 2, 1, 0>::functions, &RuleStep<F, T, 2, 1, 1>::functions};
  static constexpr ChainRule value = {&runner<T>, functions, 2, 2, 0, false};
};

/// Whether F is a rule for registers that results in one, short enough to be compiled many times.
template <class F, class T, class Operands>
struct Fits;
template <class F, class T, int... K>
struct Fits<F, T, std::integer_sequence<int, K...>> {
  template <int>
  using V = Vec<T, Simd>;
  static constexpr bool value() {
    if constexpr (!std::is_same_v<std::invoke_result_t<F, V<K>...>, Vec<T, Simd>>)
      return false;
    else
      return sizeof...(K) == 1 || !OneRegister<F, T, Indices<sizeof...(K)>>::is_long;
  }
};

}  // namespace chain
#endif

/// How a rule of n operands, the last `scalars` of them single elements, takes part in chains of elements of
/// type T; null when it does not: when there are no registers of them, it results in something else, it has
/// several operands and an elementary function, or nothing is optimised here and a step's frame would be
/// large.
template <class F, class T, int n, int scalars = 0>
constexpr const ChainRule* chain_rule() {
#if WENGERT_SIMD && defined(__OPTIMIZE__)
  if constexpr (chain::Fits<F, T, chain::Indices<n>>::value())
    return &chain::Compiled<F, T, n, scalars>::value;
#endif
  return nullptr;
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
