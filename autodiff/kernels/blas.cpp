#include "autodiff/kernels/blas.hpp"

#include <cblas.h>

#include <algorithm>

namespace wengert::kernels {
namespace {

// BLAS counts with int; larger sizes are cut into pieces of this many rows, columns or terms.
constexpr std::int64_t piece = std::int64_t(1) << 30;

CBLAS_TRANSPOSE transpose(bool t) { return t ? CblasTrans : CblasNoTrans; }

void gemm(bool ta, bool tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
          int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, transpose(ta), transpose(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void gemm(bool ta, bool tb, int m, int n, int k, double alpha, const double* a, int lda, const double* b,
          int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, transpose(ta), transpose(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void gemv(bool t, int rows, int cols, float alpha, const float* a, int lda, const float* x, int step_x,
          float beta, float* y, int step_y) {
  cblas_sgemv(CblasRowMajor, transpose(t), rows, cols, alpha, a, lda, x, step_x, beta, y, step_y);
}
void gemv(bool t, int rows, int cols, double alpha, const double* a, int lda, const double* x, int step_x,
          double beta, double* y, int step_y) {
  cblas_dgemv(CblasRowMajor, transpose(t), rows, cols, alpha, a, lda, x, step_x, beta, y, step_y);
}

template <class T>
void run(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
         std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  // The distance to a next row means nothing for a single row, and BLAS checks it all the same.
  const std::int64_t a_rows = ta ? k : m, a_cols = ta ? m : k, b_rows = tb ? n : k, b_cols = tb ? k : n;
  if (a_rows <= 1) lda = std::max<std::int64_t>(a_cols, 1);
  if (b_rows <= 1) ldb = std::max<std::int64_t>(b_cols, 1);
  if (m == 1) ldc = n;
  if (m > piece) {
    for (std::int64_t i = 0; i < m; i += piece)
      run(ta, tb, std::min(piece, m - i), n, k, alpha, a + (ta ? i : i * lda), lda, b, ldb, beta, c + i * ldc,
          ldc);
    return;
  }
  if (n > piece) {
    for (std::int64_t j = 0; j < n; j += piece)
      run(ta, tb, m, std::min(piece, n - j), k, alpha, a, lda, b + (tb ? j * ldb : j), ldb, beta, c + j, ldc);
    return;
  }
  if (k > piece) {
    for (std::int64_t p = 0; p < k; p += piece)
      run(ta, tb, m, n, std::min(piece, k - p), alpha, a + (ta ? p * lda : p), lda, b + (tb ? p : p * ldb),
          ldb, p == 0 ? beta : T(1), c, ldc);
    return;
  }
  // Overwriting is left to no library: 0 times the NaN of a fresh buffer must not survive.
  if (beta == T(0) && (k == 0 || m == 1 || n == 1))
    for (std::int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, T(0));
  if (k == 0 && beta != T(0) && beta != T(1))
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] *= beta;
  if (k == 0) return;
  if (n == 1)
    gemv(ta, static_cast<int>(a_rows), static_cast<int>(a_cols), alpha, a, static_cast<int>(lda), b,
         tb ? 1 : static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
  else if (m == 1)
    gemv(!tb, static_cast<int>(b_rows), static_cast<int>(b_cols), alpha, b, static_cast<int>(ldb), a,
         ta ? static_cast<int>(lda) : 1, beta, c, 1);
  else
    gemm(ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a,
         static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

}  // namespace

void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
               std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  run(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
               const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double beta, double* c,
               std::int64_t ldc) {
  run(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace wengert::kernels
