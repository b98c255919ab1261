// softmax, log_softmax and their backward passes against long double, and the masks of the derivative
// contract.

#include <doctest/doctest.h>

#include "autodiff/kernels/softmax.hpp"
#include "kernels_support.hpp"

using namespace wengert::kernels;
using namespace kernel_tests;

namespace {

struct Size {
  std::int64_t outer, n, inner;
};
const Size sizes[] = {{1, 1, 1}, {3, 2, 1},  {100, 10, 1}, {5, 16, 1}, {7, 33, 1}, {2, 1000, 1}, {1, 5000, 1},
                      {2, 3, 2}, {3, 5, 40}, {1, 200, 17}, {4, 1, 3},  {0, 3, 1},  {2, 3, 0}};

}  // namespace

TEST_CASE_TEMPLATE("softmax and log_softmax, forward and backward, over the middle axis", T, float, double) {
  const double tolerance = sizeof(T) == 4 ? 2e-6 : 4e-15;
  for (const Size& size : sizes) {
    const std::int64_t outer = size.outer, n = size.n, inner = size.inner;
    INFO("[", outer, ", ", n, ", ", inner, "]");
    const std::int64_t total = outer * n * inner;
    Buffer<T> x(total), g(total), p(total), log_p(total), dp(total), dlog_p(total);
    for (std::int64_t i = 0; i < total; ++i) x[i] = x[i] / T(50), g[i] = T((i * 31) % 17) / T(17) - T(0.4);
    softmax(p.data(), x.data(), outer, n, inner);
    log_softmax(log_p.data(), x.data(), outer, n, inner);
    softmax_backward(dp.data(), g.data(), p.data(), outer, n, inner);
    log_softmax_backward(dlog_p.data(), g.data(), log_p.data(), outer, n, inner);
    double worst = 0;
    const auto check = [&](T got, long double exact) {
      worst =
          std::fmax(worst, static_cast<double>(std::fabs(got - exact) / std::fmax(1.0L, std::fabs(exact))));
    };
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t c = 0; c < inner; ++c) {
        const auto at = [&](std::int64_t k) { return (o * n + k) * inner + c; };
        long double sum = 0, sum_g = 0, sum_gp = 0;
        for (std::int64_t k = 0; k < n; ++k) sum += std::exp((long double)x[at(k)]), sum_g += g[at(k)];
        for (std::int64_t k = 0; k < n; ++k) sum_gp += g[at(k)] * std::exp((long double)x[at(k)]) / sum;
        for (std::int64_t k = 0; k < n; ++k) {
          const long double prob = std::exp((long double)x[at(k)]) / sum;
          check(p[at(k)], prob);
          check(log_p[at(k)], x[at(k)] - std::log(sum));
          check(dp[at(k)], prob * (g[at(k)] - sum_gp));
          check(dlog_p[at(k)], g[at(k)] - prob * sum_g);
        }
      }
    CHECK(worst <= tolerance);
    for (auto* b : {&p, &log_p, &dp, &dlog_p}) CHECK(b->intact());
  }
}

TEST_CASE_TEMPLATE("large logits and masks give finite results and zero gradients at the mask", T, float,
                   double) {
  const T inf = std::numeric_limits<T>::infinity();
  for (const std::int64_t n : {4, 40})
    for (const std::int64_t inner : {1, 3}) {
      const std::int64_t total = n * inner;
      Buffer<T> x(total), g(total), p(total), log_p(total), dp(total), dlog_p(total);
      for (std::int64_t i = 0; i < total; ++i) x[i] = T(-1e20), g[i] = T(1);
      for (std::int64_t c = 0; c < inner; ++c) {
        x[c] = x[inner + c] = T(1e20);
        x[3 * inner + c] = -inf;
        g[3 * inner + c] = std::numeric_limits<T>::quiet_NaN();
      }
      softmax(p.data(), x.data(), 1, n, inner);
      log_softmax(log_p.data(), x.data(), 1, n, inner);
      softmax_backward(dp.data(), g.data(), p.data(), 1, n, inner);
      log_softmax_backward(dlog_p.data(), g.data(), log_p.data(), 1, n, inner);
      for (std::int64_t c = 0; c < inner; ++c) {
        CHECK(p[c] == T(0.5));
        CHECK(p[3 * inner + c] == 0);
        CHECK(log_p[inner + c] == doctest::Approx(-std::log(2.0)));
        CHECK(log_p[3 * inner + c] == -inf);
        CHECK(dp[c] == 0);
        CHECK(dp[3 * inner + c] == 0);
        CHECK(dlog_p[3 * inner + c] == 0);
        CHECK(dlog_p[c] == doctest::Approx(1 - (n - 1) / 2.0));
      }
    }
  Buffer<T> x(3), p(3);
  for (int i = 0; i < 3; ++i) x[i] = -inf;
  softmax(p.data(), x.data(), 1, 3, 1);
  for (int i = 0; i < 3; ++i) CHECK(std::isnan(p[i]));
}
