#include <cmath>
#include <limits>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>

#include "tests/autodiff/reference.hpp"

using namespace wengert;
using reference::check_close;
using reference::contains;
using reference::infinity;
using reference::message;
using reference::not_a_number;
using reference::sample;

namespace {

struct Group {
  Shape shape;                               // of the result, without and
  Shape kept;                                // with keepdims
  std::vector<std::vector<double>> entries;  // behind each result, in row-major order
};

Group grouped(const Tensor& x, unsigned axes) {
  Group g;
  for (int i = 0; i < x.ndim(); ++i) {
    if (!(axes >> i & 1)) g.shape.push_back(x.shape()[i]);
    g.kept.push_back(axes >> i & 1 ? 1 : x.shape()[i]);
  }
  g.entries.resize(static_cast<std::size_t>(g.shape.elements()));
  const std::vector<double> list = reference::values(x);
  for (std::int64_t k = 0; k < x.size(); ++k) {
    const auto index = reference::indices(x.shape(), k);
    std::int64_t at = 0;
    for (int i = 0; i < x.ndim(); ++i)
      if (!(axes >> i & 1)) at = at * x.shape()[i] + index[static_cast<std::size_t>(i)];
    g.entries[static_cast<std::size_t>(at)].push_back(list[static_cast<std::size_t>(k)]);
  }
  return g;
}

template <class F>
std::vector<double> each(const Group& g, F f) {
  std::vector<double> list;
  for (const auto& e : g.entries) list.push_back(f(e));
  return list;
}

double total(const std::vector<double>& e) {
  long double sum = 0;
  for (double v : e) sum += v;
  return static_cast<double>(sum);
}
double average(const std::vector<double>& e) { return total(e) / static_cast<double>(e.size()); }
double variance(const std::vector<double>& e, int ddof) {
  const double m = average(e);
  long double sum = 0;
  for (double v : e) sum += (v - m) * (v - m);
  return static_cast<double>(sum) / std::max(0.0, static_cast<double>(e.size()) - ddof);
}
double log_sum(const std::vector<double>& e) {
  double largest = -infinity;
  for (double v : e) largest = std::max(largest, v);
  if (std::isinf(largest)) return largest;
  long double sum = 0;
  for (double v : e) sum += std::exp(v - largest);
  return largest + std::log(static_cast<double>(sum));
}

Axes axes_of(const Tensor& x, unsigned bits) {
  Shape list;
  for (int i = 0; i < x.ndim(); ++i)
    if (bits >> i & 1) list.push_back(i % 2 == 0 ? i : i - x.ndim());  // both ways to name an axis
  return Axes(list);
}

void check_all_reductions(const Tensor& x, double tolerance) {
  for (unsigned bits = 0; bits < 1u << x.ndim(); ++bits) {
    CAPTURE(describe(x));
    CAPTURE(bits);
    const Axes axes = axes_of(x, bits);
    const Group g = grouped(x, bits);
    const bool has_entries = g.entries.empty() || !g.entries[0].empty();
    check_close(sum(x, axes), g.shape, each(g, total), tolerance);
    check_close(sum(x, axes, true), g.kept, each(g, total), tolerance);
    check_close(mean(x, axes), g.shape, each(g, average), tolerance);
    check_close(var(x, axes, true, 1), g.kept, each(g, [](const auto& e) { return variance(e, 1); }),
                tolerance);
    check_close(wengert::std(x, axes), g.shape,
                each(g, [](const auto& e) { return std::sqrt(variance(e, 0)); }), tolerance);
    check_close(logsumexp(x, axes, true), g.kept, each(g, log_sum), tolerance);
    if (!has_entries || g.entries.empty()) continue;
    check_close(max(x, axes), g.shape,
                each(g, [](const auto& e) { return *std::max_element(e.begin(), e.end()); }), 0);
    check_close(min(x, axes, true), g.kept,
                each(g, [](const auto& e) { return *std::min_element(e.begin(), e.end()); }), 0);
  }
  for (int axis = 0; axis < x.ndim(); ++axis) {
    if (x.dim(axis) == 0) continue;
    const Group g = grouped(x, 1u << axis);
    check_close(argmax(x, axis), g.shape,
                each(g,
                     [](const auto& e) {
                       return static_cast<double>(std::max_element(e.begin(), e.end()) - e.begin());
                     }),
                0);
  }
}

Tensor gradient(const Tensor& y, const Tensor& x, const Tensor& cotangent = {}) {
  return gradients(y, {x}, {.cotangent = cotangent})[0];
}

}  // namespace

TEST_CASE("reductions agree with plain loops over every set of axes") {
  for (const Shape& shape :
       {Shape{}, Shape{1}, Shape{5}, Shape{300}, Shape{3, 4}, Shape{33, 17}, Shape{2, 3, 4}, Shape{5, 1, 6},
        Shape{2, 3, 2, 5}, Shape{0, 3}, Shape{2, 0, 3}}) {
    check_all_reductions(sample(shape, 3), 1e-13);
    check_all_reductions(sample(shape, 4, DType::float32), 2e-6);
  }
}

TEST_CASE("column sums of contiguous matrices of every number of registers") {
  for (std::int64_t rows : {1, 2, 7, 100, 128, 129})
    for (std::int64_t cols : {1, 3, 15, 16, 17, 33, 63, 100, 127, 128, 129, 300}) {
      CAPTURE(rows);
      CAPTURE(cols);
      const Tensor x = sample({rows, cols}, 6), f = cast(x, DType::float32), i = cast(x * 9.0, DType::int64);
      check_close(sum(x, 0), {cols}, each(grouped(x, 1), total), 1e-13);
      check_close(sum(f, 0), {cols}, each(grouped(f, 1), total), 1e-5);
      check_close(sum(i, 0), {cols}, each(grouped(i, 1), total), 0);
      check_close(mean(reshape(x, {rows, 1, cols}), {0, 1}), {cols}, each(grouped(x, 1), average), 1e-13);
    }
}

TEST_CASE("reductions of strided and repeated views agree with plain loops") {
  const Tensor x = sample({4, 5, 6}, 1);
  check_all_reductions(transpose(x), 1e-13);
  check_all_reductions(transpose(x, {1, 0, 2}), 1e-13);
  check_all_reductions(transpose(x, {0, 2, 1}), 1e-13);
  check_all_reductions(broadcast_to(sample({5, 1}, 2), {3, 5, 4}), 1e-13);
}

TEST_CASE("reductions agree with xtensor") {
  const Tensor x = sample({37, 53}, 5);
  xt::xtensor<double, 2> a = xt::zeros<double>({37, 53});
  const auto list = x.to_vector<double>();
  std::copy(list.begin(), list.end(), a.begin());
  const auto check = [&](const Tensor& got, const xt::xtensor<double, 1>& expected) {
    check_close(got, {static_cast<std::int64_t>(expected.size())}, {expected.begin(), expected.end()}, 1e-13);
  };
  check(sum(x, 0), xt::sum(a, {0}));
  check(sum(x, 1), xt::sum(a, {1}));
  check(mean(x, 1), xt::mean(a, {1}));
  check(max(x, 0), xt::amax(a, {0}));
  check(min(x, 1), xt::amin(a, {1}));
}

TEST_CASE("integers and bools: sums in int64, averages in float64, extremes in their own type") {
  const Tensor i = tensor({{1, 2, 3}, {4, 5, 7}}), b = tensor({{true, false}, {true, true}});
  CHECK(sum(i).dtype() == DType::int64);
  CHECK(sum(i).item<std::int64_t>() == 22);
  CHECK(sum(b).dtype() == DType::int64);
  check_close(sum(b, 0), {2}, {2, 1}, 0);
  CHECK(mean(i).dtype() == DType::float64);
  CHECK(mean(b).item<double>() == 0.75);
  CHECK(var(i, 1).dtype() == DType::float64);
  check_close(wengert::std(i, 0), {3}, {1.5, 1.5, 2}, 1e-15);
  CHECK(logsumexp(i).dtype() == DType::float64);
  CHECK(max(i).dtype() == DType::int64);
  check_close(min(i, 1), {2}, {1, 4}, 0);
  CHECK(max(b).dtype() == DType::bool_);
  CHECK(min(b).item<bool>() == false);
  CHECK(argmax(b, 1).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 0});
  CHECK(mean(cast(i, DType::float32)).dtype() == DType::float32);
  const Tensor large = tensor({std::int64_t{1} << 62, std::int64_t{1}});
  CHECK(sum(large).item<std::int64_t>() == (std::int64_t{1} << 62) + 1);
}

TEST_CASE("over no elements: sum 0, mean and var NaN, logsumexp -inf; extremes throw") {
  const Tensor x = zeros({2, 0});
  check_close(sum(x, 1), {2}, {0, 0}, 0);
  CHECK(sum(x).item<float>() == 0.0f);
  check_close(mean(x, 1), {2}, {not_a_number, not_a_number}, 0);
  check_close(var(x, 1), {2}, {not_a_number, not_a_number}, 0);
  check_close(logsumexp(x, 1), {2}, {-infinity, -infinity}, 0);
  CHECK(mean(x, 0).shape() == Shape{0});
  CHECK(max(zeros({0, 3}), 1).shape() == Shape{0});
  CHECK(contains(message<ValueError>([&] { max(x, 1); }), "max: axis 1 has no entries: x is float32[2, 0]"));
  CHECK(contains(message<ValueError>([&] { min(x); }), "min: axis 1 has no entries"));
  CHECK(contains(message<ValueError>([&] { argmax(x, -1); }), "argmax: axis 1 has no entries"));
  CHECK(
      contains(message<ValueError>([&] { argmax(x); }), "argmax: there are no entries: x is float32[2, 0]"));
}

TEST_CASE("an axis that is not there, or comes twice, is an error with the user's line") {
  const Tensor x = zeros({2, 3});
  CHECK(
      contains(message<ShapeError>([&] { sum(x, 2); }), "sum: axis 2 is not an axis of float32[2, 3] (red"));
  CHECK(contains(message<ShapeError>([&] {
                   mean(x, {0, -3});
                 }),
                 "mean: axis -3 is not an axis of float32[2"));
  CHECK(contains(message<ShapeError>([&] { var(x, {0, -2}); }), "var: axis -2 comes twice"));
  CHECK(
      contains(message<ShapeError>([&] { argmax(x, 5); }), "argmax: axis 5 is not an axis of float32[2, 3]"));
  CHECK(contains(message<ShapeError>([&] { logsumexp(tensor(1.0), 0); }),
                 "axis 0 is not an axis of float32[]"));
  const unsigned line = __LINE__ + 1;
  const std::string text = message<ShapeError>([&] { max(x, 7); });
  CHECK(contains(text, "(reduction_test.cpp:" + std::to_string(line) + ")"));
}

TEST_CASE("NaN goes through") {
  const Tensor x = tensor({{1.0, not_a_number, 3.0}, {4.0, 5.0, 6.0}});
  check_close(sum(x, 1), {2}, {not_a_number, 15}, 0);
  check_close(max(x, 1), {2}, {not_a_number, 6}, 0);
  check_close(min(x, 0), {3}, {1, not_a_number, 3}, 0);
  check_close(argmax(x, 1), {2}, {1, 2}, 0);
  CHECK(argmax(x).item<int>() == 1);
  check_close(logsumexp(x, 1), {2}, {not_a_number, 6.407605964444380}, 1e-6);
}

TEST_CASE("argmax takes the first of equal entries, over all axes in row-major order") {
  const Tensor x = tensor({{1, 7, 7}, {7, 0, 1}});
  check_close(argmax(x, 1), {2}, {1, 0}, 0);
  check_close(argmax(x, 0, true), {1, 3}, {1, 0, 0}, 0);
  CHECK(argmax(x).item<int>() == 1);
  CHECK(argmax(transpose(x)).item<int>() == 1);
  CHECK(argmax(tensor(3.0)).item<int>() == 0);
  CHECK_FALSE(argmax(variable(sample({3}, 1)), 0).requires_grad());
}

TEST_CASE("the error of a float32 sum of ten million entries stays below 2e-6") {
  // Added one after the other, 0.1f gives 1087937 instead of 1000000.015.
  const Tensor x = full({10'000'000}, 0.1f);
  const double exact = 1e7 * static_cast<double>(0.1f);
  CHECK(reference::close(sum(x).item<double>(), exact, 2e-6));
  CHECK(reference::close(sum(broadcast_to(full({1}, 0.1f), {10'000'000})).item<double>(), exact, 2e-6));
  CHECK(reference::close(sum(reshape(x, {2'500'000, 4}), 0).to_vector<float>()[3], exact / 4, 2e-6));
}

TEST_CASE("a large mean costs the variance no accuracy, and a constant has variance 0") {
  // Of 1e6 + {0, 1, 2, 3}: 1.25; the formula E x^2 - (E x)^2 gives 0 or noise in float32.
  CHECK(var(tensor({1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3})).item<double>() == 1.25);
  CHECK(var(full({1000}, 0.1f)).item<float>() == 0.0f);
  CHECK(wengert::std(full({3, 1000}, 1e30f), 1).to_vector<float>() == std::vector<float>{0, 0, 0});
}

TEST_CASE("logsumexp does not overflow and ignores -inf") {
  const double log2 = std::log(2.0);
  const auto of = [](double a, double b, DType dtype = DType::float64) {
    return logsumexp(tensor({a, b}, dtype)).item<double>();
  };
  CHECK(of(1e4, 1e4) == doctest::Approx(1e4 + log2));
  CHECK(of(-1e4, -1e4) == doctest::Approx(-1e4 + log2));
  CHECK(of(1e20, -1e20, DType::float32) == doctest::Approx(1e20));
  CHECK(of(3, -infinity) == 3);
  CHECK(of(-infinity, -infinity) == -infinity);
  CHECK(of(infinity, 1) == infinity);
  CHECK(of(infinity, -infinity) == infinity);
}

TEST_CASE("the derivative of logsumexp is softmax, 0 at -inf") {
  const Tensor x = variable(
      tensor({{1.0, 2.0, 0.5}, {-infinity, 0.0, 0.0}, {-infinity, -infinity, -infinity}}, DType::float64));
  const Tensor g = tensor({1.0, 2.0, 3.0}, DType::float64);
  const double z = std::exp(1.0) + std::exp(2.0) + std::exp(0.5);
  check_close(gradient(logsumexp(x, 1), x, g), {3, 3},
              {std::exp(1.0) / z, std::exp(2.0) / z, std::exp(0.5) / z, 0, 1, 1, 0, 0, 0}, 1e-15);
  const Tensor up = variable(tensor({infinity, 1.0}, DType::float64));
  check_close(gradient(logsumexp(up), up), {2}, {not_a_number, 0}, 0);
}

TEST_CASE("the derivative of sum is a view of the cotangent, of mean the same divided by n") {
  const Tensor x = variable(sample({2, 3, 4}, 1));
  const Tensor g = sample({2, 4}, 2);
  const Tensor by_sum = gradient(sum(x, 1), x, g);
  const Tensor by_mean = gradient(mean(x, 1), x, g);
  CHECK(by_sum.impl().storage == g.impl().storage);
  const auto list = g.to_vector<double>();
  std::vector<double> expected;
  for (std::int64_t k = 0; k < 24; ++k) {
    const auto i = reference::indices(x.shape(), k);
    expected.push_back(list[static_cast<std::size_t>(i[0] * 4 + i[2])]);
  }
  check_close(by_sum, x.shape(), expected, 0);
  for (double& v : expected) v /= 3;
  check_close(by_mean, x.shape(), expected, 1e-15);
  check_close(gradient(sum(x), x), x.shape(), std::vector<double>(24, 1), 0);
  check_close(gradient(mean(x), x), x.shape(), std::vector<double>(24, 1.0 / 24), 1e-16);
  const Tensor kept = gradient(sum(x, {0, 2}, true), x, tensor({{{1.0}, {2.0}, {3.0}}}, DType::float64));
  CHECK(sum(kept, {0, 2}).to_vector<double>() == std::vector<double>{8, 16, 24});
}

TEST_CASE("ties of max and min share the cotangent evenly") {
  const Tensor x = variable(tensor({{1.0, 3.0, 3.0}, {2.0, 2.0, 2.0}, {5.0, 4.0, 1.0}}, DType::float64));
  const Tensor g = tensor({6.0, 12.0, 1.0}, DType::float64);
  check_close(gradient(max(x, 1), x, g), {3, 3}, {0, 3, 3, 4, 4, 4, 1, 0, 0}, 1e-15);
  check_close(gradient(min(x, 1), x, g), {3, 3}, {6, 0, 0, 4, 4, 4, 0, 0, 1}, 1e-15);
  const Tensor tie = variable(tensor({2.0, 2.0, 1.0, 2.0}, DType::float64));
  check_close(gradient(max(tie), tie), {4}, {1.0 / 3, 1.0 / 3, 0, 1.0 / 3}, 1e-15);
}

TEST_CASE(
    "a NaN row makes the derivative of max NaN there and nowhere else; an infinite one stays in place") {
  const Tensor x = variable(tensor({{1.0, not_a_number}, {4.0, 2.0}}, DType::float64));
  check_close(gradient(max(x, 1), x, tensor({1.0, 1.0}, DType::float64)), {2, 2},
              {not_a_number, not_a_number, 1, 0}, 0);
  const Tensor zero = variable(tensor({0.0, -1.0}, DType::float64));
  check_close(gradient(sqrt(max(zero)), zero), {2}, {infinity, 0}, 0);
}

TEST_CASE("the derivatives of var and std are their formulas") {
  const Tensor x = variable(sample({3, 5}, 1));
  const Tensor g = sample({3}, 2);
  const auto xs = x.to_vector<double>(), gs = g.to_vector<double>();
  for (int ddof : {0, 1}) {
    std::vector<double> by_var, by_std;
    for (std::size_t r = 0; r < 3; ++r) {
      const std::vector<double> row(xs.begin() + static_cast<long>(5 * r),
                                    xs.begin() + static_cast<long>(5 * r + 5));
      const double s = std::sqrt(variance(row, ddof)), m = average(row);
      for (double v : row) {
        by_var.push_back(gs[r] * 2 * (v - m) / (5 - ddof));
        by_std.push_back(gs[r] * (v - m) / ((5 - ddof) * s));
      }
    }
    check_close(gradient(var(x, 1, false, ddof), x, g), {3, 5}, by_var, 1e-14);
    check_close(gradient(wengert::std(x, 1, false, ddof), x, g), {3, 5}, by_std, 1e-14);
  }
}

TEST_CASE("std of a constant vector has derivative 0, of both orders; one element with ddof 1 is NaN") {
  const Tensor x = variable(full({4}, 3.0, DType::float64));
  const Tensor first = gradients(wengert::std(x), {x}, {.create_graph = true})[0];
  check_close(first, {4}, {0, 0, 0, 0}, 0);
  check_close(gradient(sum(first), x), {4}, {0, 0, 0, 0}, 0);
  const Tensor one = variable(tensor({2.0}, DType::float64));
  CHECK(std::isnan(var(one, 0, false, 1).item<double>()));
  CHECK(std::isnan(wengert::std(one, 0, false, 1).item<double>()));
  CHECK(std::isnan(gradient(var(one, 0, false, 1), one).item<double>()));
  CHECK(std::isnan(gradient(wengert::std(one, 0, false, 1), one).item<double>()));
  CHECK(gradient(var(one), one).item<double>() == 0);
  CHECK(gradient(wengert::std(one), one).item<double>() == 0);
  CHECK(var(tensor({1.0, 3.0}), 0, false, 5).item<double>() == infinity);
}

TEST_CASE("second derivatives of var and logsumexp are their Hessians") {
  // var: 2/n (delta - 1/n); logsumexp: p_i (delta - p_j).
  const Tensor x = variable(sample({3}, 4));
  const auto v = x.to_vector<double>();
  const double z = std::exp(v[0]) + std::exp(v[1]) + std::exp(v[2]);
  const Tensor by_var = gradients(var(x), {x}, {.create_graph = true})[0];
  const Tensor by_log = gradients(logsumexp(x), {x}, {.create_graph = true})[0];
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<double> basis(3, 0.0), var_row, log_row;
    basis[i] = 1;
    for (std::size_t j = 0; j < 3; ++j) {
      var_row.push_back(2.0 / 3 * ((i == j) - 1.0 / 3));
      log_row.push_back(std::exp(v[i]) / z * ((i == j) - std::exp(v[j]) / z));
    }
    const Tensor e = from_vector(basis);
    check_close(gradient(by_var, x, e), {3}, var_row, 1e-15);
    check_close(gradient(by_log, x, e), {3}, log_row, 1e-15);
  }
}

TEST_CASE("forward mode of sum and max") {
  const Tensor x = sample({2, 3}, 1), dx = sample({2, 3}, 2);
  const auto [y, t] = jvp([](const Tensors& in) { return sum(in[0], 1); }, {x}, {dx});
  check_close(t, sum(dx, 1), 1e-15);
  const auto [m, tm] = jvp([](const Tensors& in) { return max(in[0], 1); }, {x}, {dx});
  const Tensor position = argmax(x, 1);
  const auto list = dx.to_vector<double>();
  const auto at = position.to_vector<std::int64_t>();
  check_close(tm, {2}, {list[static_cast<std::size_t>(at[0])], list[static_cast<std::size_t>(3 + at[1])]},
              1e-15);
}

TEST_CASE_TEMPLATE("sums over rows in loops: a tile at a time, of every width, alone and with others", T,
                   float, double) {
  constexpr DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  // A sum of d rounded additions is off by at most d u times the sum of the magnitudes, and by about sqrt(d)
  // u where roundings are independent (Higham and Mary, A New Approach to Probabilistic Rounding Error
  // Analysis, 2019). At most 128 rows are added one after the other and at most 16 parts put together; longer
  // sums are pairwise. The reference is a sum of float64, rounded likewise.
  const double depth = 128 + 16,
               rounding = (std::numeric_limits<T>::epsilon() + std::numeric_limits<double>::epsilon()) / 2;
  struct Size {
    std::int64_t rows, columns;
  };
  for (const Size& size :
       {Size{2, 3}, Size{100, 10}, Size{128, 70}, Size{9, 300}, Size{129, 7}, Size{300, 33}, Size{40000, 2},
        Size{3000, 64}, Size{700, 129}, Size{33, 2100}, Size{17, 40000}}) {
    INFO(size.rows, " x ", size.columns);
    const Tensor x = random::normal({size.rows, size.columns}, 0.0, 1.0, dtype);
    auto f = [](const Tensor& a) { return Tensors{sum(a, 0), sum(a * a, 0), sum(a)}; };
    auto alone = capture([](const Tensor& a) { return sum(a, 0); });
    auto together = capture(f);
    const Tensor only = alone(x);
    const Tensors got = together(x), expected = f(x), exact = f(cast(x, DType::float64));
    const Tensors magnitudes = f(abs(cast(x, DType::float64)));
    const auto error = [&](const Tensor& sums, std::size_t i) {
      return max(abs(cast(sums, DType::float64) - exact[i]) / magnitudes[i]).template item<double>();
    };
    for (std::size_t i = 0; i < 3; ++i) CHECK(error(got[i], i) <= std::sqrt(depth) * rounding);
    CHECK(error(only, 0) <= std::sqrt(depth) * rounding);
    if (size.rows <= 128 && size.rows * size.columns < 65536) {  // one after the other, as the operator does
      CHECK(max(abs(got[0] - expected[0])).item<double>() == 0.0);
      CHECK(max(abs(got[1] - expected[1])).item<double>() == 0.0);
      CHECK(max(abs(only - expected[0])).item<double>() == 0.0);
    }
  }
}

TEST_CASE("the error of a sum over many rows in a loop stays small") {
  constexpr std::int64_t rows = 1 << 20;
  auto mean_row = capture([](const Tensor& x) { return mean(x + 0.1, 0); });
  const Tensor got = mean_row(zeros({rows, 3}));
  CHECK(max(abs(got - 0.1)).item<float>() < 2e-7f);
}
