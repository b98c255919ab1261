#pragma once

/// \file
/// Values that elementwise rules compute with.
///
///     Vec<float, Simd>     a full register of this instruction set, for float and double
///     Vec<T, Scalar>       one bool, std::int64_t, float or double: the reference, and the mixed-type loops
///     Native<T>            the widest of the two that holds T
///     Mask<T, Arch>        the result of a comparison of Vec<T, Arch>
///
/// A rule is a generic lambda, written once with the names that Tensor has too and found by ADL:
///
///     [](auto x) { return where(x > 0.0, x, 0.01 * x); }
///     [](auto x, auto y) { return x * (1.0 - square(tanh(y))); }
///
/// + - * / (also with numbers, which become T), unary -, comparisons, & | ! on masks, where, exp, expm1, log,
/// log1p, sqrt, square, abs, sign, sin, cos, tanh, sigmoid, softplus, pow, maximum, minimum, reciprocal,
/// isnan, isinf, isfinite, zeros_like, ones_like. Within 3 units in the last place of the exact value; NaN,
/// infinities and signed zeros as in IEEE 754 and NumPy.

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/isa.hpp"
#include "autodiff/kernels/uses.hpp"

// Where xsimd knows no registers, or none are wanted, single elements do all the work.
#if !defined(WENGERT_NO_SIMD) && (defined(__SSE2__) || defined(__aarch64__))
#define WENGERT_SIMD 1
#include <xsimd/xsimd.hpp>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#else
#define WENGERT_SIMD 0
#endif

namespace wengert::kernels {
inline namespace WENGERT_ISA {

#if WENGERT_SIMD && defined(__AVX512F__)
/// The plain forms of these intrinsics start from an undefined register, which g++ 12 reports as a variable
/// used uninitialised (its bug 105593) once they are inlined here; the masked forms do not.
namespace wide {
WENGERT_INLINE __m512 max(__m512 a, __m512 b) { return _mm512_mask_max_ps(a, __mmask16(-1), a, b); }
WENGERT_INLINE __m512d max(__m512d a, __m512d b) { return _mm512_mask_max_pd(a, __mmask8(-1), a, b); }
WENGERT_INLINE __m512 min(__m512 a, __m512 b) { return _mm512_mask_min_ps(a, __mmask16(-1), a, b); }
WENGERT_INLINE __m512d min(__m512d a, __m512d b) { return _mm512_mask_min_pd(a, __mmask8(-1), a, b); }
WENGERT_INLINE __m512 sqrt(__m512 a) { return _mm512_mask_sqrt_ps(a, __mmask16(-1), a); }
WENGERT_INLINE __m512d sqrt(__m512d a) { return _mm512_mask_sqrt_pd(a, __mmask8(-1), a); }
WENGERT_INLINE __m512 trunc(__m512 a) { return _mm512_mask_roundscale_ps(a, __mmask16(-1), a, 3); }
WENGERT_INLINE __m512d trunc(__m512d a) { return _mm512_mask_roundscale_pd(a, __mmask8(-1), a, 3); }
// xsimd 8.1 has no fused multiply-add for AVX-512: its generic form rounds twice unless the compiler
// contracts.
WENGERT_INLINE __m512 fma(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
WENGERT_INLINE __m512d fma(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
WENGERT_INLINE __m512 fnma(__m512 a, __m512 b, __m512 c) { return _mm512_fnmadd_ps(a, b, c); }
WENGERT_INLINE __m512d fnma(__m512d a, __m512d b, __m512d c) { return _mm512_fnmadd_pd(a, b, c); }
// xsimd 8.1 compares with an ordered predicate (on AVX too), which makes NaN != NaN false.
WENGERT_INLINE __mmask16 differ(__m512 a, __m512 b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
WENGERT_INLINE __mmask8 differ(__m512d a, __m512d b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
/// a * 2^floor(b), rounded once.
WENGERT_INLINE __m512 scalef(__m512 a, __m512 b) { return _mm512_mask_scalef_ps(a, __mmask16(-1), a, b); }
WENGERT_INLINE __m512d scalef(__m512d a, __m512d b) { return _mm512_mask_scalef_pd(a, __mmask8(-1), a, b); }
}  // namespace wide
#endif

struct Simd {};
struct Scalar {};

template <class T, class Arch>
struct Vec;
template <class T, class Arch>
struct Mask;

template <class T>
inline constexpr bool vectorised = WENGERT_SIMD && (std::is_same_v<T, float> || std::is_same_v<T, double>);
template <class T>
using Native = Vec<T, std::conditional_t<vectorised<T>, Simd, Scalar>>;

#if WENGERT_SIMD
// ---------------------------------------------------------------------------------------------- registers

template <class T>
struct Mask<T, Simd> {
  using Batch = xsimd::batch_bool<T, xsimd::default_arch>;
  using Value = Vec<T, Simd>;
  Batch v;

  Mask() = default;
  WENGERT_INLINE Mask(Batch b) : v(b) {}

  /// From and to as many bools (bytes) as there are lanes.
  WENGERT_INLINE static Mask load(const std::uint8_t* p);
  WENGERT_INLINE static Mask splat(const std::uint8_t* p);
  WENGERT_INLINE void store(std::uint8_t* p) const;

  WENGERT_INLINE friend Mask operator&(Mask a, Mask b) { return a.v & b.v; }
  WENGERT_INLINE friend Mask operator|(Mask a, Mask b) { return a.v | b.v; }
  WENGERT_INLINE friend Mask operator!(Mask a) { return ~a.v; }
  WENGERT_INLINE friend bool any(Mask a) { return xsimd::any(a.v); }
  /// a where the mask holds, b elsewhere.
  WENGERT_INLINE friend Value where(Mask m, Value a, Value b) { return xsimd::select(m.v, a.v, b.v); }
};

template <class T>
struct Vec<T, Simd> {
  using value_type = T;
  using arch = Simd;
  using Batch = xsimd::batch<T, xsimd::default_arch>;
  using Register = typename Batch::register_type;
  using Bit = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  typedef T Lanes [[gnu::vector_size(sizeof(Register))]];
  /// The bits of all lanes as unsigned integers, with the compiler's own vector operators.
  typedef Bit Bits [[gnu::vector_size(sizeof(Register))]];
  using M = Mask<T, Simd>;
  static constexpr int width = static_cast<int>(Batch::size);

  Batch v;

  Vec() = default;
  WENGERT_INLINE Vec(Batch b) : v(b) {}
  template <Number N>
  WENGERT_INLINE Vec(N n) : v(static_cast<T>(n)) {}

  WENGERT_INLINE static Vec load(const T* p) { return Batch::load_unaligned(p); }
  WENGERT_INLINE void store(T* p) const { v.store_unaligned(p); }
  WENGERT_INLINE static Vec splat(const T* p) { return Batch(*p); }

  WENGERT_INLINE Bits bits() const { return __builtin_bit_cast(Bits, v.data); }
  WENGERT_INLINE static Vec from_bits(Bits b) { return Batch(__builtin_bit_cast(Register, b)); }
  WENGERT_INLINE Lanes lanes() const { return __builtin_bit_cast(Lanes, v.data); }
  WENGERT_INLINE static Vec from_lanes(Lanes b) { return Batch(__builtin_bit_cast(Register, b)); }

  /// The mask of the first n lanes, 0 <= n <= width.
  WENGERT_INLINE static M head(int n) { return iota(std::make_integer_sequence<int, width>{}) < Vec(n); }

  /// Lane i takes the value of lane i ^ distance; distance is a power of two below the width.
  template <int distance>
  WENGERT_INLINE Vec swapped() const {
    return swap<distance>(std::make_integer_sequence<int, width>{});
  }

  WENGERT_INLINE friend Vec operator+(Vec a, Vec b) { return a.v + b.v; }
  WENGERT_INLINE friend Vec operator-(Vec a, Vec b) { return a.v - b.v; }
  WENGERT_INLINE friend Vec operator*(Vec a, Vec b) { return a.v * b.v; }
  WENGERT_INLINE friend Vec operator/(Vec a, Vec b) { return a.v / b.v; }
  WENGERT_INLINE friend Vec operator-(Vec a) { return from_bits(a.bits() ^ sign_bit()); }
  WENGERT_INLINE Vec& operator+=(Vec b) { return *this = *this + b; }
  WENGERT_INLINE Vec& operator*=(Vec b) { return *this = *this * b; }
  /// a * b + c, rounded once where the instruction set has it, and c - a * b.
#if defined(__AVX512F__)
  WENGERT_INLINE friend Vec fma(Vec a, Vec b, Vec c) {
    return Batch(wide::fma(a.v.data, b.v.data, c.v.data));
  }
  WENGERT_INLINE friend Vec fnma(Vec a, Vec b, Vec c) {
    return Batch(wide::fnma(a.v.data, b.v.data, c.v.data));
  }
#else
  WENGERT_INLINE friend Vec fma(Vec a, Vec b, Vec c) { return xsimd::fma(a.v, b.v, c.v); }
  WENGERT_INLINE friend Vec fnma(Vec a, Vec b, Vec c) { return xsimd::fnma(a.v, b.v, c.v); }
#endif

  WENGERT_INLINE friend M operator<(Vec a, Vec b) { return a.v < b.v; }
  WENGERT_INLINE friend M operator<=(Vec a, Vec b) { return a.v <= b.v; }
  WENGERT_INLINE friend M operator>(Vec a, Vec b) { return a.v > b.v; }
  WENGERT_INLINE friend M operator>=(Vec a, Vec b) { return a.v >= b.v; }
  WENGERT_INLINE friend M operator==(Vec a, Vec b) { return a.v == b.v; }
#if defined(__AVX512F__)
  WENGERT_INLINE friend M operator!=(Vec a, Vec b) {
    return typename M::Batch(wide::differ(a.v.data, b.v.data));
  }
#else
  WENGERT_INLINE friend M operator!=(Vec a, Vec b) { return !(a == b); }
#endif

  WENGERT_INLINE friend M isnan(Vec a) { return a != a; }
  WENGERT_INLINE friend M isfinite(Vec a) { return abs(a) < Vec(infinity); }
  WENGERT_INLINE friend M isinf(Vec a) { return abs(a) == Vec(infinity); }

#if defined(__AVX512F__)
  WENGERT_INLINE friend Vec sqrt(Vec a) { return Batch(wide::sqrt(a.v.data)); }
  WENGERT_INLINE friend Vec trunc(Vec a) { return Batch(wide::trunc(a.v.data)); }
#else
  WENGERT_INLINE friend Vec sqrt(Vec a) { return xsimd::sqrt(a.v); }
  WENGERT_INLINE friend Vec trunc(Vec a) { return xsimd::trunc(a.v); }
#endif
  WENGERT_INLINE friend Vec square(Vec a) { return a.v * a.v; }
  WENGERT_INLINE friend Vec reciprocal(Vec a) { return Vec(1) / a; }
  WENGERT_INLINE friend Vec abs(Vec a) { return from_bits(a.bits() & ~sign_bit()); }
  /// The magnitude of a with the sign of b.
  WENGERT_INLINE friend Vec copysign(Vec a, Vec b) {
    return from_bits((a.bits() & ~sign_bit()) | (b.bits() & sign_bit()));
  }
  /// -1, 0, 1; 0 at both zeros, NaN at NaN.
  WENGERT_INLINE friend Vec sign(Vec a) {
    return where(a != Vec(0), where(isnan(a), a, copysign(Vec(1), a)), Vec(0));
  }
  /// NaN when either is, as NumPy's. The x86 instruction gives its second operand when one is NaN.
  WENGERT_INLINE friend Vec maximum(Vec a, Vec b) { return where(isnan(a), a, max_or_second(a, b)); }
  WENGERT_INLINE friend Vec minimum(Vec a, Vec b) { return where(isnan(a), a, min_or_second(a, b)); }
  /// The larger one; b when either is NaN: one instruction where that is what the machine has.
  WENGERT_INLINE friend Vec max_or_second(Vec a, Vec b) {
#if defined(__AVX512F__)
    return Batch(wide::max(a.v.data, b.v.data));
#elif defined(__SSE2__)
    return xsimd::max(a.v, b.v);
#else
    return where(a > b, a, b);
#endif
  }
  WENGERT_INLINE friend Vec min_or_second(Vec a, Vec b) {
#if defined(__AVX512F__)
    return Batch(wide::min(a.v.data, b.v.data));
#elif defined(__SSE2__)
    return xsimd::min(a.v, b.v);
#else
    return where(a < b, a, b);
#endif
  }
  WENGERT_INLINE friend Vec zeros_like(Vec) { return Vec(0); }
  WENGERT_INLINE friend Vec ones_like(Vec) { return Vec(1); }

  WENGERT_INLINE static Bits sign_bit() { return Vec(T(-0.0)).bits(); }
  static constexpr T infinity = std::numeric_limits<T>::infinity();

 private:
  template <int... I>
  WENGERT_INLINE static Vec iota(std::integer_sequence<int, I...>) {
    return from_lanes(Lanes{T(I)...});
  }
  template <int distance, int... I>
  WENGERT_INLINE Vec swap(std::integer_sequence<int, I...>) const {
    return from_lanes(__builtin_shufflevector(lanes(), lanes(), (I ^ distance)...));
  }
};

// g++ 12 converts between lanes of different width one by one, so this says which instructions do it. Up to
// sixteen bytes are read for fewer lanes, which the room after every buffer allows.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
template <class T>
WENGERT_INLINE Mask<T, Simd> Mask<T, Simd>::load(const std::uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return Batch(static_cast<typename Batch::register_type>(_mm_test_epi8_mask(bytes, bytes)));
}
template <class T>
WENGERT_INLINE void Mask<T, Simd>::store(std::uint8_t* p) const {
  const __m128i bytes = _mm_maskz_set1_epi8(static_cast<__mmask16>(v.data), 1);
  if constexpr (Value::width == 16)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  else
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
}
#else
namespace masks {
#if defined(__AVX2__) && !defined(__AVX512F__)
WENGERT_INLINE __m256i widened(__m128i bytes, float) { return _mm256_cvtepu8_epi32(bytes); }
WENGERT_INLINE __m256i widened(__m128i bytes, double) { return _mm256_cvtepu8_epi64(bytes); }
WENGERT_INLINE unsigned bits(__m256 m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
WENGERT_INLINE unsigned bits(__m256d m) { return static_cast<unsigned>(_mm256_movemask_pd(m)); }
#elif defined(__SSE4_1__) && !defined(__AVX__)
WENGERT_INLINE __m128i widened(__m128i bytes, float) { return _mm_cvtepu8_epi32(bytes); }
WENGERT_INLINE __m128i widened(__m128i bytes, double) { return _mm_cvtepu8_epi64(bytes); }
WENGERT_INLINE unsigned bits(__m128 m) { return static_cast<unsigned>(_mm_movemask_ps(m)); }
WENGERT_INLINE unsigned bits(__m128d m) { return static_cast<unsigned>(_mm_movemask_pd(m)); }
#else
#define WENGERT_MASKS_BY_LANE
template <int width>
struct BytesOf {
  typedef std::uint8_t type [[gnu::vector_size(width)]];
};
#endif
}  // namespace masks

template <class T>
WENGERT_INLINE Mask<T, Simd> Mask<T, Simd>::load(const std::uint8_t* p) {
  using Bits = typename Value::Bits;
#ifdef WENGERT_MASKS_BY_LANE
  typename masks::BytesOf<Value::width>::type bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  const Bits wide = __builtin_convertvector(bytes, Bits);
#else
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const Bits wide = __builtin_bit_cast(Bits, masks::widened(bytes, T()));
#endif
  return Value::from_bits(wide << (sizeof(T) == 4 ? 23 : 52)) != Value(T(0));  // 1 becomes a normal number
}
template <class T>
WENGERT_INLINE void Mask<T, Simd>::store(std::uint8_t* p) const {
#ifdef WENGERT_MASKS_BY_LANE
  using Bytes = typename masks::BytesOf<Value::width>::type;
  const auto ones = where(*this, Value(T(1)), Value(T(0))).bits() != 0;
  const Bytes bytes = __builtin_convertvector(__builtin_bit_cast(typename Value::Bits, ones), Bytes) & 1;
  __builtin_memcpy(p, &bytes, sizeof bytes);
#else
  // Bit i into byte i: a copy of all bits in every byte, of which each keeps its own.
  const std::uint64_t own = (masks::bits(v.data) * 0x0101010101010101u) & 0x8040201008040201u;
  const std::uint64_t bytes = (own + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
  __builtin_memcpy(p, &bytes, Value::width);
#endif
}
#undef WENGERT_MASKS_BY_LANE
#endif
template <class T>
WENGERT_INLINE Mask<T, Simd> Mask<T, Simd>::splat(const std::uint8_t* p) {
  return Value(T(*p)) != Value(T(0));
}

#endif  // WENGERT_SIMD

// ---------------------------------------------------------------------------------------------- one element

/// c ? a : b without a branch: g++ 12 does not vectorise the conditional between two loads.
template <class T>
WENGERT_INLINE T select_bits(bool c, T a, T b) {
  if constexpr (sizeof(T) == 1) {
    return T((c & a) | (!c & b));
  } else {
    using Bit = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const Bit mask = Bit(0) - Bit(c);
    return __builtin_bit_cast(T, (__builtin_bit_cast(Bit, a) & mask) | (__builtin_bit_cast(Bit, b) & ~mask));
  }
}

template <class T>
struct Mask<T, Scalar> {
  using Value = Vec<T, Scalar>;
  bool v;

  Mask() = default;
  WENGERT_INLINE constexpr Mask(bool b) : v(b) {}
  WENGERT_INLINE constexpr operator Vec<bool, Scalar>() const;

  WENGERT_INLINE friend Mask operator&(Mask a, Mask b) { return bool(a.v & b.v); }
  WENGERT_INLINE friend Mask operator|(Mask a, Mask b) { return bool(a.v | b.v); }
  WENGERT_INLINE friend Mask operator!(Mask a) { return !a.v; }
  WENGERT_INLINE friend bool any(Mask a) { return a.v; }
  WENGERT_INLINE friend Value where(Mask m, Value a, Value b) { return select_bits(m.v, a.v, b.v); }
};

template <class T>
struct Vec<T, Scalar> {
  using value_type = T;
  using arch = Scalar;
  using M = Mask<T, Scalar>;
  static constexpr int width = 1;
  using Condition =
      Vec<std::conditional_t<sizeof(T) != 0, bool, bool>, Scalar>;  // dependent: not yet complete
  static constexpr bool real = std::is_floating_point_v<T>;

  T v;

  Vec() = default;
  template <Number N>
  WENGERT_INLINE constexpr Vec(N n) : v(static_cast<T>(n)) {}

  WENGERT_INLINE static Vec load(const T* p) { return *p; }
  WENGERT_INLINE void store(T* p) const { *p = v; }
  WENGERT_INLINE static Vec splat(const T* p) { return *p; }
  WENGERT_INLINE static M head(int n) { return n > 0; }

  // Integers wrap around, as NumPy's do; on bool, + is or, * is and, - is exclusive or.
  WENGERT_INLINE friend Vec operator+(Vec a, Vec b) {
    if constexpr (std::is_same_v<T, std::int64_t>) return T(std::uint64_t(a.v) + std::uint64_t(b.v));
    return T(a.v + b.v);
  }
  WENGERT_INLINE friend Vec operator-(Vec a, Vec b) {
    if constexpr (std::is_same_v<T, std::int64_t>) return T(std::uint64_t(a.v) - std::uint64_t(b.v));
    return T(a.v - b.v);
  }
  WENGERT_INLINE friend Vec operator*(Vec a, Vec b) {
    if constexpr (std::is_same_v<T, std::int64_t>) return T(std::uint64_t(a.v) * std::uint64_t(b.v));
    if constexpr (std::is_same_v<T, bool>) return a.v && b.v;
    return T(a.v * b.v);
  }
  WENGERT_INLINE friend Vec operator/(Vec a, Vec b) requires real { return a.v / b.v; }
  WENGERT_INLINE friend Vec operator-(Vec a) {
    if constexpr (real) return -a.v;
    return Vec(0) - a;
  }
  WENGERT_INLINE Vec& operator+=(Vec b) { return *this = *this + b; }
  WENGERT_INLINE Vec& operator*=(Vec b) { return *this = *this * b; }
  WENGERT_INLINE friend Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
  WENGERT_INLINE friend Vec fnma(Vec a, Vec b, Vec c) { return c - a * b; }

  WENGERT_INLINE friend M operator<(Vec a, Vec b) { return a.v < b.v; }
  WENGERT_INLINE friend M operator<=(Vec a, Vec b) { return a.v <= b.v; }
  WENGERT_INLINE friend M operator>(Vec a, Vec b) { return a.v > b.v; }
  WENGERT_INLINE friend M operator>=(Vec a, Vec b) { return a.v >= b.v; }
  WENGERT_INLINE friend M operator==(Vec a, Vec b) { return a.v == b.v; }
  WENGERT_INLINE friend M operator!=(Vec a, Vec b) { return a.v != b.v; }
  WENGERT_INLINE friend Vec operator&(Vec a, Vec b) requires std::is_same_v<T, bool> {
    return bool(a.v & b.v);
  }
  WENGERT_INLINE friend Vec operator|(Vec a, Vec b) requires std::is_same_v<T, bool> {
    return bool(a.v | b.v);
  }
  WENGERT_INLINE friend Vec operator!(Vec a) requires std::is_same_v<T, bool> { return !a.v; }

  /// The condition of a bool operand; comparisons of T have a where of their own (Mask).
  WENGERT_INLINE friend Vec where(Condition c, Vec a, Vec b) { return select_bits(c.v, a.v, b.v); }

  WENGERT_INLINE friend M isnan(Vec a) { return a.v != a.v; }
  WENGERT_INLINE friend M isfinite(Vec a) { return !real || a.v - a.v == T(0); }
  WENGERT_INLINE friend M isinf(Vec a) { return real && a.v == a.v && a.v - a.v != T(0); }

  WENGERT_INLINE friend Vec square(Vec a) { return a * a; }
  WENGERT_INLINE friend Vec abs(Vec a) {
    if constexpr (real) return std::fabs(a.v);
    return a.v < T(0) ? Vec(0) - a : a;
  }
  WENGERT_INLINE friend Vec sign(Vec a) {
    if constexpr (std::is_same_v<T, bool>) return a;
    return a.v > T(0) ? T(1) : a.v < T(0) ? T(-1) : a.v == a.v ? T(0) : a.v;
  }
  WENGERT_INLINE friend Vec maximum(Vec a, Vec b) { return a.v > b.v || a.v != a.v ? a : b; }
  WENGERT_INLINE friend Vec minimum(Vec a, Vec b) { return a.v < b.v || a.v != a.v ? a : b; }
  WENGERT_INLINE friend Vec max_or_second(Vec a, Vec b) { return a.v > b.v ? a : b; }
  WENGERT_INLINE friend Vec min_or_second(Vec a, Vec b) { return a.v < b.v ? a : b; }
  WENGERT_INLINE friend Vec zeros_like(Vec) { return Vec(0); }
  WENGERT_INLINE friend Vec ones_like(Vec) { return Vec(1); }

  WENGERT_INLINE friend Vec pow(Vec a, Vec b) {
    if constexpr (real)
      return std::pow(a.v, b.v);
    else
      return integer_power(a, b);
  }

#define WENGERT_REAL_FUNCTION(name, expression) \
  WENGERT_INLINE friend Vec name(Vec a) requires real { return expression; }
  WENGERT_REAL_FUNCTION(sqrt, std::sqrt(a.v))
  WENGERT_REAL_FUNCTION(exp, std::exp(a.v))
  WENGERT_REAL_FUNCTION(expm1, std::expm1(a.v))
  WENGERT_REAL_FUNCTION(log, std::log(a.v))
  WENGERT_REAL_FUNCTION(log1p, std::log1p(a.v))
  WENGERT_REAL_FUNCTION(sin, std::sin(a.v))
  WENGERT_REAL_FUNCTION(cos, std::cos(a.v))
  WENGERT_REAL_FUNCTION(tanh, std::tanh(a.v))
  WENGERT_REAL_FUNCTION(reciprocal, T(1) / a.v)
  // Written with exp(-|x|), which cannot overflow.
  WENGERT_REAL_FUNCTION(sigmoid, (a.v >= T(0) ? T(1) : std::exp(a.v)) / (T(1) + std::exp(-std::fabs(a.v))))
  WENGERT_REAL_FUNCTION(softplus, (a.v > T(0) ? a.v : T(0)) + std::log1p(std::exp(-std::fabs(a.v))))
#undef WENGERT_REAL_FUNCTION

 private:
  /// By squaring; a negative exponent gives the truncated quotient 1 / a^-b, and 0 for a = 0.
  static inline Vec integer_power(Vec a, Vec b) {
    if (b.v < T(0)) {
      if (a.v == T(1)) return a;
      if constexpr (!std::is_same_v<T, bool>)
        if (a.v == T(-1)) return b.v & 1 ? T(-1) : T(1);
      return T(0);
    }
    Vec result = 1;
    for (std::uint64_t n = std::uint64_t(b.v); n > 0; n >>= 1, a = a * a)
      if (n & 1) result = result * a;
    return result;
  }
};

template <class T>
WENGERT_INLINE constexpr Mask<T, Scalar>::operator Vec<bool, Scalar>() const {
  return Vec<bool, Scalar>(v);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels

#if WENGERT_SIMD
#include "autodiff/kernels/vec_math.hpp"  // IWYU pragma: export
#endif
