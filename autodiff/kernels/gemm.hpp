#pragma once

/// \file
/// Matrix products: one function in front of BLAS and of products of our own.
///
///     gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)      C = alpha op(A) op(B) + beta C
///     gemm_batched(ta, tb, m, n, k, a, lda, stride_a, b, ldb, stride_b, c, ldc, stride_c, batch)   C[i] =
///     A[i] B[i]
///
/// Row-major; op(A) is [m, k] and A is stored [k, m] when ta, op(B) is [k, n] and B is stored [n, k] when tb;
/// ld* is the distance between stored rows. float, double and std::int64_t (which wraps around). k = 0 gives
/// beta C; beta = 0 overwrites C, whatever it held. C is written exactly, except that a product with n at
/// most one register and contiguous rows may touch the 64 bytes after its end. A and B may be read to the end
/// of a register behind their last element.
///
/// Products of a few hundred operations cost less than the call into BLAS and are done here, with the
/// instruction set of the caller; so are large ones where gemm_packed.hpp is ahead of BLAS.

#include <array>
#include <cstring>

#include "autodiff/kernels/blas.hpp"
#include "autodiff/kernels/gemm_packed.hpp"
#include "autodiff/kernels/transpose.hpp"
#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace product {

template <class V, class T>
WENGERT_INLINE void store_exactly(V v, T* p, int n) {
  if (n >= V::width) return v.store(p);
  alignas(64) T lanes[V::width];
  v.store(lanes);
  for (int j = 0; j < n; ++j) p[j] = lanes[j];
}

/// `rows` rows of C against B[k, n] with rows ldb apart. A(i, p) = a[i * row_step + p * k_step].
template <int rows, class T>
WENGERT_INLINE void tiny_rows(int n, int k, T alpha, const T* a, std::int64_t row_step, std::int64_t k_step,
                              const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  using V = Native<T>;
  constexpr int W = V::width;
  for (int j = 0; j < n; j += W) {
    V sum[rows];
    for (int r = 0; r < rows; ++r) sum[r] = V(T(0));
    for (int p = 0; p < k; ++p) {
      const V row = V::load(b + p * ldb + j);
      for (int r = 0; r < rows; ++r) sum[r] = fma(V(a[r * row_step + p * k_step]), row, sum[r]);
    }
    // Whole registers while what they write beyond the row is written again afterwards.
    const bool whole = n <= W && ldc == n && beta == T(0);
    for (int r = 0; r < rows; ++r) {
      V value = alpha == T(1) ? sum[r] : V(alpha) * sum[r];
      T* const to = c + r * ldc + j;
      if (whole) {
        value.store(to);
      } else {
        if (beta != T(0)) value = fma(V(beta), V::load(to), value);
        store_exactly(value, to, n - j);
      }
    }
  }
}

/// Elements of the buffer in which a transposed B is laid out by rows.
inline constexpr int tiny_buffer = 256;

template <class T>
WENGERT_INLINE void tiny(bool ta, bool tb, int m, int n, int k, T alpha, const T* a, std::int64_t lda,
                         const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  alignas(64) T buffer[tiny_buffer + 64];
  if (tb && n == 1) {
    ldb = 1;  // a column: its entries are consecutive, and one row of them is read at a time
  } else if (tb) {
    for (int j = 0; j < n; ++j)
      for (int p = 0; p < k; ++p) buffer[p * n + j] = b[j * ldb + p];
    // The last row is read to the end of its last register.
    b = buffer;
    ldb = n;
  }
  const std::int64_t row_step = ta ? 1 : lda, k_step = ta ? lda : 1;
  int i = 0;
  for (; i + 4 <= m; i += 4)
    tiny_rows<4>(n, k, alpha, a + i * row_step, row_step, k_step, b, ldb, beta, c + i * ldc, ldc);
  for (; i < m; ++i)
    tiny_rows<1>(n, k, alpha, a + i * row_step, row_step, k_step, b, ldb, beta, c + i * ldc, ldc);
}

#if WENGERT_SIMD && defined(__AVX512F__)
/// Two registers one after the other, in the order that `index` says.
WENGERT_INLINE __m512 pick(__m512 a, __m512 b, Vec<float, Simd>::Bits index) {
  return _mm512_permutex2var_ps(a, __builtin_bit_cast(__m512i, index), b);
}
WENGERT_INLINE __m512d pick(__m512d a, __m512d b, Vec<double, Simd>::Bits index) {
  return _mm512_permutex2var_pd(a, __builtin_bit_cast(__m512i, index), b);
}

/// Whether C fits into one register, and A and B into two, which can be permuted as one.
template <class T>
WENGERT_INLINE bool is_minute(std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr int W = Native<T>::width;
  return m > 0 && n > 0 && k > 0 && m * n <= W && m * k <= 2 * W && n * k <= 2 * W;
}

/// A minute product of matrices without gaps: each lane finds its row of A and its column of B, term by term
/// in the order of tiny(), so with the same bits. One store: a result of several rows that are written one by
/// one can't be forwarded to the load of the whole that comes next.
template <class T>
WENGERT_INLINE void minute(bool ta, bool tb, int m, int n, int k, T alpha, const T* a, const T* b, T beta,
                           T* c) {
  using V = Native<T>;
  using Bits = typename V::Bits;
  using Bit = typename V::Bit;
  constexpr int W = V::width;
  static constexpr auto lanes = [] {
    std::array<Bit, W> all{};
    for (int i = 0; i < W; ++i) all[static_cast<std::size_t>(i)] = static_cast<Bit>(i);
    return all;
  }();
  // One over n in 16 bits, rounded up: exact for quotients of numbers below W.
  static constexpr auto reciprocals = [] {
    std::array<Bit, W + 1> all{};
    for (unsigned i = 1; i <= W; ++i) all[i] = (65536 + i - 1) / i;
    return all;
  }();
  const Bits lane = __builtin_bit_cast(Bits, lanes);
  const Bits row = lane * reciprocals[static_cast<std::size_t>(n)] >> 16;
  const Bits column = lane - row * static_cast<Bit>(n);
  Bits at_a = ta ? row : row * static_cast<Bit>(k), at_b = tb ? column * static_cast<Bit>(k) : column;
  const Bit step_a = static_cast<Bit>(ta ? m : 1), step_b = static_cast<Bit>(tb ? 1 : n);
  const V a0 = V::load(a), a1 = V::load(m * k > W ? a + W : a);
  const V b0 = V::load(b), b1 = V::load(n * k > W ? b + W : b);
  V sum(T(0));
  for (int p = 0; p < k; ++p) {
    sum = fma(V(typename V::Batch(pick(a0.v.data, a1.v.data, at_a))),
              V(typename V::Batch(pick(b0.v.data, b1.v.data, at_b))), sum);
    at_a += step_a;
    at_b += step_b;
  }
  V value = alpha == T(1) ? sum : V(alpha) * sum;
  if (beta != T(0)) {  // what lies behind C may be the next one of a batch, not yet added to
    const V old = V::load(c);
    value = where(V::head(m * n), fma(V(beta), old, value), old);
  }
  value.store(c);
}
#else
template <class T>
WENGERT_INLINE bool is_minute(std::int64_t, std::int64_t, std::int64_t) {
  return false;
}
template <class T>
WENGERT_INLINE void minute(bool, bool, int, int, int, T, const T*, const T*, T, T*) {}
#endif

/// Whether the work is small enough to be done here; measured against OpenBLAS 0.3.21.
template <class T>
WENGERT_INLINE bool is_tiny(bool tb, std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr int W = Native<T>::width;
  if (m > 64 || n > 64 || k > 64) return false;
  // Laying out B by rows pays when several rows of A use it.
  if (tb && n > 1 && n * k > (m < 4 ? m : 4) * (tiny_buffer / 4)) return false;
  return m * ((n + W - 1) / W) * k <= (tb ? 160 : 128);
}

/// OpenBLAS multiplies up to 10^6 elements without packing where there is AVX-512, and its kernel for A B^T
/// is then slower than B's transposition and the kernel for A B: 1.12 to 1.57 times for the products of
/// docs/decisions/small-networks.md. It packs larger ones, and then it makes no difference.
inline constexpr int turned_buffer = 16384;
template <class T>
WENGERT_INLINE bool pays_to_turn(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k) {
  if constexpr (!std::is_same_v<T, float> || Native<T>::width < 16) return false;
  return tb && !ta && m >= 16 && n > 1 && k > 1 && n * k <= turned_buffer && m * n * k <= 1000000;
}

template <class T>
[[gnu::noinline]] void turned(std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
                              std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
                              std::int64_t ldc) {
  alignas(64) T buffer[turned_buffer];
  transpose_tile(buffer, n, b, ldb, k, n);
  blas_gemm(false, false, m, n, k, alpha, a, lda, buffer, n, beta, c, ldc);
}

inline void integers(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t alpha,
                     const std::int64_t* a, std::int64_t lda, const std::int64_t* b, std::int64_t ldb,
                     std::int64_t beta, std::int64_t* c, std::int64_t ldc) {
  using Bits = std::uint64_t;  // wraps around without undefined behaviour
  for (std::int64_t i = 0; i < m; ++i) {
    std::int64_t* row = c + i * ldc;
    for (std::int64_t j = 0; j < n; ++j)
      row[j] = beta == 0 ? 0 : static_cast<std::int64_t>(Bits(beta) * Bits(row[j]));
    for (std::int64_t p = 0; p < k; ++p) {
      const Bits factor = Bits(alpha) * Bits(ta ? a[p * lda + i] : a[i * lda + p]);
      const std::int64_t step = tb ? ldb : 1;
      const std::int64_t* other = b + (tb ? p : p * ldb);
      for (std::int64_t j = 0; j < n; ++j)
        row[j] = static_cast<std::int64_t>(Bits(row[j]) + factor * Bits(other[j * step]));
    }
  }
}

template <class T>
inline void any_size(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
                     std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  if constexpr (std::is_integral_v<T>) {
    product::integers(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  } else {
    if (m == 0 || n == 0) return;
    // A column of results is a row of the transposed product, which fills registers better.
    if (n == 1 && ldc == 1 && m > 1 && product::is_tiny<T>(!ta, 1, m, k))
      return product::tiny(!tb, !ta, 1, static_cast<int>(m), static_cast<int>(k), alpha, b, ldb, a, lda, beta,
                           c, m);
    if (product::is_tiny<T>(tb, m, n, k))
      return product::tiny(ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a,
                           lda, b, ldb, beta, c, ldc);
    if (product::pays_to_turn<T>(ta, tb, m, n, k))
      return product::turned(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    blas_gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc,
              packed::is_ahead<T>(m, n, k) ? packed::multiply<T> : nullptr);
  }
}

}  // namespace product

template <class T>
WENGERT_INLINE void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
                         const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
                         std::int64_t ldc) {
  if constexpr (std::is_floating_point_v<T>)
    if (product::is_minute<T>(m, n, k) && lda == (ta ? m : k) && ldb == (tb ? k : n) && ldc == n)
      return product::minute(ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a,
                             b, beta, c);
  product::any_size(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/// `batch` products; a stride of 0 uses one matrix for all.
template <class T>
inline void gemm_batched(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
                         std::int64_t lda, std::int64_t stride_a, const T* b, std::int64_t ldb,
                         std::int64_t stride_b, T* c, std::int64_t ldc, std::int64_t stride_c,
                         std::int64_t batch) {
  if (batch > 1 && !ta && stride_b == 0 && stride_a == m * lda && stride_c == m * ldc) {
    m *= batch;  // one matrix under the other
    batch = 1;
  }
  for (std::int64_t i = 0; i < batch; ++i)
    gemm(ta, tb, m, n, k, T(1), a + i * stride_a, lda, b + i * stride_b, ldb, T(0), c + i * stride_c, ldc);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
