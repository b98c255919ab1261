#include "autodiff/kernels/blas.hpp"

#include <cblas.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>
#ifdef WENGERT_ONEDNN
#include <dnnl.h>
#include <omp.h>
#endif

#include "autodiff/kernels/workers.hpp"

namespace wengert::kernels {
namespace {

// BLAS counts with int; larger sizes are cut into pieces of this many rows, columns or terms.
constexpr std::int64_t piece = std::int64_t(1) << 30;

CBLAS_TRANSPOSE transpose(bool t) { return t ? CblasTrans : CblasNoTrans; }

#ifdef WENGERT_ONEDNN
/// Where oneDNN was measured ahead of OpenBLAS, by 1.1 to 1.3 times: docs/decisions/onednn.md.
bool onednn_is_ahead(std::int64_t m, std::int64_t n, std::int64_t k) {
  return std::min(m, n) >= 48 && m * n * k >= std::int64_t(1) << 22;
}

/// On this thread alone: the threads are ours.
bool onednn_gemm(bool ta, bool tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                 int ldb, float beta, float* c, int ldc) {
  struct OneThread {
    const int before = omp_get_max_threads();
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before); }
  } scope;
  return dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) ==
         dnnl_success;
}
#endif

void gemm(bool ta, bool tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
          int ldb, float beta, float* c, int ldc) {
#ifdef WENGERT_ONEDNN
  if (onednn_is_ahead(m, n, k) && onednn_gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)) return;
#endif
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

/// A product as pieces of C that are computed side by side. Where the cuts may be is a matter of the kernels:
/// ours compute an element in any piece alike, but with OpenBLAS's each element must be computed as in the
/// whole product, to the bit (docs/decisions/threads.md). A piece is too large for its kernels for small
/// products.
struct Pieces {
  static constexpr std::int64_t least_length = 48, column_unit = 16;
  static constexpr std::int64_t least_work = cut_flops / 4;  // m * n * k

  std::int64_t down = 1, across = 1;   // how many
  std::int64_t rows = 0, columns = 0;  // of one; the last ones are what is left

  /// `row_unit`: cuts between rows are at its multiples. `cut_columns`: those between columns are exact too;
  /// otherwise it is done only where there are too few rows, and the last bit may change.
  Pieces(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t threads, std::int64_t row_unit,
         bool cut_columns) {
    for (; threads > 1; --threads) {
      std::int64_t least = 0;
      for (std::int64_t d = threads; d >= 1; --d) {
        if (threads % d != 0 || (d > 1 && m < d * least_length)) continue;
        const std::int64_t r = length(m, d, row_unit), c = length(n, threads / d, column_unit);
        const std::int64_t last_r = m - (d - 1) * r, last_c = n - (threads / d - 1) * c;
        if (last_r <= 0 || last_c <= 0 || std::min(r, last_r) * std::min(c, last_c) * k < least_work)
          continue;
        // What the slowest does: products, and the rows of A and columns of B that it packs for itself.
        const std::int64_t tall = std::max(r, last_r), wide = std::max(c, last_c);
        const std::int64_t cost = tall * wide + 16 * (tall + wide);
        if (least != 0 && cost >= least) continue;
        least = cost;
        down = d;
        across = threads / d;
        rows = r;
        columns = c;
        if (!cut_columns) break;
      }
      if (least != 0) return;
    }
  }

 private:
  static std::int64_t length(std::int64_t whole, std::int64_t parts, std::int64_t unit) {
    if (parts == 1) return whole;
    return std::max(unit, (whole + parts * unit / 2) / (parts * unit) * unit);
  }
};

template <class T>
void spread(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
            std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc,
            GemmFunction<T> own) {
  const auto piece_of = [=](std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t columns) {
    if (own != nullptr)
      return own(ta, tb, rows, columns, k, alpha, a + (ta ? i : i * lda), lda, b + (tb ? j * ldb : j), ldb,
                 beta, c + i * ldc + j, ldc);
    gemm(ta, tb, static_cast<int>(rows), static_cast<int>(columns), static_cast<int>(k), alpha,
         a + (ta ? i : i * lda), static_cast<int>(lda), b + (tb ? j * ldb : j), static_cast<int>(ldb), beta,
         c + i * ldc + j, static_cast<int>(ldc));
  };
  const BlasCuts cuts = blas_cuts();
  const int threads = cuts.allowed || own != nullptr ? num_threads() : 1;
  if (threads == 1 || 2 * m * n * k < cut_flops) return piece_of(0, 0, m, n);
  constexpr bool single = std::is_same_v<T, float>;
  const bool fine_rows = single && cuts.wide_vectors;
  const bool any_columns = single ? cuts.wide_vectors : !cuts.wide_vectors || n % Pieces::column_unit == 0;
  const Pieces pieces(m, n, k, threads,
                      own != nullptr ? 8
                      : fine_rows    ? 4
                                     : 12,
                      own != nullptr || any_columns);
  const std::int64_t count = pieces.down * pieces.across;
  if (count == 1) return piece_of(0, 0, m, n);
  const auto work = [&](TaskQueue& tasks) {
    for (std::int64_t t; (t = tasks.take()) >= 0;) {
      const std::int64_t i = t / pieces.across * pieces.rows, j = t % pieces.across * pieces.columns;
      const bool last_row = t / pieces.across == pieces.down - 1,
                 last_column = t % pieces.across == pieces.across - 1;
      piece_of(i, j, last_row ? m - i : pieces.rows, last_column ? n - j : pieces.columns);
    }
  };
  run_tasks(
      count, threads, [](void* f, int, TaskQueue& tasks) { (*static_cast<decltype(work)*>(f))(tasks); },
      const_cast<void*>(static_cast<const void*>(&work)));
}

template <class T>
void run(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
         std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc,
         GemmFunction<T> own) {
  if (m == 0 || n == 0) return;
  // The distance to a next row means nothing for a single row, and BLAS checks it all the same.
  const std::int64_t a_rows = ta ? k : m, a_cols = ta ? m : k, b_rows = tb ? n : k, b_cols = tb ? k : n;
  if (a_rows <= 1) lda = std::max<std::int64_t>(a_cols, 1);
  if (b_rows <= 1) ldb = std::max<std::int64_t>(b_cols, 1);
  if (m == 1) ldc = n;
  if (m > piece) {
    for (std::int64_t i = 0; i < m; i += piece)
      run(ta, tb, std::min(piece, m - i), n, k, alpha, a + (ta ? i : i * lda), lda, b, ldb, beta, c + i * ldc,
          ldc, own);
    return;
  }
  if (n > piece) {
    for (std::int64_t j = 0; j < n; j += piece)
      run(ta, tb, m, std::min(piece, n - j), k, alpha, a, lda, b + (tb ? j * ldb : j), ldb, beta, c + j, ldc,
          own);
    return;
  }
  if (k > piece) {
    for (std::int64_t p = 0; p < k; p += piece)
      run(ta, tb, m, n, std::min(piece, k - p), alpha, a + (ta ? p * lda : p), lda, b + (tb ? p : p * ldb),
          ldb, p == 0 ? beta : T(1), c, ldc, own);
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
    spread(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, own);
}

// What a thread keeps until it ends; null again afterwards, when destructors of static objects still run.
constinit thread_local void* packing_memory = nullptr;
struct PackingCleanup {
  ~PackingCleanup() { std::free(std::exchange(packing_memory, nullptr)); }
};

}  // namespace

void* packing_buffer() {
  if (packing_memory == nullptr) {
    packing_memory = std::aligned_alloc(4096, packing_bytes);
    if (packing_memory == nullptr) throw std::bad_alloc();
    static thread_local PackingCleanup cleanup;
    (void)cleanup;
  }
  return packing_memory;
}

void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
               std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc,
               GemmFunction<float> own) {
  run(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, own);
}
void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
               const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double beta, double* c,
               std::int64_t ldc, GemmFunction<double> own) {
  run(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, own);
}

}  // namespace wengert::kernels
