// Memory and vector arithmetic of the hand-written programs.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#if defined(__AVX__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace wengert::bench {

/// Floats that are allocated once, on huge pages when there are many.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t count) : count_(static_cast<std::size_t>(count)) {
    constexpr std::size_t huge = std::size_t{2} << 20;
    const std::size_t alignment = count_ * sizeof(float) >= huge ? huge : 64;
    const std::size_t bytes = (count_ * sizeof(float) + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<float*>(std::aligned_alloc(alignment, bytes)));
#if defined(__linux__)
    if (alignment == huge) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
    std::memset(data_.get(), 0, bytes);
  }
  Buffer(const std::vector<float>& values) : Buffer(static_cast<std::int64_t>(values.size())) {
    std::memcpy(data_.get(), values.data(), values.size() * sizeof(float));
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::size_t size() const { return count_; }
  std::span<const float> values() const { return {data_.get(), count_}; }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::size_t count_ = 0;
  std::unique_ptr<float, Free> data_;
};

// Branch-free scalar functions that the compiler vectorises. Range reduction and coefficients of exp and log
// are those of Moshier's Cephes library (expf, logf).

inline float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float n = std::rint(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float y = p * r * r + r + 1.0f;
  const std::int32_t bits = (static_cast<std::int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return y * power;
}

inline float fast_log(float x) {  // for normal, positive x
  std::int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  std::int32_t e = ((bits - 0x3f3504f3) >> 23);  // mantissa in [sqrt(1/2), sqrt(2))
  bits -= e << 23;
  float m;
  std::memcpy(&m, &bits, sizeof m);
  m -= 1.0f;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float f = static_cast<float>(e);
  return m * m * m * p - 0.5f * m * m + m + f * 0.69314718f;
}

inline float fast_tanh(float x) { return 1.0f - 2.0f / (fast_exp(2.0f * x) + 1.0f); }
inline float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

/// Copies n floats past the caches; a result that is not read again need not be fetched before it is written.
inline void stream(float* to, const float* from, std::size_t n) {
#if defined(__AVX__)
  std::size_t i = 0;
  for (; i < n && reinterpret_cast<std::uintptr_t>(to + i) % 32; ++i) to[i] = from[i];
  for (; i + 8 <= n; i += 8) _mm256_stream_ps(to + i, _mm256_loadu_ps(from + i));
  for (; i < n; ++i) to[i] = from[i];
#else
  std::memcpy(to, from, n * sizeof(float));
#endif
}

}  // namespace wengert::bench
