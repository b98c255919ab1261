// Reductions over every subset of axes, for every layout, against sums in long double.

#include <doctest/doctest.h>

#include "autodiff/kernels/argmax.hpp"
#include "autodiff/kernels/reduce.hpp"
#include "kernels_support.hpp"

using namespace wengert;
using namespace wengert::kernels;
using namespace kernel_tests;

namespace {

struct Layout {
  Shape shape;
  Strides strides;
  std::int64_t first = 0;
};

// Contiguous, transposed, sliced with steps, reversed and repeated arrays within 30000 elements.
std::vector<Layout> layouts() {
  std::vector<Layout> all;
  for (const Shape& s : {Shape{},
                         Shape{1},
                         Shape{7},
                         Shape{1000},
                         Shape{25000},
                         Shape{4, 3},
                         Shape{100, 10},
                         Shape{10, 100},
                         Shape{3, 1500},
                         Shape{1500, 3},
                         Shape{130, 67},
                         Shape{1, 5},
                         Shape{5, 1},
                         Shape{6, 5, 4},
                         Shape{2, 3, 1, 70},
                         Shape{9, 2, 33, 3},
                         Shape{2, 1, 3, 2, 1, 2, 3, 5},
                         Shape{0, 4},
                         Shape{4, 0},
                         Shape{3, 0, 2}})
    all.push_back({s, row_major(s)});
  all.push_back({{67, 130}, {1, 67}});
  all.push_back({{40, 50}, {100, 2}});
  all.push_back({{40, 50}, {-50, -1}, 1999});
  all.push_back({{40, 50}, {0, 1}});
  all.push_back({{40, 50}, {1, 0}});
  all.push_back({{40, 50}, {0, 0}, 7});
  all.push_back({{7, 20, 30}, {30, 210, 1}});
  all.push_back({{7, 20, 30}, {1, 210, 7}});
  all.push_back({{700, 3, 3}, {9, 1, 3}});
  return all;
}

// Exact reference: all inputs of every output, in order.
template <class T>
std::vector<std::vector<long double>> groups(const Layout& l, unsigned axes, const T* in) {
  Strides out = Shape::filled(l.shape.size(), 0);
  std::int64_t outputs = 1;
  for (int i = l.shape.size() - 1; i >= 0; --i)
    if (!(axes >> i & 1)) out[i] = outputs, outputs *= l.shape[i];
  std::vector<std::vector<long double>> result(outputs);
  naive<2>(l.shape, {l.strides, out},
           [&](std::int64_t, auto o) { result[o[1]].push_back(in[l.first + o[0]]); });
  return result;
}

template <class Visit>
void for_all_cases(Visit visit) {
  for (const Layout& l : layouts())
    for (unsigned axes = 0; axes < 1u << l.shape.size(); ++axes) {
      if (l.shape.size() == 8 && axes % 5 != 0) continue;
      INFO("shape of ", l.shape.size(), " axes, first ", l.shape.empty() ? 0 : l.shape[0], ", reduced ",
           axes);
      visit(l, axes);
    }
}

template <class T>
Buffer<T> fractions(std::int64_t n) {
  Buffer<T> b(n);
  for (std::int64_t i = 0; i < n; ++i) b[i] = b[i] / T(64) + T(0.1);
  return b;
}

}  // namespace

TEST_CASE_TEMPLATE("sum over any axes is exact where the numbers allow it", T, float, double, std::int64_t) {
  Buffer<T> in(30000);
  for_all_cases([&](const Layout& l, unsigned axes) {
    const auto expected = groups(l, axes, in.data());
    Buffer<T> out(expected.size());
    sum(out.data(), in.data() + l.first, l.shape, l.strides, axes);
    std::int64_t wrong = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      long double total = 0;
      for (long double x : expected[k]) total += x;
      wrong += out[k] != static_cast<T>(total);  // whole numbers below 2^24
    }
    CHECK(wrong == 0);
    CHECK(out.intact());
  });
}

TEST_CASE_TEMPLATE("max and min over any axes pick the extreme", T, float, double, std::int64_t) {
  Buffer<T> in(30000);
  for_all_cases([&](const Layout& l, unsigned axes) {
    const auto expected = groups(l, axes, in.data());
    Buffer<T> largest(expected.size()), smallest(expected.size());
    max(largest.data(), in.data() + l.first, l.shape, l.strides, axes);
    min(smallest.data(), in.data() + l.first, l.shape, l.strides, axes);
    std::int64_t wrong = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      if (expected[k].empty()) continue;
      long double high = expected[k][0], low = high;
      for (long double x : expected[k]) high = std::fmax(high, x), low = std::fmin(low, x);
      wrong += largest[k] != static_cast<T>(high);
      wrong += smallest[k] != static_cast<T>(low);
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE_TEMPLATE("mapped reductions: sums of squares, logsumexp and variance over any axes", T, float,
                   double) {
  Buffer<T> in = fractions<T>(30000);
  const double tolerance = sizeof(T) == 4 ? 3e-6 : 1e-14;
  for_all_cases([&](const Layout& l, unsigned axes) {
    const auto expected = groups(l, axes, in.data());
    const std::int64_t n = static_cast<std::int64_t>(expected.size());
    Buffer<T> squares(n), lse(n), var(n), scratch(n);
    const T* p = in.data() + l.first;
    reduce(
        Plus{}, [](auto x) { return x * x; }, squares.data(), p, l.shape, l.strides, axes);
    logsumexp(lse.data(), scratch.data(), p, l.shape, l.strides, axes);
    variance(var.data(), scratch.data(), p, l.shape, l.strides, axes, 1);
    std::int64_t wrong = 0;
    const auto check = [&](T got, long double exact) {
      if (std::isnan(exact) || std::isinf(exact))
        wrong += std::isnan(exact) ? !std::isnan(got) : got != static_cast<T>(exact);
      else
        wrong += !(std::fabs(got - exact) <= tolerance * std::fmax(1.0L, std::fabs(exact)));
    };
    for (std::int64_t k = 0; k < n; ++k) {
      const auto& group = expected[k];
      long double square = 0, total = 0, mean = 0, deviation = 0;
      for (long double x : group) square += x * x, total += std::exp(x), mean += x / group.size();
      for (long double x : group) deviation += (x - mean) * (x - mean);
      check(squares[k], square);
      check(lse[k], std::log(total));
      check(var[k], group.size() < 2 ? std::numeric_limits<long double>::quiet_NaN()
                                     : deviation / (group.size() - 1));
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE_TEMPLATE("argmax and argmin give the first extreme along any axis", T, float, double,
                   std::int64_t) {
  Buffer<T> in(30000);
  for (std::int64_t i = 0; i < in.n; ++i) in[i] = T(std::int64_t(in[i]) % 40);  // with many ties
  for (const Layout& l : layouts())
    for (int axis = 0; axis < l.shape.size(); ++axis) {
      if (l.shape[axis] == 0) continue;
      const auto expected = groups(l, 1u << axis, in.data());
      Buffer<std::int64_t> high(expected.size()), low(expected.size());
      argmax(high.data(), in.data() + l.first, l.shape, l.strides, axis);
      argmin(low.data(), in.data() + l.first, l.shape, l.strides, axis);
      std::int64_t wrong = 0;
      for (std::size_t k = 0; k < expected.size(); ++k) {
        std::int64_t best = 0, least = 0;
        for (std::size_t i = 1; i < expected[k].size(); ++i) {
          if (expected[k][i] > expected[k][best]) best = i;
          if (expected[k][i] < expected[k][least]) least = i;
        }
        wrong += high[k] != best;
        wrong += low[k] != least;
      }
      CHECK(wrong == 0);
    }
}

TEST_CASE_TEMPLATE("NaN spreads through max, min and argmax", T, float, double) {
  for (const std::int64_t n : {3, 40, 700})
    for (const std::int64_t at : {std::int64_t(0), n / 2, n - 1}) {
      Buffer<T> in(2 * n);
      in[at] = std::numeric_limits<T>::quiet_NaN();
      if (at + 2 < n) in[at + 2] = std::numeric_limits<T>::quiet_NaN();
      T high[65], low[65];
      std::int64_t first[65];
      max(high, in.data(), {n}, {1}, 1u);
      min(low, in.data(), {n}, {1}, 1u);
      argmax(first, in.data(), {n}, {1}, 0);
      CHECK(std::isnan(high[0]));
      CHECK(std::isnan(low[0]));
      CHECK(first[0] == at);
      argmin(first, in.data(), {n, 1}, {1, 1}, 0);
      CHECK(first[0] == at);
      // Down a column, with a clean neighbour.
      Buffer<T> two(2 * n), out(2), out_low(2);
      Buffer<std::int64_t> where_high(2);
      two[2 * at] = std::numeric_limits<T>::quiet_NaN();
      max(out.data(), two.data(), {n, 2}, {2, 1}, 1u);
      min(out_low.data(), two.data(), {n, 2}, {2, 1}, 1u);
      argmax(where_high.data(), two.data(), {n, 2}, {2, 1}, 0);
      CHECK(std::isnan(out[0]));
      CHECK_FALSE(std::isnan(out[1]));
      CHECK(std::isnan(out_low[0]));
      CHECK_FALSE(std::isnan(out_low[1]));
      CHECK(where_high[0] == at);
    }
}

TEST_CASE("the error of a float32 sum grows with the logarithm of its length") {
  // 2^24 times 0.1: one after the other, the additions would stop at 2^21 already.
  const std::int64_t n = 1 << 24;
  Buffer<float> in(n), column(2);
  for (std::int64_t i = 0; i < n; ++i) in[i] = 0.1f;
  const double exact = double(0.1f) * n;
  sum(column.data(), in.data(), {n}, {1}, 1u);
  CHECK(std::fabs(column[0] - exact) < 3e-6 * exact);
  sum(column.data(), in.data(), {n / 2, 2}, {2, 1}, 1u);
  CHECK(std::fabs(column[1] - exact / 2) < 3e-6 * exact);
  sum(column.data(), in.data(), {n / 2, 2}, {2, 1}, 3u);
  CHECK(std::fabs(column[0] - exact) < 3e-6 * exact);
}

TEST_CASE_TEMPLATE("logsumexp of infinities", T, float, double) {
  const T inf = std::numeric_limits<T>::infinity();
  Buffer<T> in(12), out(4), scratch(4);
  const T rows[] = {-inf, 2, -inf, -inf, -inf, -inf, 1, inf, 3, T(1e4), T(1e4), -inf};
  for (int i = 0; i < 12; ++i) in[i] = rows[i];
  logsumexp(out.data(), scratch.data(), in.data(), {4, 3}, {3, 1}, 2u);
  CHECK(out[0] == 2);
  CHECK(out[1] == -inf);
  CHECK(out[2] == inf);
  CHECK(out[3] == doctest::Approx(1e4 + std::log(2.0)));
}

TEST_CASE_TEMPLATE("the variance of a constant vector is zero, of nothing NaN", T, float, double) {
  Buffer<T> in(1000), out(1), scratch(1);
  for (int i = 0; i < 1000; ++i) in[i] = T(0.1);
  for (const std::int64_t n : {1, 3, 10, 999}) {
    variance(out.data(), scratch.data(), in.data(), {n}, {1}, 1u, 0);
    CHECK(out[0] == 0);
  }
  variance(out.data(), scratch.data(), in.data(), {1}, {1}, 1u, 1);
  CHECK(std::isnan(out[0]));
  variance(out.data(), scratch.data(), in.data(), {0}, {1}, 1u, 0);
  CHECK(std::isnan(out[0]));
}
