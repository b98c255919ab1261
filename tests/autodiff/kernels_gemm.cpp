// Matrix products of every orientation and of many sizes, tiny ones and those that go to BLAS, against loops.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autodiff/kernels/gemm.hpp"
#include "autodiff/kernels/threads.hpp"
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

TEST_CASE_TEMPLATE("large products equal the triple loop around the edges of tiles and blocks", T, float,
                   double) {
  std::uint64_t state = 1;
  const auto one_of = [&](std::initializer_list<std::int64_t> list) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return list.begin()[(state >> 33) % list.size()];
  };
  for (int i = 0; i < 40; ++i) {
    std::int64_t m = 0, n = 0, k = 0;
    do {
      m = one_of({1, 2, 3, 7, 8, 9, 15, 64, 66, 100, 127, 255, 256, 257, 300, 513});
      n = one_of({5, 6, 15, 16, 17, 23, 24, 25, 47, 48, 49, 63, 96, 97, 100, 128, 192, 257});
      k = one_of({1, 7, 31, 32, 33, 64, 100, 255, 256, 257, 511, 512, 513, 1025, 1300});
    } while (m * n * k <= 1000000 || m * n * k > 5000000);
    const bool ta = one_of({0, 1}) != 0, tb = one_of({0, 1}) != 0;
    const std::int64_t pad = one_of({0, 0, 1, 5, 2048});  // rows far from each other are read in other ways
    INFO("m ", m, " n ", n, " k ", k, " ta ", ta, " tb ", tb, " pad ", pad);
    Product<T>{m, n, k, ta, tb, 1, 0, pad}.check();
    Product<T>{m, n, k, ta, tb, 2, one_of({1, 3}) == 1 ? T(1) : T(3), pad}.check();
  }
}

TEST_CASE_TEMPLATE("what is no number reaches the results that it is a factor of, and no others", T, float,
                   double) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  const std::int64_t m = 70, n = 101, k = 600, pad = 3, at_i = 33, at_j = 98, at_p = 599;
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const T value : {nan, infinity}) {
        const std::int64_t lda = (ta ? m : k) + pad, ldb = (tb ? k : n) + pad;
        Buffer<T> a((ta ? k : m) * lda), b((tb ? n : k) * ldb), c(m * n);
        std::fill_n(a.data(), a.n, nan);  // between the rows
        std::fill_n(b.data(), b.n, nan);
        const auto a_at = [&](std::int64_t i, std::int64_t p) { return ta ? p * lda + i : i * lda + p; };
        const auto b_at = [&](std::int64_t p, std::int64_t j) { return tb ? j * ldb + p : p * ldb + j; };
        for (std::int64_t p = 0; p < k; ++p) {
          for (std::int64_t i = 0; i < m; ++i) a[a_at(i, p)] = T(1);
          for (std::int64_t j = 0; j < n; ++j) b[b_at(p, j)] = T(2);
        }
        a[a_at(at_i, at_p)] = value;
        b[b_at(at_p, at_j)] = value;
        gemm(ta, tb, m, n, k, T(1), a.data(), lda, b.data(), ldb, T(0), c.data(), n);
        std::int64_t wrong = 0;
        for (std::int64_t i = 0; i < m; ++i)
          for (std::int64_t j = 0; j < n; ++j) {
            const bool reached = i == at_i || j == at_j;
            const T got = c[i * n + j];
            wrong += !reached ? got != T(2 * k) : std::isnan(value) ? !std::isnan(got) : got != infinity;
          }
        CHECK(wrong == 0);
        CHECK(c.intact());
      }
}

TEST_CASE_TEMPLATE("a product of our own has the same bits in pieces and on several threads", T, float,
                   double) {
  if (!packed::is_ahead<T>(200, 200, 200)) return;  // OpenBLAS's pieces: docs/decisions/threads.md
  const int before = wengert::num_threads();
  for (const auto& [m, n, k] :
       {std::array<std::int64_t, 3>{517, 301, 1100}, {130, 1030, 130}, {128, 512, 784}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        const std::int64_t lda = ta ? m : k, ldb = tb ? k : n;
        Buffer<T> a(m * k), b(k * n), whole(m * n), pieces(m * n), threads(m * n);
        for (std::int64_t i = 0; i < a.n; ++i) a[i] = std::sin(T(i));
        for (std::int64_t i = 0; i < b.n; ++i) b[i] = std::cos(T(3 * i));
        for (std::int64_t i = 0; i < m * n; ++i) whole[i] = pieces[i] = threads[i] = T(i % 7) / T(3);
        packed::multiply(ta, tb, m, n, k, T(0.3), a.data(), lda, b.data(), ldb, T(0.7), whole.data(), n);
        for (std::int64_t i = 0; i < m; i += 91)  // at no multiple of anything
          for (std::int64_t j = 0; j < n; j += 77)
            packed::multiply(ta, tb, std::min<std::int64_t>(91, m - i), std::min<std::int64_t>(77, n - j), k,
                             T(0.3), a.data() + (ta ? i : i * lda), lda, b.data() + (tb ? j * ldb : j), ldb,
                             T(0.7), pieces.data() + i * n + j, n);
        CHECK(std::memcmp(whole.data(), pieces.data(), m * n * sizeof(T)) == 0);
        wengert::set_num_threads(3);
        gemm(ta, tb, m, n, k, T(0.3), a.data(), lda, b.data(), ldb, T(0.7), threads.data(), n);
        wengert::set_num_threads(before);
        CHECK(std::memcmp(whole.data(), threads.data(), m * n * sizeof(T)) == 0);
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
