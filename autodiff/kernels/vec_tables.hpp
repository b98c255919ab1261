#pragma once

/// \file
/// Functions with tables in registers, from which one instruction picks an element for every lane, so that
/// polynomials are short (docs/decisions/exponentials.md); included by vec_math.hpp.

#include "autodiff/kernels/vec_polynomial.hpp"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define WENGERT_TABLES 1
#else
#define WENGERT_TABLES 0
#endif

#if WENGERT_TABLES
namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace wide {
/// The smaller magnitude, b's where a is NaN, with the sign of a.
WENGERT_INLINE __m512 bound(__m512 a, __m512 b) { return _mm512_mask_range_ps(a, __mmask16(-1), a, b, 2); }
WENGERT_INLINE __m512d bound(__m512d a, __m512d b) { return _mm512_mask_range_pd(a, __mmask8(-1), a, b, 2); }
WENGERT_INLINE __m512 pick(__m512i i, const float (&table)[16]) {
  return _mm512_maskz_permutexvar_ps(__mmask16(-1), i, _mm512_load_ps(table));
}
WENGERT_INLINE __m512 pick(__m512i i, const float (&table)[32]) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), i, _mm512_load_ps(table + 16));
}
WENGERT_INLINE __m512d pick(__m512i i, const double (&table)[16]) {
  return _mm512_permutex2var_pd(_mm512_load_pd(table), i, _mm512_load_pd(table + 8));
}
}  // namespace wide

namespace math {

/// The elements of a table at the low bits of `index`.
template <class T, std::size_t n>
WENGERT_INLINE Vec<T, Simd> look_up(const T (&table)[n], Vec<T, Simd> index) {
  return typename Vec<T, Simd>::Batch(wide::pick(__builtin_bit_cast(__m512i, index.bits()), table));
}
/// x where |x| <= limit, else a number of that magnitude, also where x is NaN.
template <class T>
WENGERT_INLINE Vec<T, Simd> bounded(Vec<T, Simd> x, double limit) {
  using V = Vec<T, Simd>;
  return typename V::Batch(wide::bound(x.v.data, V(limit).v.data));
}

/// 2^(i / 16).
template <class T>
struct ExpTable {
  alignas(64) static constexpr T values[16] = {T(1),
                                               T(1.0442737824274138),
                                               T(1.0905077326652577),
                                               T(1.1387886347566916),
                                               T(1.189207115002721),
                                               T(1.241857812073484),
                                               T(1.2968395546510096),
                                               T(1.3542555469368927),
                                               T(1.4142135623730951),
                                               T(1.4768261459394993),
                                               T(1.5422108254079407),
                                               T(1.6104903319492543),
                                               T(1.681792830507429),
                                               T(1.7562521603732995),
                                               T(1.8340080864093424),
                                               T(1.9152065613971474)};
};

/// 2^(i / 16) / t - 1 for the values t of ExpTable.
template <class T>
struct ExpLacks;
template <>
struct ExpLacks<float> {
  alignas(64) static constexpr float values[16] = {0.0f,
                                                   4.62854708e-08f,
                                                   -1.19921571e-08f,
                                                   4.72978236e-08f,
                                                   3.19341809e-08f,
                                                   3.62105731e-08f,
                                                   -3.09907208e-08f,
                                                   -7.47521317e-09f,
                                                   1.71142713e-08f,
                                                   -3.04768342e-08f,
                                                   5.23333425e-09f,
                                                   6.10759162e-09f,
                                                   -1.47196054e-08f,
                                                   -5.25879512e-09f,
                                                   -6.12825982e-09f,
                                                   5.14060921e-09f};
};
template <>
struct ExpLacks<double> {
  alignas(64) static constexpr double values[16] = {0,
                                                    8.1893176381955148e-17,
                                                    -2.7939114859515733e-17,
                                                    7.8265732586360762e-17,
                                                    3.3484623336251524e-17,
                                                    3.7508542013031272e-17,
                                                    1.9572585293112036e-17,
                                                    5.68648095791174e-17,
                                                    -6.835808657661922e-17,
                                                    -2.3591094770850053e-17,
                                                    5.1548301170786783e-17,
                                                    1.5341410053603723e-17,
                                                    4.8751605262270617e-17,
                                                    1.6854872906289731e-17,
                                                    1.7901269076045131e-17,
                                                    -5.5450656186394267e-17};
};

/// tanh(nodes[i]) = values[i] to 33 bits, which is why the nodes are not quite i / per_node.
struct TanhTable {
  static constexpr float per_node = 3.43680716f;
  alignas(64) static constexpr float nodes[32] = {
      0.0f,        0.290964454f, 0.581956744f, 0.872915566f, 1.16380763f, 1.45481241f, 1.74572349f,
      2.0366478f,  2.32717514f,  2.61913824f,  2.9089942f,   3.19972229f, 3.49054241f, 3.78257179f,
      4.07312155f, 4.36570263f,  4.65663099f,  4.94600582f,  5.23926258f, 5.52695084f, 5.81915569f,
      6.11136436f, 6.40344429f,  6.68871689f,  6.98069143f,  7.27804518f, 7.56572723f, 7.85962057f,
      8.11503315f, 8.31776619f,  8.66434002f,  9.02000046f};
  alignas(64) static constexpr float values[32] = {
      0.0f,         0.283022255f, 0.524086177f, 0.702852428f, 0.82227689f,  0.89664036f,  0.940886855f,
      0.966527343f, 0.981139362f, 0.989437282f, 0.99407047f,  0.996680558f, 0.998143137f, 0.998964131f,
      0.999420524f, 0.999677181f, 0.999819577f, 0.999898851f, 0.999943733f, 0.99996835f,  0.999982357f,
      0.999990165f, 0.999994516f, 0.999996901f, 0.999998271f, 0.999999046f, 0.999999464f, 0.999999702f,
      0.999999821f, 0.999999881f, 0.99999994f,  1.0f};
};

/// 2^(i / 16) with i / 16 taken off in the exponent and what follows it: adding n + i / 16 there gives
/// 2^(n + i / 16).
struct ScaledTable {
  alignas(64) static constexpr double values[16] = {
      0x1.0000000000000p+0, 0x1.fb5586cf9890fp-1, 0x1.f72b83c7d517bp-1, 0x1.f387a6e756238p-1,
      0x1.f06fe0a31b715p-1, 0x1.edea64c123422p-1, 0x1.ebfdad5362a27p-1, 0x1.eab07dd485429p-1,
      0x1.ea09e667f3bcdp-1, 0x1.ea11473eb0187p-1, 0x1.eace5422aa0dbp-1, 0x1.ec49182a3f090p-1,
      0x1.ee89f995ad3adp-1, 0x1.f199bdd85529cp-1, 0x1.f5818dcfba487p-1, 0x1.fa4afa2a490dap-1};
};

/// x = n ln 2 + r, where n is a multiple of 1/16 and |r| <= ln 2 / 32, and exp(x) is 2^floor(n) t exp(r), t
/// from a table (Tang, Table-driven implementation of the exponential function, 1989). Where n is out of
/// range, infinite or NaN, the last step makes of it what is right whatever r is, if it is a small number.
/// Within one unit in the last place or so, or little more than half of one if `precise`.
template <bool precise, class T>
WENGERT_INLINE Vec<T, Simd> exp_by_table(Vec<T, Simd> x) {
  using V = Vec<T, Simd>;
  constexpr T to_sixteenths = Float<T>::to_integer / 16;
  constexpr double ln2_hi = T(0.6931471805599453),
                   ln2_lo = sizeof(T) == 4 ? -1.9046542e-09 : 2.3190468138462996e-17;
  const V shifted = fma(x, V(1.4426950408889634), V(to_sixteenths));
  const V n = shifted - V(to_sixteenths);
  const V t = look_up(ExpTable<T>::values, shifted);
  const V r = bounded(fnma(n, V(ln2_lo), fnma(n, V(ln2_hi), x)), 0.022);
  V q;
  if constexpr (sizeof(T) == 4)
    q = polynomial(r, 1.0f, 0.500016212f, 0.166660726f);
  else
    q = polynomial(r, 1.0000000000000022, 0.49999999999999657, 0.16666666662841512, 0.041666666686422883,
                   0.0083334963932188850, 0.0013888725737600565);
  V y;
  if constexpr (precise)
    y = fma(t, fma(r, q, look_up(ExpLacks<T>::values, shifted)), t);
  else
    y = fma(t * r, q, t);
  return typename V::Batch(wide::scalef(y.v.data, n.v.data));
}

template <class V>
WENGERT_INLINE V with_sign(V not_negative, V x) {
  return V::from_bits(not_negative.bits() | (x.bits() & V::sign_bit()));
}

/// tanh(s + d) = (tanh s + tanh d) / (1 + tanh s tanh d) with the nearest node s.
WENGERT_INLINE Vec<float, Simd> tanh_by_table(Vec<float, Simd> x) {
  using V = Vec<float, Simd>;
  const V a = at_most(TanhTable::nodes[31], abs(x));
  const V shifted = fma(a, V(TanhTable::per_node), V(Float<float>::to_integer));
  const V s = look_up(TanhTable::values, shifted), d = a - look_up(TanhTable::nodes, shifted);
  const V z = d * d;
  const V t = fma(d * z, polynomial(z, -0.333322914f, 0.131747519f), d);
  return with_sign((s + t) / fma(s, t, V(1)), x);
}
/// t / (t + 2) with t = expm1(2 |x|) = (s - 1) + s p, where 2 |x| = n ln 2 + r, n is a multiple of 1/16, s =
/// 2^n and p = expm1(r).
WENGERT_INLINE Vec<double, Simd> tanh_by_table(Vec<double, Simd> x) {
  using V = Vec<double, Simd>;
  constexpr double to_sixteenths = Float<double>::to_integer / 16;
  const V a = abs(x);
  const V twice = at_most(-2 * Float<double>::expm1_min, a + a);
  const V shifted = fma(twice, V(1.4426950408889634), V(to_sixteenths));
  const V n = shifted - V(to_sixteenths);
  const V r = fnma(n, V(0.6931471805599453), twice);  // exact; what it and s lack follows
  const V low = fnma(n, V(2.3190468138462996e-17), look_up(ExpLacks<double>::values, shifted));
  const V q = polynomial(r, 0.50000000000000033, 0.16666666666666677, 0.041666666661872055,
                         0.0083333333324116243, 0.0013889092911176138, 0.00019841554676785792);
  const V p = r + fma(r * r, q, low);
  const V s = V::from_bits(look_up(ScaledTable::values, shifted).bits() + (shifted.bits() << 48));
  const V t = fma(s, p, s - V(1));
  return with_sign(t / (t + V(2)), x);
}

}  // namespace math
}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
#endif
