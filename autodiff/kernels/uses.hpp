#pragma once

#include <type_traits>

namespace wengert::kernels {

template <class N>
concept Number = std::is_arithmetic_v<N>;
template <class N>
concept Integer = Number<N> && std::is_integral_v<N>;

/// Stands for a value in a generic elementwise lambda and remembers which arguments it was made from: called
/// once with Uses{1}, Uses{2}, ... a lambda returns the set of the arguments that it really reads.
///
///     auto rule = [](auto x, auto y) { return 1.0 - y * y; };
///     rule(Uses{1}, Uses{2}).mask   // 2: the derivative needs the output only
///
/// It offers the operators and functions that Vec and Tensor offer; numbers depend on nothing. With a counter
/// it also counts the arithmetic that is done with it: + - * /, maximum, minimum and elementary functions,
/// one each; comparisons, choices and changes of sign are none.
struct Uses {
  unsigned mask = 0;        ///< bit i: argument i
  int* counter = nullptr;   ///< not owned
  bool plain = false;       ///< an argument as it was given
  bool elementary = false;  ///< made with an elementary function, which is long code

  constexpr Uses() = default;
  /// Written out, Uses{3}: arguments 0 and 1.
  template <Integer N>
  constexpr explicit Uses(N m) : mask(static_cast<unsigned>(m)) {}
  /// A number among the operands, 2 * x, is converted without being asked and depends on nothing.
  template <Number N>
  constexpr Uses(N) : mask(0) {}

  /// An argument of its own that counts.
  constexpr Uses(unsigned m, int* operations) : mask(m), counter(operations), plain(true) {}

#define WENGERT_USES_BINARY(name, operations) \
  friend constexpr Uses name(Uses a, Uses b) { return joined(a, b, operations); }
#define WENGERT_USES_UNARY(name) \
  friend constexpr Uses name(Uses a) { return joined(a, a, 1); }
#define WENGERT_USES_ELEMENTARY(name) \
  friend constexpr Uses name(Uses a) { return long_code(joined(a, a, 1)); }

  WENGERT_USES_BINARY(operator+, 1)
  WENGERT_USES_BINARY(operator-, 1)
  WENGERT_USES_BINARY(operator*, 1)
  WENGERT_USES_BINARY(operator/, 1)
  WENGERT_USES_BINARY(operator<, 0)
  WENGERT_USES_BINARY(operator<=, 0)
  WENGERT_USES_BINARY(operator>, 0)
  WENGERT_USES_BINARY(operator>=, 0)
  WENGERT_USES_BINARY(operator==, 0)
  WENGERT_USES_BINARY(operator!=, 0)
  WENGERT_USES_BINARY(operator&, 0)
  WENGERT_USES_BINARY(operator|, 0)
  WENGERT_USES_BINARY(maximum, 1)
  WENGERT_USES_BINARY(minimum, 1)
  WENGERT_USES_UNARY(sqrt)
  WENGERT_USES_UNARY(square)
  WENGERT_USES_UNARY(reciprocal)
  WENGERT_USES_ELEMENTARY(exp)
  WENGERT_USES_ELEMENTARY(expm1)
  WENGERT_USES_ELEMENTARY(log)
  WENGERT_USES_ELEMENTARY(log1p)
  WENGERT_USES_ELEMENTARY(sin)
  WENGERT_USES_ELEMENTARY(cos)
  WENGERT_USES_ELEMENTARY(tanh)
  WENGERT_USES_ELEMENTARY(sigmoid)
  WENGERT_USES_ELEMENTARY(softplus)
  friend constexpr Uses pow(Uses a, Uses b) { return long_code(joined(a, b, 1)); }

#undef WENGERT_USES_BINARY
#undef WENGERT_USES_UNARY
#undef WENGERT_USES_ELEMENTARY

  friend constexpr Uses operator-(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses operator!(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses abs(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses sign(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses isnan(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses isfinite(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses isinf(Uses a) { return joined(a, a, 0); }
  friend constexpr Uses where(Uses c, Uses a, Uses b) { return joined(c, joined(a, b, 0), 0); }
  friend constexpr Uses zeros_like(Uses) { return {}; }
  friend constexpr Uses ones_like(Uses) { return {}; }

 private:
  static constexpr Uses joined(Uses a, Uses b, int operations) {
    Uses both(a.mask | b.mask, a.counter != nullptr ? a.counter : b.counter);
    both.plain = false;
    both.elementary = a.elementary || b.elementary;
    if (both.counter != nullptr) *both.counter += operations;
    return both;
  }
  static constexpr Uses long_code(Uses a) {
    a.elementary = true;
    return a;
  }
};

}  // namespace wengert::kernels
