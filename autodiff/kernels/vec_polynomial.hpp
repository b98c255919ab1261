#pragma once

/// \file
/// What the functions of vec_math.hpp are made of: constants of the two formats, polynomials, bounds that let
/// a NaN through.

#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace math {

template <class T>
struct Float;
template <>
struct Float<float> {
  static constexpr int mantissa_bits = 23;
  static constexpr std::uint32_t bias = 127;
  static constexpr float to_integer = 12582912.0f;                         // 1.5 * 2^23
  static constexpr float ln2_hi = 0.693359375f, ln2_lo = -0.00021219444f;  // n * ln2_hi is exact
  static constexpr float exp_max = 89.0f, exp_min = -104.0f, expm1_min = -18.0f;
  static constexpr std::uint32_t sqrt_half = 0x3f3504f3u;
  static constexpr float two_mantissa = 8388608.0f;  // 2^23
};
template <>
struct Float<double> {
  static constexpr int mantissa_bits = 52;
  static constexpr std::uint64_t bias = 1023;
  static constexpr double to_integer = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_hi = 0.6931471803691238, ln2_lo = 1.9082149292705877e-10;
  static constexpr double exp_max = 710.0, exp_min = -746.0, expm1_min = -38.0;
  static constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcdu;
  static constexpr double two_mantissa = 4503599627370496.0;  // 2^52
};

/// c0 + c1 x + c2 x^2 + ...
template <class V, class C>
WENGERT_INLINE V polynomial(V, C c0) {
  return V(c0);
}
template <class V, class C, class... More>
WENGERT_INLINE V polynomial(V x, C c0, More... more) {
  return fma(x, polynomial(x, more...), V(c0));
}

// Not max_or_second(x, low): a NaN must come out as NaN.
template <class V>
WENGERT_INLINE V at_least(double low, V x) {
  return max_or_second(V(low), x);
}
template <class V>
WENGERT_INLINE V at_most(double high, V x) {
  return min_or_second(V(high), x);
}

}  // namespace math
}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
