// Matrix products of every orientation and of many sizes, tiny ones and those that go to BLAS, against loops.

#include <doctest/doctest.h>

#include "autodiff/kernels/gemm.hpp"
#include "kernels_support.hpp"

using namespace wengert::kernels;
using namespace kernel_tests;

namespace {

template <class T>
struct Product {
  std::int64_t m, n, k;
  bool ta, tb;
  T alpha, beta;
  std::int64_t pad = 0;  // elements between rows

  void check() const {
    const std::int64_t lda = (ta ? m : k) + pad, ldb = (tb ? k : n) + pad, ldc = n + pad;
    Buffer<T> a((ta ? k : m) * lda), b((tb ? n : k) * ldb), c(m * ldc), before(m * ldc);
    for (std::int64_t i = 0; i < a.n; ++i) a[i] = T(i * 37 % 23) - T(11);
    for (std::int64_t i = 0; i < b.n; ++i) b[i] = T(i * 53 % 19) - T(9);
    for (std::int64_t i = 0; i < c.n; ++i) before[i] = T(i * 11 % 7);
    std::memcpy(c.data(), before.data(), c.n * sizeof(T));
    if (beta == T(0) && std::is_floating_point_v<T>)
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = T(std::numeric_limits<double>::quiet_NaN());
    gemm(ta, tb, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, c.data(), ldc);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < ldc; ++j) {
        T exact = before[i * ldc + j];  // small whole numbers: no rounding anywhere
        if (j < n) {
          T sum = 0;
          for (std::int64_t p = 0; p < k; ++p)
            sum += (ta ? a[p * lda + i] : a[i * lda + p]) * (tb ? b[j * ldb + p] : b[p * ldb + j]);
          exact = alpha * sum + (beta == T(0) ? T(0) : beta * exact);
        }
        wrong += c[i * ldc + j] != exact;
      }
    CHECK(wrong == 0);
    CHECK(c.intact());
  }
};

}  // namespace

TEST_CASE_TEMPLATE("gemm equals the triple loop for every orientation and size", T, float, double,
                   std::int64_t) {
  const std::int64_t sizes[] = {0, 1, 2, 3, 5, 8, 16, 17, 33};
  for (const std::int64_t m : sizes)
    for (const std::int64_t n : sizes)
      for (const std::int64_t k : sizes)
        for (const bool ta : {false, true})
          for (const bool tb : {false, true}) {
            INFO("m ", m, " n ", n, " k ", k, " ta ", ta, " tb ", tb);
            Product<T>{m, n, k, ta, tb, 1, 0}.check();
            if ((m + n + k) % 3 == 0) Product<T>{m, n, k, ta, tb, 2, 3, 5}.check();
            if (m * n <= 16) Product<T>{m, n, k, ta, tb, 2, 3}.check();
          }
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const std::int64_t pad : {0, 3}) {
        Product<T>{100, 100, 40, ta, tb, 1, 0, pad}.check();
        Product<T>{1, 300, 200, ta, tb, 1, 0, pad}.check();
        Product<T>{300, 1, 200, ta, tb, 1, 1, pad}.check();
        Product<T>{300, 1, 200, ta, tb, 1, 0, pad}.check();
        Product<T>{1, 1, 500, ta, tb, 1, 0, pad}.check();
        Product<T>{70, 90, 1, ta, tb, 1, 0, pad}.check();
      }
}

TEST_CASE_TEMPLATE("batches: one matrix for all, and one for each", T, float, double, std::int64_t) {
  const std::int64_t m = 3, n = 5, k = 4, batch = 7;
  Buffer<T> a(batch * m * k), b(batch * k * n), c(batch * m * n);
  for (std::int64_t i = 0; i < a.n; ++i) a[i] = T(i % 9) - T(4);
  for (std::int64_t i = 0; i < b.n; ++i) b[i] = T(i % 7) - T(3);
  for (const std::int64_t stride_a : {std::int64_t(0), m * k})
    for (const std::int64_t stride_b : {std::int64_t(0), k * n})
      for (const bool ta : {false, true}) {
        gemm_batched(ta, false, m, n, k, a.data(), ta ? m : k, stride_a, b.data(), n, stride_b, c.data(), n,
                     m * n, batch);
        std::int64_t wrong = 0;
        for (std::int64_t z = 0; z < batch; ++z)
          for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j) {
              T sum = 0;
              for (std::int64_t p = 0; p < k; ++p)
                sum += a[z * stride_a + (ta ? p * m + i : i * k + p)] * b[z * stride_b + p * n + j];
              wrong += c[(z * m + i) * n + j] != sum;
            }
        CHECK(wrong == 0);
        CHECK(c.intact());
      }
}

TEST_CASE("int64 products wrap around") {
  const std::int64_t big = std::int64_t(1) << 62, two[] = {4, 4};
  const std::int64_t a[] = {big, 3};
  std::int64_t c[1];
  gemm<std::int64_t>(false, false, 1, 1, 2, 1, a, 2, two, 1, 0, c, 1);
  CHECK(c[0] == 12);
}
