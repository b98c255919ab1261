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
/// It offers the operators and functions that Vec and Tensor offer; numbers depend on nothing.
struct Uses {
  unsigned mask = 0;  ///< bit i: argument i

  constexpr Uses() = default;
  /// Written out, Uses{3}: arguments 0 and 1.
  template <Integer N>
  constexpr explicit Uses(N m) : mask(static_cast<unsigned>(m)) {}
  /// A number among the operands, 2 * x, is converted without being asked and depends on nothing.
  template <Number N>
  constexpr Uses(N) : mask(0) {}

#define WENGERT_USES_BINARY(name) \
  friend constexpr Uses name(Uses a, Uses b) { return Uses{a.mask | b.mask}; }
#define WENGERT_USES_UNARY(name) \
  friend constexpr Uses name(Uses a) { return a; }

  WENGERT_USES_BINARY(operator+)
  WENGERT_USES_BINARY(operator-)
  WENGERT_USES_BINARY(operator*)
  WENGERT_USES_BINARY(operator/)
  WENGERT_USES_BINARY(operator<)
  WENGERT_USES_BINARY(operator<=)
  WENGERT_USES_BINARY(operator>)
  WENGERT_USES_BINARY(operator>=)
  WENGERT_USES_BINARY(operator==)
  WENGERT_USES_BINARY(operator!=)
  WENGERT_USES_BINARY(operator&)
  WENGERT_USES_BINARY(operator|)
  WENGERT_USES_BINARY(pow)
  WENGERT_USES_BINARY(maximum)
  WENGERT_USES_BINARY(minimum)
  WENGERT_USES_UNARY(operator-)
  WENGERT_USES_UNARY(operator!)
  WENGERT_USES_UNARY(exp)
  WENGERT_USES_UNARY(expm1)
  WENGERT_USES_UNARY(log)
  WENGERT_USES_UNARY(log1p)
  WENGERT_USES_UNARY(sqrt)
  WENGERT_USES_UNARY(square)
  WENGERT_USES_UNARY(abs)
  WENGERT_USES_UNARY(sign)
  WENGERT_USES_UNARY(sin)
  WENGERT_USES_UNARY(cos)
  WENGERT_USES_UNARY(tanh)
  WENGERT_USES_UNARY(sigmoid)
  WENGERT_USES_UNARY(softplus)
  WENGERT_USES_UNARY(reciprocal)
  WENGERT_USES_UNARY(isnan)
  WENGERT_USES_UNARY(isfinite)
  WENGERT_USES_UNARY(isinf)

#undef WENGERT_USES_BINARY
#undef WENGERT_USES_UNARY

  friend constexpr Uses where(Uses c, Uses a, Uses b) { return Uses{c.mask | a.mask | b.mask}; }
  friend constexpr Uses zeros_like(Uses) { return {}; }
  friend constexpr Uses ones_like(Uses) { return {}; }
};

}  // namespace wengert::kernels
