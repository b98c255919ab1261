#pragma once

/// \file
/// Transcendental functions on registers; included by vec.hpp. No branch, and no table in memory: every lane
/// takes the same path, so a loop over them runs at a few nanoseconds a register.
///
/// Arguments are reduced as in Cody and Waite, Software Manual for the Elementary Functions (1980); exp
/// splits off a power of two, log goes through atanh or a polynomial around 1, log1p carries the rounding
/// error of 1 + x along (Kahan), pow works in two-part numbers (Dekker 1971), sin and cos take multiples of
/// pi / 2 off in three parts. The polynomials are minimax fits made for these intervals with Remez' exchange
/// algorithm in 40 digits.

#include "autodiff/kernels/vec.hpp"
#include "autodiff/kernels/vec_polynomial.hpp"
#include "autodiff/kernels/vec_tables.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace math {

/// x = n ln 2 + r with |r| <= ln 2 / 2. `shifted` is n + to_integer: n stands in its low bits.
template <class V>
struct Reduced {
  V shifted, n, r;
};
template <class T>
WENGERT_INLINE Reduced<Vec<T, Simd>> reduce_exp(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  using F = Float<T>;
  const V shifted = fma(x, V(1.4426950408889634), V(F::to_integer));
  const V n = shifted - V(F::to_integer);
  return {shifted, n, fnma(n, V(F::ln2_lo), fnma(n, V(F::ln2_hi), x))};
}

/// expm1(r) / r - 1, divided by r, for |r| <= ln 2 / 2.
template <class T>
WENGERT_INLINE Vec<T, Simd> expm1_core(Vec<T, Simd> r) {
  if constexpr (sizeof(T) == 4)
    return polynomial(r, 0.5f, 0.166666657f, 0.0416663587f, 0.00833338965f, 0.00139406684f, 0.0001984587f);
  else
    return polynomial(r, 0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321653,
                      0.0013888888888962628, 0.00019841269886073328, 2.4801587172189944e-05,
                      2.7557244254356385e-06, 2.755740280753984e-07, 2.5109024401285e-08,
                      2.0875319543930366e-09);
}
/// exp(r) for |r| <= ln 2 / 2; one term less than expm1 needs.
template <class T>
WENGERT_INLINE Vec<T, Simd> exp_core(Vec<T, Simd> r) {
  Vec<T, Simd> q;
  if constexpr (sizeof(T) == 4)
    q = polynomial(r, 0.49999994f, 0.166665211f, 0.041668389f, 0.00836874545f, 0.00138145825f);
  else
    q = expm1_core(r);
  return fma(r * r, q, r) + Vec<T, Simd>(1);
}

/// 2^n for n in the range of normal numbers.
template <class T>
WENGERT_INLINE Vec<T, Simd> power_of_two(Vec<T, Simd> shifted) {
  using F = Float<T>;
  return Vec<T, Simd>::from_bits((shifted.bits() + F::bias) << F::mantissa_bits);
}
/// p * 2^n for every n, rounded once, gradually to zero and to infinity.
template <class T>
WENGERT_INLINE Vec<T, Simd> scale(Vec<T, Simd> p, [[maybe_unused]] Vec<T, Simd> shifted,
                                  [[maybe_unused]] Vec<T, Simd> n) {
  using V = Vec<T, Simd>;
#if defined(__AVX512F__)
  return typename V::Batch(wide::scalef(p.v.data, n.v.data));
#else
  using F = Float<T>;
  // In two halves, as 2^n itself may be out of range. The offset keeps the halving shift unsigned.
  constexpr typename V::Bit offset = 4096;
  const typename V::Bits e = (shifted.bits() - V(F::to_integer).bits()) + offset;
  const typename V::Bits half = e >> 1;
  const V a = V::from_bits((half + (F::bias - offset / 2)) << F::mantissa_bits);
  const V b = V::from_bits((e - half + (F::bias - offset / 2)) << F::mantissa_bits);
  return p * a * b;
#endif
}

/// (atanh(s) / s - 1) / z with z = s^2, for x in [0, 1] and s = x / (2 + x): z <= 1/9.
template <class T>
WENGERT_INLINE Vec<T, Simd> atanh_core_ninth(Vec<T, Simd> z) {
  if constexpr (sizeof(T) == 4)
    return polynomial(z, 0.333333373f, 0.199994385f, 0.143084362f, 0.107138827f, 0.121502809f);
  else
    return polynomial(z, 0.33333333333333154, 0.20000000000078444, 0.14285714273945338, 0.11111111983884503,
                      0.0909087199295531, 0.07693279377346882, 0.06650493789612467, 0.06052992084282047,
                      0.041702582374417846, 0.08508927352387001);
}
/// log(1 + x) for 0 <= x <= 1, NaN at NaN.
template <class T>
WENGERT_INLINE Vec<T, Simd> log1p_unit(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  const V s = x / (V(2) + x);
  const V z = s * s;
  // 2 s = x - x s, so that the leading term is exact and only the correction is rounded.
  return x - s * fnma(V(2) * z, atanh_core_ninth(z), x);
}

/// u = m 2^e with m in [sqrt(1/2), sqrt(2)), for normal positive u.
template <class V>
struct Split {
  V m, e;
};
template <class T>
WENGERT_INLINE Split<Vec<T, Simd>> split(Vec<T, Simd> u) {
  using V = Vec<T, Simd>;
  using F = Float<T>;
  constexpr typename V::Bit one = F::bias << F::mantissa_bits,
                            low = (typename V::Bit(1) << F::mantissa_bits) - 1;
  const typename V::Bits shifted = u.bits() + (one - F::sqrt_half);
  const V m = V::from_bits((shifted & low) + F::sqrt_half);
  // The biased exponent becomes a number without a conversion: as the low bits of 2^mantissa_bits.
  const V e = V::from_bits((shifted >> F::mantissa_bits) | V(F::two_mantissa).bits()) -
              V(F::two_mantissa + T(F::bias));
  return {m, e};
}
/// log(u) + c for normal positive u and a correction c much smaller than one.
template <class T>
WENGERT_INLINE Vec<T, Simd> log_core(Vec<T, Simd> u, Vec<T, Simd> extra_exponent, Vec<T, Simd> c) {
  using V = Vec<T, Simd>;
  using F = Float<T>;
  const auto [m, e0] = split(u);
  const V e = e0 + extra_exponent;
  const V f = m - V(1);
  const V half_square = V(0.5) * f * f;
  const V low = fma(e, V(F::ln2_lo), c);
  V correction;
  if constexpr (sizeof(T) == 4) {
    const V p = polynomial(f, 0.333333135f, -0.250000089f, 0.200021192f, -0.166679963f, 0.142195538f,
                           -0.1240559f, 0.118881568f, -0.116756454f, 0.0674664378f);
    correction = fma(f * f * f, p, low);
  } else {
    const V s = f / (V(2) + f);
    const V z = s * s;
    const V p = polynomial(z, 0.3333333333333367, 0.19999999999706677, 0.14285714371417463,
                           0.11111099257389409, 0.0909178395705342, 0.07656973126381916, 0.07398553379514967);
    correction = fma(s, fma(V(2) * z, p, half_square), low);
  }
  return fma(e, V(F::ln2_hi), f - (half_square - correction));
}
/// Lifts subnormal numbers into the normal range; the exponent that was added comes back negative.
template <class T>
WENGERT_INLINE Split<Vec<T, Simd>> normalise(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  using F = Float<T>;
  const auto tiny = x < V(std::numeric_limits<T>::min());
  return {where(tiny, x * V(F::two_mantissa), x), where(tiny, V(-F::mantissa_bits), V(0))};
}

// ------------------------------------------------------------------------------------------------ power

/// A number as the unevaluated sum hi + lo.
template <class V>
struct Two {
  V hi, lo;
};
template <class V>
WENGERT_INLINE Two<V> two_product(V a, V b) {
  const V p = a * b;
#if defined(__FMA__) || defined(__AVX512F__)
  return {p, fma(a, b, -p)};
#else
  const V split_a = a * V(134217729.0), split_b = b * V(134217729.0);  // 2^27 + 1
  const V ah = split_a - (split_a - a), bh = split_b - (split_b - b);
  const V al = a - ah, bl = b - bh;
  return {p, al * bl - (((p - ah * bh) - al * bh) - ah * bl)};
#endif
}
/// Exact for |a| >= |b|.
template <class V>
WENGERT_INLINE Two<V> fast_two_sum(V a, V b) {
  const V s = a + b;
  return {s, b - (s - a)};
}

/// log(x) for positive finite x to about 66 bits.
template <class V>
WENGERT_INLINE Two<V> log_two(V x) {
  using F = Float<double>;
  const auto [u, extra] = normalise(x);
  const auto [m, e0] = split(u);
  const V e = e0 + extra;
  // s = (m - 1) / (m + 1); log m = 2 atanh(s) = 2 s (1 + z (1/3 + z Q(z))), z = s^2.
  const V f = m - V(1);
  const V g = m + V(1), g_lo = m - (g - V(1));
  const V s = f / g;
  const Two<V> sg = two_product(s, g);
  const V s_lo = ((f - sg.hi) - sg.lo - s * g_lo) / g;
  const Two<V> ss = two_product(s, s);
  const V z = ss.hi, z_lo = fma(V(2) * s, s_lo, ss.lo);
  const V q = polynomial(z, 0.20000000000001025, 0.14285714285090245, 0.11111111253812801,
                         0.09090892652297913, 0.07693359544178835, 0.06628807968710794, 0.06594813445995208);
  const Two<V> w = fast_two_sum(V(0.3333333333333333), z * q);
  const V w_lo = w.lo + V(1.850371707708594e-17);
  const Two<V> zw = two_product(z, w.hi);
  const V zw_lo = zw.lo + fma(z, w_lo, z_lo * w.hi);
  const Two<V> t = two_product(V(2) * s, zw.hi);
  const V t_lo = t.lo + fma(V(2) * s, zw_lo, V(2) * s_lo * zw.hi);
  const Two<V> l = fast_two_sum(V(2) * s, t.hi);
  const V l_lo = l.lo + (t_lo + V(2) * s_lo);
  const Two<V> r = fast_two_sum(e * V(F::ln2_hi), l.hi);  // e = 0 or |e ln 2| > |log m|
  const Two<V> exact = {r.hi, where(e == V(0), V(0), r.lo)};
  return {exact.hi, exact.lo + fma(e, V(F::ln2_lo), l_lo)};
}

/// exp(y log x) for positive finite x.
template <bool precise, class V>
WENGERT_INLINE V pow_positive(V x, V y) {
  using F = Float<double>;
  V p, p_lo;
  // A larger y changes no result, but infinity times log 1 and the splitting in two_product would give NaN.
  y = at_most(1e270, at_least(-1e270, y));
  if constexpr (precise) {
    const Two<V> l = log_two(x);
    const Two<V> product = two_product(y, l.hi);
    p = product.hi;
    p_lo = where(abs(p) < V(800), fma(y, l.lo, product.lo), V(0));  // meaningless beyond the range of exp
  } else {
    p = y * log_core(x, V(0), V(0));
    p_lo = V(0);
  }
  p = at_most(F::exp_max + 1, at_least(F::exp_min - 1, p));
  const V shifted = fma(p, V(1.4426950408889634), V(F::to_integer));
  const V n = shifted - V(F::to_integer);
  const V r = fnma(n, V(F::ln2_hi), p) + fnma(n, V(F::ln2_lo), p_lo);
  return scale(exp_core(r), shifted, n);
}

/// pow with the special values of C's annex F.
template <bool precise, class V>
WENGERT_INLINE V pow_special(V x, V y) {
  const V ax = abs(x), zero(0), one(1), inf(V::infinity);
  const auto zero_or_inf = (ax == zero) | (ax == inf);
  V r = pow_positive<precise>(where(zero_or_inf, one, ax), y);
  r = where(zero_or_inf, where((ax == zero) & (y < zero), inf, where((ax == inf) & (y > zero), inf, zero)),
            r);
  const V half = V(0.5) * y;
  const auto integer = trunc(y) == y;
  const auto odd = integer & (trunc(half) != half);
  r = where((x < zero) & !integer & (ax < inf), V(std::numeric_limits<double>::quiet_NaN()), r);
  r = where(odd, copysign(r, x), r);
  r = where(isnan(x) | isnan(y), x + y, r);
  return where((x == one) | (y == zero), one, r);
}

/// A register of floats as two of doubles, and back.
template <int first, int... I>
WENGERT_INLINE Vec<double, Simd> widen(Vec<float, Simd> x, std::integer_sequence<int, I...>) {
  const auto half = __builtin_shufflevector(x.lanes(), x.lanes(), (first + I)...);
  return Vec<double, Simd>::from_lanes(__builtin_convertvector(half, Vec<double, Simd>::Lanes));
}
template <int... I>
WENGERT_INLINE Vec<float, Simd> narrow(Vec<double, Simd> a, Vec<double, Simd> b,
                                       std::integer_sequence<int, I...>) {
  typedef float Half [[gnu::vector_size(sizeof(a) / 2)]];
  const Half low = __builtin_convertvector(a.lanes(), Half), high = __builtin_convertvector(b.lanes(), Half);
  return Vec<float, Simd>::from_lanes(__builtin_shufflevector(low, high, I...));
}

}  // namespace math

template <class T>
WENGERT_INLINE Vec<T, Simd> exp(Vec<T, Simd> x) {
#if WENGERT_TABLES
  return math::exp_by_table<false>(x);
#else
  using F = math::Float<T>;
  const auto [shifted, n, r] = math::reduce_exp(math::at_most(F::exp_max, math::at_least(F::exp_min, x)));
  return math::scale(math::exp_core(r), shifted, n);
#endif
}

template <class T>
WENGERT_INLINE Vec<T, Simd> expm1(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  using F = math::Float<T>;
  const auto [shifted, n, r] = math::reduce_exp(math::at_most(F::exp_max, math::at_least(F::expm1_min, x)));
  const V p = fma(r * r, math::expm1_core(r), r);
  const V h =
      V::from_bits((shifted.bits() + (F::bias - 1)) << F::mantissa_bits);  // 2^(n-1): in range for every n
  return where(x == V(0), x, V(2) * fma(h, p, h - V(0.5)));
}

template <class T>
WENGERT_INLINE Vec<T, Simd> log(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  const auto [u, extra] = math::normalise(x);
  const V y = math::log_core(u, extra, V(0));
  return where(x > V(0), where(x < V(V::infinity), y, x),
               where(x == V(0), V(-V::infinity), V(std::numeric_limits<T>::quiet_NaN())));
}

template <class T>
WENGERT_INLINE Vec<T, Simd> log1p(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  const V u = V(1) + x;
  const V lost = where(x < V(1), x - (u - V(1)), V(1) - (u - x));
  const V y = math::log_core(u, V(0), lost / u);
  return where(u > V(0), where((x < V(V::infinity)) & (x != V(0)), y, x),
               where(u == V(0), V(-V::infinity), V(std::numeric_limits<T>::quiet_NaN())));
}

/// t / (t + 2) with t = expm1(2 |x|): no cancellation near 0, 1 where t is large.
template <class T>
WENGERT_INLINE Vec<T, Simd> tanh(Vec<T, Simd> x) {
#if WENGERT_TABLES
  return math::tanh_by_table(x);
#else
  using V = Vec<T, Simd>;
  using F = math::Float<T>;
  const auto [shifted, n, r] = math::reduce_exp(math::at_most(-2 * F::expm1_min, V(2) * abs(x)));
  const V p = fma(r * r, math::expm1_core(r), r);
  const V s = math::power_of_two(shifted);
  const V t = fma(s, p, s - V(1));
  return copysign(t / (t + V(2)), x);
#endif
}

/// 1 / (1 + exp(-x)), written with exp(-|x|), which cannot overflow, or with exp(x) for x where it does not:
/// beyond, the result is 1.
template <class T>
WENGERT_INLINE Vec<T, Simd> sigmoid(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
#if WENGERT_TABLES
  const V e = math::exp_by_table<true>(math::at_most(math::Float<T>::exp_max - 1, x));
  return e / (V(1) + e);
#else
  const V e = exp(-abs(x));
  return where(x < V(0), e, V(1)) / (V(1) + e);
#endif
}

/// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)).
template <class T>
WENGERT_INLINE Vec<T, Simd> softplus(Vec<T, Simd> x) {
  return math::at_least(0.0, x) + math::log1p_unit(exp(-abs(x)));
}

namespace math {

/// pi / 2 in parts of few enough bits that their products with n are exact for |x| up to `limit`.
template <class T>
struct HalfPi;
template <>
struct HalfPi<float> {
  static constexpr float first = 1.5703125f, second = 0.000483751297f, third = 7.54953362e-08f,
                         fourth = 2.56334407e-12f;
  static constexpr float limit = 8000.0f;
};
template <>
struct HalfPi<double> {
  static constexpr double first = 1.5707963267341256, second = 6.077100506303966e-11,
                          third = 2.0222662487959506e-21, fourth = 0;
  static constexpr double limit = 1e6;
};

/// sin(x + quarters * pi / 2): x = n pi / 2 + r with |r| <= pi / 4, then by the quadrant +-sin(r) or
/// +-cos(r).
template <int quarters, class T>
WENGERT_INLINE Vec<T, Simd> sine(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  using P = HalfPi<T>;
  constexpr int top = 8 * sizeof(T) - 2;
  const V shifted = fma(x, V(0.6366197723675814), V(Float<T>::to_integer));
  const V n = shifted - V(Float<T>::to_integer);
  V r = fnma(n, V(P::third), fnma(n, V(P::second), fnma(n, V(P::first), x)));
  if constexpr (P::fourth != 0) r = fnma(n, V(P::fourth), r);
  const V z = r * r;
  V s, c;  // (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4
  if constexpr (sizeof(T) == 4) {
    s = polynomial(z, -0.166666552f, 0.008332178f, -0.000195172674f);
    c = polynomial(z, 0.0416666456f, -0.00138873165f, 2.44331204e-05f);
  } else {
    s = polynomial(z, -0.16666666666666632, 0.008333333333322418, -0.00019841269829812394,
                   2.7557313693577104e-06, -2.505075838497598e-08, 1.589681182908179e-10);
    c = polynomial(z, 0.041666666666666595, -0.001388888888887305, 2.4801587288846537e-05,
                   -2.755731417776405e-07, 2.0875700628463847e-09, -1.1358525208068056e-11);
  }
  const typename V::Bits quadrant = shifted.bits() + quarters;  // in the low two bits
  const auto odd = V::from_bits((quadrant & 1) << top) != V(0);
  const V y = where(odd, fma(z * z, c, fnma(V(0.5), z, V(1))), fma(r * z, s, r));
  return V::from_bits(y.bits() ^ ((quadrant & 2) << top));
}

/// The rest, element by element: arguments so large that taking off multiples of pi / 2 needs hundreds of its
/// digits, as the C library does it, and infinities.
template <int quarters, class T>
[[gnu::noinline]] Vec<T, Simd> sine_of_large(Vec<T, Simd> x, Vec<T, Simd> y) {
  using V = Vec<T, Simd>;
  typename V::Lanes in = x.lanes(), out = y.lanes();
  for (int i = 0; i < V::width; ++i) {
    const T e = in[i];
    if (e - e == 0 && __builtin_fabs(e) <= HalfPi<T>::limit) continue;
    if constexpr (sizeof(T) == 4)
      out[i] = quarters == 0 ? __builtin_sinf(e) : __builtin_cosf(e);
    else
      out[i] = quarters == 0 ? __builtin_sin(e) : __builtin_cos(e);
  }
  return V::from_lanes(out);
}

}  // namespace math

template <class T>
WENGERT_INLINE Vec<T, Simd> sin(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  const V y = where(x == V(0), x, math::sine<0>(x));  // -0 stays -0
  if (any(abs(x) > V(math::HalfPi<T>::limit))) return math::sine_of_large<0>(x, y);
  return y;
}

template <class T>
WENGERT_INLINE Vec<T, Simd> cos(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  const V y = math::sine<1>(x);
  if (any(abs(x) > V(math::HalfPi<T>::limit))) return math::sine_of_large<1>(x, y);
  return y;
}

namespace math {

WENGERT_INLINE Vec<double, Simd> pow_general(Vec<double, Simd> x, Vec<double, Simd> y) {
  return pow_special<true>(x, y);
}
/// In double precision, which makes it correctly rounded in all but a few cases.
WENGERT_INLINE Vec<float, Simd> pow_general(Vec<float, Simd> x, Vec<float, Simd> y) {
  constexpr int half = Vec<double, Simd>::width;
  using I = std::make_integer_sequence<int, half>;
  return narrow(pow_special<false>(widen<0>(x, I{}), widen<0>(y, I{})),
                pow_special<false>(widen<half>(x, I{}), widen<half>(y, I{})),
                std::make_integer_sequence<int, 2 * half>{});
}

}  // namespace math

/// Squares and cubes are products, lane by lane, so that a result depends on its own operands only; a
/// register of nothing else, the usual case of a constant exponent, skips the rest.
template <class T>
WENGERT_INLINE Vec<T, Simd> pow(Vec<T, Simd> x, Vec<T, Simd> y) {
  using V = Vec<T, Simd>;
  const auto two = y == V(2), three = y == V(3);
  const V product = where(two, x * x, x * x * x);
  if (!any(!(two | three))) return product;
  return where(two | three, product, math::pow_general(x, y));
}
template <class T, Number N>
WENGERT_INLINE Vec<T, Simd> pow(Vec<T, Simd> x, N exponent) {
  return pow(x, Vec<T, Simd>(exponent));
}
template <class T, Number N>
WENGERT_INLINE Vec<T, Simd> pow(N base, Vec<T, Simd> y) {
  return pow(Vec<T, Simd>(base), y);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
