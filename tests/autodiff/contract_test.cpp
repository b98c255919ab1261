#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "autodiff/autodiff.hpp"

// The choices that mathematics leaves open, at the very points where it does; elsewhere the battery compares
// with differences.

using namespace wengert;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
using Doubles = std::vector<double>;

Tensor f64(const Nested& v) { return tensor(v, DType::float64); }
Tensor leaf(const Nested& v) { return variable(f64(v)); }

/// d sum(f(x)) / dx at each of the points.
template <class F>
Doubles slopes(F&& f, const Nested& points) {
  const Tensor x = leaf(points);
  const Tensor y = f(x);
  return gradients(sum(y), {x})[0].to_vector<double>();
}
/// With the cotangents given.
template <class F>
Doubles pulled(F&& f, const Nested& points, const Nested& cotangent) {
  const Tensor x = leaf(points);
  const Tensor y = f(x);
  return gradients(y, {x}, {.cotangent = f64(cotangent)})[0].to_vector<double>();
}

}  // namespace

TEST_CASE("relu, abs, sign and leaky_relu at 0") {
  CHECK(slopes([](const Tensor& x) { return relu(x); }, {-1.0, 0.0, -0.0, 1.0}) == Doubles{0, 0, 0, 1});
  CHECK(slopes([](const Tensor& x) { return abs(x); }, {-1.0, 0.0, -0.0, 1.0}) == Doubles{-1, 0, 0, 1});
  CHECK(slopes([](const Tensor& x) { return sign(x) + 0.0 * x; }, {-1.0, 0.0, 1.0}) == Doubles{0, 0, 0});
  CHECK(slopes([](const Tensor& x) { return leaky_relu(x, 0.25); }, {-1.0, 0.0, 1.0}) ==
        Doubles{0.25, 0.25, 1});
}

TEST_CASE("maximum and minimum share the derivative over ties; it sums to 1") {
  const Tensor a = leaf({1.0, 2.0, 3.0}), b = leaf({2.0, 2.0, 2.0});
  const Tensors largest = gradients(sum(maximum(a, b)), {a, b});
  CHECK(largest[0].to_vector<double>() == Doubles{0, 0.5, 1});
  CHECK(largest[1].to_vector<double>() == Doubles{1, 0.5, 0});
  const Tensors smallest = gradients(sum(minimum(a, b)), {a, b});
  CHECK(smallest[0].to_vector<double>() == Doubles{1, 0.5, 0});
  CHECK(smallest[1].to_vector<double>() == Doubles{0, 0.5, 1});
  const Tensor x = leaf(2.0);
  CHECK(gradients(maximum(x, x), {x})[0].item<double>() == 1);
  CHECK(std::isnan(maximum(f64(not_a_number), f64(1.0)).item<double>()));
  CHECK(std::isnan(minimum(f64(1.0), f64(not_a_number)).item<double>()));
}

TEST_CASE("max and min over an axis share the derivative among ties") {
  CHECK(slopes([](const Tensor& x) { return max(x); }, {1.0, 3.0, 3.0, 3.0, 2.0}) ==
        Doubles{0, 1.0 / 3, 1.0 / 3, 1.0 / 3, 0});
  CHECK(slopes([](const Tensor& x) { return min(x); }, {1.0, 1.0, 2.0}) == Doubles{0.5, 0.5, 0});
}

TEST_CASE("clip has derivative 1 at its bounds themselves and 0 outside") {
  CHECK(slopes([](const Tensor& x) { return clip(x, -1.0, 1.0); }, {-2.0, -1.0, 0.0, 1.0, 2.0}) ==
        Doubles{0, 1, 1, 1, 0});
}

TEST_CASE("sqrt and log at 0: infinite derivatives, and a zero cotangent gives 0, never NaN") {
  CHECK(sqrt(f64(0.0)).item<double>() == 0);
  CHECK(log(f64(0.0)).item<double>() == -inf);
  CHECK(slopes([](const Tensor& x) { return sqrt(x); }, {0.0, 4.0}) == Doubles{inf, 0.25});
  CHECK(slopes([](const Tensor& x) { return log(x); }, {0.0, 4.0}) == Doubles{inf, 0.25});
  CHECK(pulled([](const Tensor& x) { return sqrt(x); }, {0.0, 4.0}, {0.0, 1.0}) == Doubles{0, 0.25});
  CHECK(pulled([](const Tensor& x) { return log(x); }, {0.0, 4.0}, {0.0, 1.0}) == Doubles{0, 0.25});
  CHECK(pulled([](const Tensor& x) { return log1p(x); }, {-1.0, 1.0}, {0.0, 1.0}) == Doubles{0, 0.5});
  CHECK(pulled([](const Tensor& x) { return 1.0 / x; }, {0.0, 2.0}, {0.0, 1.0}) == Doubles{0, -0.25});
}

TEST_CASE(
    "where: the branch that is not chosen gets exactly zero, even when its derivative is infinite or NaN") {
  const auto guarded_sqrt = [](const Tensor& x) { return where(x > 0.0, sqrt(x), 0.0); };
  CHECK(slopes(guarded_sqrt, {0.0, -1.0, 4.0}) == Doubles{0, 0, 0.25});
  const auto guarded_log = [](const Tensor& x) { return where(x > 0.0, log(x), x); };
  CHECK(slopes(guarded_log, {0.0, -1.0, 2.0}) == Doubles{1, 1, 0.5});
  const auto guarded_division = [](const Tensor& x) { return where(x == 0.0, 1.0, 1.0 / x); };
  CHECK(slopes(guarded_division, {0.0, 2.0}) == Doubles{0, -0.25});
  const auto guarded_power = [](const Tensor& x) { return where(x > 0.0, pow(x, 0.3), 0.0); };
  CHECK(slopes(guarded_power, {0.0, -1.0}) == Doubles{0, 0});
}

TEST_CASE("where: second derivatives through the branch that is not chosen are zero too") {
  const Tensor x = leaf({0.0, 4.0});
  const Tensor y = sum(where(x > 0.0, sqrt(x), 0.0));
  const Tensor g = gradients(y, {x}, {.create_graph = true})[0];
  const Doubles h = gradients(sum(g), {x})[0].to_vector<double>();
  CHECK(h[0] == 0);
  CHECK(h[1] == doctest::Approx(-1.0 / 32));
}

TEST_CASE("pow at base 0, for constant exponents as numbers and as tensors") {
  const auto slope = [](double base, double exponent) {
    return slopes([&](const Tensor& x) { return pow(x, exponent); }, base)[0];
  };
  const auto tensor_slope = [](double base, double exponent) {
    return slopes([&](const Tensor& x) { return pow(x, f64(exponent)); }, base)[0];
  };
  for (const auto& s : {+slope, +tensor_slope}) {
    CHECK(s(0, 0) == 0);
    CHECK(s(0, 1) == 1);
    CHECK(s(0, 2) == 0);
    CHECK(s(0, 3) == 0);
    CHECK(s(0, 0.5) == inf);
    CHECK(s(2, 0) == 0);
    CHECK(s(-2, 3) == 12);
    CHECK(s(-2, 2) == -4);
  }
  CHECK(pow(f64(0.0), 0.0).item<double>() == 1);
}

TEST_CASE("pow: the exponent's derivative at base 0 is 0 for a positive exponent") {
  const Tensor a = f64({0.0, 0.0, 2.0}), b = leaf({1.0, 2.5, 3.0});
  const Doubles g = gradients(sum(pow(a, b)), {b})[0].to_vector<double>();
  CHECK(g[0] == 0);
  CHECK(g[1] == 0);
  CHECK(g[2] == doctest::Approx(8 * std::log(2.0)).epsilon(1e-14));
}

TEST_CASE("tanh, sigmoid, softplus, expm1, log1p do not overflow; saturated, the derivative is 0") {
  CHECK(tanh(f64({-1e4, 1e4})).to_vector<double>() == Doubles{-1, 1});
  CHECK(sigmoid(f64({-1e4, 1e4})).to_vector<double>() == Doubles{0, 1});
  CHECK(softplus(f64({-1e4, 1e4})).to_vector<double>() == Doubles{0, 1e4});
  CHECK(softplus(tensor(89.0)).item<float>() == 89.0f);
  CHECK(slopes([](const Tensor& x) { return tanh(x); }, {-1e4, 1e4}) == Doubles{0, 0});
  CHECK(slopes([](const Tensor& x) { return sigmoid(x); }, {-1e4, 1e4}) == Doubles{0, 0});
  CHECK(slopes([](const Tensor& x) { return softplus(x); }, {-1e4, 1e4}) == Doubles{0, 1});
  CHECK(expm1(f64(1e-20)).item<double>() == 1e-20);
  CHECK(log1p(f64(1e-20)).item<double>() == 1e-20);
}

TEST_CASE("variance and deviation: one element, a constant vector") {
  CHECK(std::isnan(var(f64({3.0}), {}, false, 1).item<double>()));
  CHECK(slopes([](const Tensor& x) { return wengert::std(x); }, {2.0, 2.0, 2.0}) == Doubles{0, 0, 0});
}

TEST_CASE("logsumexp and softmax with masked entries") {
  CHECK(logsumexp(f64({-inf, 1.0, -inf})).item<double>() == 1);
  CHECK(slopes([](const Tensor& x) { return logsumexp(x); }, {-inf, 1.0, -inf}) == Doubles{0, 1, 0});
  CHECK(logsumexp(f64({-inf, -inf})).item<double>() == -inf);
  CHECK(slopes([](const Tensor& x) { return logsumexp(x); }, {-inf, -inf}) == Doubles{0, 0});
  CHECK(logsumexp(f64({inf, 1.0})).item<double>() == inf);
  CHECK(softmax(f64({-inf, 0.0, 0.0})).to_vector<double>() == Doubles{0, 0.5, 0.5});
  const Doubles g = pulled([](const Tensor& x) { return log_softmax(x); }, {-inf, 0.0, 0.0}, {0.0, 1.0, 0.0});
  CHECK(g == Doubles{0, 0.5, -0.5});
  CHECK(std::isnan(softmax(f64({-inf, -inf})).to_vector<double>()[0]));
}

TEST_CASE("losses of huge logits are right") {
  for (double big : {1e4, 1e8, 1e20}) {
    const Doubles y = log_softmax(f64({big, 0.0})).to_vector<double>();
    CHECK(y[0] == 0);
    CHECK(y[1] == -big);
  }
  CHECK(log_softmax(f64({-30.0, 30.0})).to_vector<double>()[0] == -60);
}
