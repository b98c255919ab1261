#pragma once

/// \file
/// The calls into BLAS, and how products are spread over threads, compiled once; use gemm.hpp, which decides
/// when BLAS is worth its call.

#include <cstddef>
#include <cstdint>

namespace wengert::kernels {

/// A product of our own with one instruction set; the arguments are those of gemm.
template <class T>
using GemmFunction = void (*)(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha,
                              const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c,
                              std::int64_t ldc);

/// C = alpha op(A) op(B) + beta C, row-major, as in gemm.hpp. Products with a vector go to gemv; others to
/// `own`, where it is not null, else to gemm. Large ones are cut into tasks of the pool.
void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
               std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc,
               GemmFunction<float> own = nullptr);
void blas_gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
               const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double beta, double* c,
               std::int64_t ldc, GemmFunction<double> own = nullptr);

/// Memory in which this thread may lay out operands of a product of so many operations or more, aligned to a
/// page. Made once for a thread, for one of the pool's when it starts. Throws std::bad_alloc.
inline constexpr std::size_t packing_bytes = 640 * 1024;
inline constexpr std::int64_t packing_flops = 2000000;
void* packing_buffer();

}  // namespace wengert::kernels
