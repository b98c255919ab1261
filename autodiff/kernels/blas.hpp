#pragma once

/// \file
/// The calls into BLAS, compiled once; use gemm.hpp, which decides when BLAS is worth its call.

#include <cstdint>

namespace wengert::kernels {

/// C = alpha op(A) op(B) + beta C, row-major, as in gemm.hpp. Products with a vector go to gemv.
void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
               std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);
void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
               const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double beta, double* c,
               std::int64_t ldc);

}  // namespace wengert::kernels
