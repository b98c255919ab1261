#include "autodiff/tensor/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <mutex>

#include "autodiff/tensor/philox.hpp"

// Compiled with -ffp-contract=off (CMakeLists.txt): a fused multiply-add would round differently. Only
// + - * / and sqrt appear below, which IEEE 754 rounds exactly; the mathematical library would not.
#if defined(__FAST_MATH__)
#error "random numbers have to be the same everywhere: compile this file without -ffast-math"
#endif
static_assert(FLT_EVAL_METHOD == 0, "excess precision would change the numbers");
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

namespace wengert::random {
namespace {

constexpr std::int64_t chunk = 256;  // elements worked on at a time, in L1

// The random words of one draw, element by element: word i for 32 bits, words 2i and 2i + 1 for 64.
struct Stream {
  std::uint64_t seed;
  std::uint64_t draw;

  // count is rounded up to a whole block; start is a multiple of 4.
  void words32(std::int64_t start, std::int64_t count, std::uint32_t* out) const {
    for (std::int64_t i = 0; i < count; i += 4) {
      const detail::PhiloxBlock b = detail::philox(seed, static_cast<std::uint64_t>(start + i) / 4, draw);
      std::copy_n(b.word, 4, out + i);
    }
  }
  void words64(std::int64_t start, std::int64_t count, std::uint64_t* out) const {
    for (std::int64_t i = 0; i < count; i += 2) {
      const detail::PhiloxBlock b = detail::philox(seed, static_cast<std::uint64_t>(start + i) / 2, draw);
      out[i] = b.word[0] | std::uint64_t{b.word[1]} << 32;
      out[i + 1] = b.word[2] | std::uint64_t{b.word[3]} << 32;
    }
  }
  // Further words for element i, for the few that reject their first one. Draws stay below 2^56.
  std::uint64_t word64_again(std::int64_t i, unsigned attempt) const {
    const detail::PhiloxBlock b =
        detail::philox(seed, static_cast<std::uint64_t>(i), draw | std::uint64_t{attempt} << 56);
    return b.word[0] | std::uint64_t{b.word[1]} << 32;
  }
};

// log(x) for x in (0, 1): the series of 2 atanh((m - 1) / (m + 1)) for x = 2^e m, m in [sqrt(1/2), sqrt(2)).
// No branch and no conversion of integers, so that the loop over it becomes vector code.
double log_below_one(double x) {
  constexpr std::uint64_t root_half = 0x3FE6A09E667F3BCD, one = 0x3FF0000000000000;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t biased = (bits - root_half + one) >> 52;  // e + 1023
  const double m = std::bit_cast<double>(bits + one - (biased << 52));
  const double e = std::bit_cast<double>(biased | 0x4330000000000000) - (0x1p52 + 1023);
  const double s = (m - 1) / (m + 1);
  const double t = s * s;  // at most 0.0295: the first omitted term is below 1e-17
  double sum = 1.0 / 21;
  for (int k = 19; k >= 3; k -= 2) sum = sum * t + 1.0 / k;
  constexpr double ln2 = 0.69314718055994530942;
  return e * ln2 + (2 * s + 2 * s * (t * sum));
}

double polynomial(const double (&c)[8], double x) {
  return ((((((c[7] * x + c[6]) * x + c[5]) * x + c[4]) * x + c[3]) * x + c[2]) * x + c[1]) * x + c[0];
}

// The normal quantile at 1/2 + q: AS 241, PPND16.
double normal_centre(double q) {  // |q| <= 0.425
  constexpr double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                          1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                          3.3430575583588128105e4, 2.5090809287301226727e3};
  constexpr double b[] = {1.0,
                          4.2313330701600911252e1,
                          6.8718700749205790830e2,
                          5.3941960214247511077e3,
                          2.1213794301586595867e4,
                          3.9307895800092710610e4,
                          2.8729085735721942674e4,
                          5.2264952788528545610e3};
  const double r = 0.180625 - q * q;
  return q * (polynomial(a, r) / polynomial(b, r));
}

// The same for 0.425 < |q| < 1/2, in terms of r = sqrt(-log(1/2 - |q|)).
double normal_tail(double r) {  // r <= 5
  constexpr double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                          3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                          2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr double d[] = {1.0,
                          2.05319162663775882187e0,
                          1.67638483018380384940e0,
                          6.89767334985100004550e-1,
                          1.48103976427480074590e-1,
                          1.51986665636164571966e-2,
                          5.47593808499534494600e-4,
                          1.05075007164441684324e-9};
  return polynomial(c, r - 1.6) / polynomial(d, r - 1.6);
}

double normal_far_tail(double r) {  // r > 5: once in 10^11 draws
  constexpr double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                          2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                          2.71155556874348757815e-5, 2.01033439929228813265e-7};
  constexpr double f[] = {1.0,
                          5.99832206555887937690e-1,
                          1.36929880922735805310e-1,
                          1.48753612908506148525e-2,
                          7.86869131145613259100e-4,
                          1.84631831751005468180e-5,
                          1.42151175831644588870e-7,
                          2.04426310338993978564e-15};
  return polynomial(e, r - 5) / polynomial(f, r - 5);
}

// z[i] from q[i]: everything as if it lay in the centre, then the tails (one in seven) together. The loops
// have no branches that depend on the numbers.
void normal_quantiles(const double* q, double* z, std::int64_t count) {
  std::int16_t at[chunk];
  double r[chunk], tail[chunk];
  int tails = 0;
  for (std::int64_t i = 0; i < count; ++i) z[i] = normal_centre(q[i]);
  for (std::int64_t i = 0; i < count; ++i) {
    at[tails] = static_cast<std::int16_t>(i);
    r[tails] = 0.5 - std::abs(q[i]);
    tails += std::abs(q[i]) > 0.425;
  }
  for (int k = 0; k < tails; ++k) r[k] = std::sqrt(-log_below_one(r[k]));
  for (int k = 0; k < tails; ++k) tail[k] = normal_tail(r[k]);
  for (int k = 0; k < tails; ++k) {
    if (r[k] > 5) tail[k] = normal_far_tail(r[k]);
    z[at[k]] = std::copysign(tail[k], q[at[k]]);
  }
}

// convert() maps words to elements; chunks keep the words in L1 and the loops simple enough to vectorise.
template <class T, class Word, class Convert>
void fill(Stream stream, detail::TensorImpl& out, Convert&& convert) {
  Word words[chunk + 4];
  for (std::int64_t start = 0; start < out.size; start += chunk) {
    const std::int64_t count = std::min(chunk, out.size - start);
    if constexpr (sizeof(Word) == 4)
      stream.words32(start, count, words);
    else
      stream.words64(start, count, words);
    convert(words, out.as<T>() + start, count, start);
  }
}

// A position in (-1/2, 1/2), symmetric about 0 and never an end: exact in float64.
double centred(std::uint32_t word) { return (static_cast<std::int32_t>(word) + 0.5) * 0x1p-32; }
double centred(std::uint64_t word) {
  return (static_cast<double>(static_cast<std::int64_t>(word) >> 11) + 0.5) * 0x1p-53;
}

template <class T, class Word>
void fill_normal(const Stream& stream, detail::TensorImpl& out, double mean, double stddev) {
  fill<T, Word>(stream, out, [&](const Word* words, T* to, std::int64_t count, std::int64_t) {
    double q[chunk], z[chunk];
    for (std::int64_t i = 0; i < count; ++i) q[i] = centred(words[i]);
    normal_quantiles(q, z, count);
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(mean + stddev * z[i]);
  });
}

template <class T, class Word>
void fill_uniform(const Stream& stream, detail::TensorImpl& out, double low, double high) {
  const T first = static_cast<T>(low), end = static_cast<T>(high);
  // Rounding may reach `high`; the interval is half open.
  const T last = first < end ? std::nextafter(end, first) : first;
  const double width = static_cast<double>(end) - static_cast<double>(first);
  fill<T, Word>(stream, out, [&](const Word* words, T* to, std::int64_t count, std::int64_t) {
    for (std::int64_t i = 0; i < count; ++i) {
      double u;
      if constexpr (sizeof(Word) == 4)
        u = static_cast<std::int32_t>(words[i] >> 8) * 0x1p-24;
      else
        u = static_cast<double>(static_cast<std::int64_t>(words[i] >> 11)) * 0x1p-53;
      const T value = static_cast<T>(static_cast<double>(first) + width * u);
      to[i] = value < last ? value : last;
    }
  });
}

// A value below `range`, from the high half of word * range. The low half tells the words that would make
// some values more likely than others; they are replaced.
std::uint64_t below(const Stream& stream, std::uint64_t word, std::uint64_t range, std::int64_t i) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(word) * range;
  if (static_cast<std::uint64_t>(product) < range) {
    const std::uint64_t unfair = (0 - range) % range;  // 2^64 mod range
    for (unsigned attempt = 1; static_cast<std::uint64_t>(product) < unfair && attempt < 256; ++attempt)
      product = static_cast<Wide>(stream.word64_again(i, attempt)) * range;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

Tensor allocate(const char* operation, const Shape& shape, DType dtype, const SourceLocation& where) {
  for (std::int64_t d : shape)
    if (d < 0) throw ShapeError(operation, "a negative length in the shape " + to_string(shape), where);
  return Tensor::adopt(detail::new_tensor(dtype, shape));
}

void check_floating(const char* operation, DType dtype, const SourceLocation& where) {
  if (!is_floating(dtype))
    throw DTypeError(operation, "draws float32 or float64, not " + std::string(name(dtype)), where);
}

// The generator of the process.
std::mutex mutex;
constinit State current;

// The numbers of the process's generator that a draw takes. A draw is numbered only after its arguments were
// found to be right, and made outside of the lock.
Stream next_stream() {
  std::lock_guard lock(mutex);
  return {current.seed, current.draws++};
}

}  // namespace

void check_uniform(double low, double high, DType dtype, const SourceLocation& where) {
  check_floating("uniform", dtype, where);
  const double largest = dtype == DType::float32 ? std::numeric_limits<float>::max() : DBL_MAX;
  if (!(low <= high) || !std::isfinite(high - low) || std::abs(low) > largest || std::abs(high) > largest)
    throw ValueError("uniform", fmt::format("needs finite low <= high, got {} and {}", low, high), where);
}

void check_normal(double mean, double stddev, DType dtype, const SourceLocation& where) {
  check_floating("normal", dtype, where);
  if (!std::isfinite(mean) || !std::isfinite(stddev) || stddev < 0)
    throw ValueError("normal",
                     fmt::format("needs a finite mean and stddev >= 0, got {} and {}", mean, stddev), where);
}

void check_bernoulli(double p, const SourceLocation& where) {
  if (!(p >= 0 && p <= 1))
    throw ValueError("bernoulli", fmt::format("a probability lies in [0, 1], got {}", p), where);
}

void check_integers(std::int64_t low, std::int64_t high, const SourceLocation& where) {
  if (low >= high)
    throw ValueError("integers", fmt::format("needs low < high, got {} and {}", low, high), where);
}

void check_permutation(std::int64_t n, const SourceLocation& where) {
  if (n < 0) throw ValueError("permutation", fmt::format("a negative count: {}", n), where);
}

namespace {

void fill_bernoulli(const Stream& stream, detail::TensorImpl& out, double p) {
  const auto bound = static_cast<std::uint64_t>(p * 0x1p32 + 0.5);
  fill<bool, std::uint32_t>(stream, out,
                            [&](const std::uint32_t* words, bool* to, std::int64_t count, std::int64_t) {
                              for (std::int64_t i = 0; i < count; ++i) to[i] = words[i] < bound;
                            });
}

void fill_integers(const Stream& stream, detail::TensorImpl& out, std::int64_t low, std::int64_t high) {
  const auto first = static_cast<std::uint64_t>(low);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - first;
  fill<std::int64_t, std::uint64_t>(
      stream, out, [&](const std::uint64_t* words, std::int64_t* to, std::int64_t count, std::int64_t start) {
        for (std::int64_t i = 0; i < count; ++i)
          to[i] = static_cast<std::int64_t>(first + below(stream, words[i], range, start + i));
      });
}

void fill_permutation(const Stream& stream, detail::TensorImpl& out) {
  auto* const all = out.as<std::int64_t>();
  // Fisher and Yates, from the front: entry i is new and swaps with one of 0, ..., i.
  fill<std::int64_t, std::uint64_t>(
      stream, out, [&](const std::uint64_t* words, std::int64_t* to, std::int64_t count, std::int64_t start) {
        for (std::int64_t i = 0; i < count; ++i) {
          to[i] = start + i;
          std::swap(to[i],
                    all[below(stream, words[i], static_cast<std::uint64_t>(start + i + 1), start + i)]);
        }
      });
}

void fill_uniform_of(const Stream& stream, detail::TensorImpl& out, double low, double high) {
  if (out.dtype == DType::float32)
    fill_uniform<float, std::uint32_t>(stream, out, low, high);
  else
    fill_uniform<double, std::uint64_t>(stream, out, low, high);
}

void fill_normal_of(const Stream& stream, detail::TensorImpl& out, double mean, double stddev) {
  if (out.dtype == DType::float32)
    fill_normal<float, std::uint32_t>(stream, out, mean, stddev);
  else
    fill_normal<double, std::uint64_t>(stream, out, mean, stddev);
}

}  // namespace

void seed(std::uint64_t seed) { set_state({seed, 0}); }

State state() {
  std::lock_guard lock(mutex);
  return current;
}

void set_state(const State& state) {
  std::lock_guard lock(mutex);
  current = state;
}

Tensor Generator::uniform(const Shape& shape, double low, double high, DType dtype, SourceLocation where) {
  check_uniform(low, high, dtype, where);
  Tensor result = allocate("uniform", shape, dtype, where);
  fill_uniform_of({state_.seed, state_.draws++}, result.impl(), low, high);
  return result;
}
Tensor Generator::normal(const Shape& shape, double mean, double stddev, DType dtype, SourceLocation where) {
  check_normal(mean, stddev, dtype, where);
  Tensor result = allocate("normal", shape, dtype, where);
  fill_normal_of({state_.seed, state_.draws++}, result.impl(), mean, stddev);
  return result;
}
Tensor Generator::bernoulli(double p, const Shape& shape, SourceLocation where) {
  check_bernoulli(p, where);
  Tensor result = allocate("bernoulli", shape, DType::bool_, where);
  fill_bernoulli({state_.seed, state_.draws++}, result.impl(), p);
  return result;
}
Tensor Generator::integers(std::int64_t low, std::int64_t high, const Shape& shape, SourceLocation where) {
  check_integers(low, high, where);
  Tensor result = allocate("integers", shape, DType::int64, where);
  fill_integers({state_.seed, state_.draws++}, result.impl(), low, high);
  return result;
}
Tensor Generator::permutation(std::int64_t n, SourceLocation where) {
  check_permutation(n, where);
  Tensor result = allocate("permutation", {n}, DType::int64, where);
  fill_permutation({state_.seed, state_.draws++}, result.impl());
  return result;
}

void draw_uniform(detail::TensorImpl& out, double low, double high) {
  fill_uniform_of(next_stream(), out, low, high);
}
void draw_normal(detail::TensorImpl& out, double mean, double stddev) {
  fill_normal_of(next_stream(), out, mean, stddev);
}
void draw_bernoulli(detail::TensorImpl& out, double p) { fill_bernoulli(next_stream(), out, p); }
void draw_integers(detail::TensorImpl& out, std::int64_t low, std::int64_t high) {
  fill_integers(next_stream(), out, low, high);
}
void draw_permutation(detail::TensorImpl& out) { fill_permutation(next_stream(), out); }

}  // namespace wengert::random
