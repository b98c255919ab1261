#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "autodiff/autodiff.hpp"
#include "autodiff/gradcheck/difference.hpp"
#include "autodiff/graph/elementwise.hpp"
#include "autodiff/graph/samples.hpp"

using namespace wengert;

namespace {

Tensor values(const Shape& shape, int seed = 0) { return samples::values(shape, seed); }
Tensor f64(const Nested& v) { return tensor(v, DType::float64); }

detail::NumericDerivative derivative(double (*f)(double), double x) {
  const std::vector<double> base{f(x)}, weights{1.0};
  return detail::differentiate({[f](double t) { return std::vector<double>{f(t)}; }, base, weights, x, 1e-6,
                                0.0, std::numeric_limits<double>::epsilon()});
}

void check_derivative(double (*f)(double), double x, double expected) {
  const detail::NumericDerivative d = derivative(f, x);
  CAPTURE(x);
  CHECK_FALSE(d.kink);
  CHECK(std::abs(d.value - expected) <= 1e-9 * std::max(1e-3, std::abs(expected)));
  CHECK(std::abs(d.value - expected) <= 4 * d.estimate);
  CHECK(d.estimate <= 1e-7 * std::max(1e-3, std::abs(expected)));
}

// tanh with a derivative that is off by one percent, and a square that forgets its factor 2.
Tensor broken_tanh(const Tensor& x, SourceLocation where = SourceLocation::current()) {
  static const OperatorDefinition* op = define_elementwise({
      .name = "broken_tanh",
      .forward = [](auto v) { return tanh(v); },
      .derivative = [](auto, auto y) { return 1.01 - y * y; },
  });
  return apply_elementwise(*op, Operand(x, where));
}
// Right at order 1, wrong at order 2: the derivative's rule is written with a constant, which is right only
// as long as nobody differentiates it.
Tensor broken_square(const Tensor& x, SourceLocation where = SourceLocation::current()) {
  static const OperatorDefinition* op = detail::register_operator([] {
    OperatorDefinition d;
    d.name = "broken_square";
    d.infer = [](const Call& call) { return Meta{call.dtype(0), call.shape(0)}; };
    d.body = [](const Call& call, detail::TensorImpl& out) {
      for (std::int64_t i = 0; i < out.size; ++i)
        out.as<double>()[i] = call[0].as<double>()[i] * call[0].as<double>()[i];
    };
    d.differentiable = true;
    d.reads_inputs = 1;
    d.vjp = [](const Call& call, const Tensor& g) {
      const Tensor v = call.input(0);
      return Tensors{g * (2.0 * from_span<double>(v.to_vector<double>(), v.shape()))};
    };
    return d;
  }());
  return apply_op(*op, {x}, nullptr, where);
}

}  // namespace

TEST_CASE("differences of smooth functions are good to nine digits, near poles and far from 0 too") {
  check_derivative([](double x) { return std::sin(x); }, 0.7, std::cos(0.7));
  check_derivative([](double x) { return std::exp(x); }, 3.0, std::exp(3.0));
  check_derivative([](double x) { return std::log(x); }, 1e-3, 1e3);
  check_derivative([](double x) { return std::sqrt(x); }, 1e-2, 5.0);
  check_derivative([](double x) { return 1 / x; }, 0.05, -400.0);
  check_derivative([](double x) { return x * x * x; }, 1e4, 3e8);
  check_derivative([](double x) { return std::tanh(20 * x); }, 0.01, 20 * (1 - std::pow(std::tanh(0.2), 2)));
}

TEST_CASE("a kink, a jump and the edge of a domain are found; a kink nearby is not mistaken for one here") {
  CHECK(derivative([](double x) { return std::abs(x); }, 0.0).kink);
  CHECK(derivative([](double x) { return std::max(x - 1, 2 * (x - 1)); }, 1.0).kink);
  CHECK(derivative([](double x) { return x < 0 ? 0.0 : 1.0; }, 0.0).kink);
  CHECK(derivative([](double x) { return std::sqrt(x); }, 0.0).kink);
  check_derivative([](double x) { return std::abs(x); }, 1e-3, 1.0);
  check_derivative([](double x) { return std::max(x, 0.0); }, -1e-3, 0.0);
  const detail::NumericDerivative smooth = derivative([](double x) { return std::abs(x) * x; }, 0.0);
  CHECK_FALSE(smooth.kink);
  CHECK(std::abs(smooth.value) < 1e-8);
}

TEST_CASE("gradcheck passes right derivatives of order 1 and 2") {
  const auto f = [](const Tensor& x) { return tanh(x * x) / (1.0 + exp(x)); };
  const GradcheckReport report = gradcheck(f, {values({2, 3})}, {.order = 2});
  INFO(report);
  CHECK(report);
  CHECK(report.right == 12);
  CHECK(report.largest_error < 1e-8);
  CHECK(report.notes.empty());
}

TEST_CASE("gradcheck takes functions of one tensor, several, and Tensors, and passes labels through") {
  CHECK(gradcheck([](const Tensor& a, const Tensor& b) { return a * exp(b); },
                  {values({2}), values({3, 1}, 1)}));
  CHECK(gradcheck([](const Tensors& in) { return in[0] * in[1] / in[2]; },
                  {values({2}), values({2}, 1), values({2}, 2)}));
  const Tensor mask = tensor({true, false, true});
  const GradcheckReport report = gradcheck(
      [](const Tensor& m, const Tensor& x) { return where(m, square(x), 3.0 * x); }, {mask, values({3})});
  CHECK(report);
  CHECK(report.right == 3);
}

TEST_CASE("float32 inputs are checked in float64") {
  const GradcheckReport report = gradcheck([](const Tensor& x) { return exp(x); }, {tensor({0.5, 1.5})});
  CHECK(report);
  CHECK(report.largest_error < 1e-9);
}

TEST_CASE("inputs without elements pass; nothing to differentiate is an error") {
  CHECK(gradcheck([](const Tensor& x) { return exp(x); }, {values({0, 3})}));
  CHECK_THROWS_AS(gradcheck([](const Tensor& x) { return x; }, {tensor({1, 2})}), ValueError);
  CHECK_THROWS_AS(gradcheck([](const Tensor& x) { return x; }, {values({2})}, {.order = 3}), ValueError);
  CHECK_THROWS_AS(gradcheck([](const Tensor& x) { return x > 0.0; }, {values({2})}), ValueError);
}

TEST_CASE("at a kink the verdict is that there is no derivative, not a pass") {
  const GradcheckReport all = gradcheck([](const Tensor& x) { return abs(x); }, {f64({0.0})});
  CHECK_FALSE(all);
  CHECK(all.not_differentiable == 1);
  const GradcheckReport some = gradcheck([](const Tensor& x) { return relu(x); }, {f64({-1.0, 0.0, 2.0})});
  CHECK(some);
  CHECK(some.not_differentiable == 1);
  CHECK(some.right == 2);
  const GradcheckReport second =
      gradcheck([](const Tensor& x) { return square(relu(x)); }, {f64({0.0, 1.0})}, {.order = 2});
  CHECK(second);
  CHECK(second.not_differentiable == 1);
  CHECK(second.right == 3);
}

TEST_CASE("a broken derivative inside a composite function is named with its operator and line") {
  unsigned line = 0;
  const auto f = [&](const Tensor& x) {
    Tensor h = exp(0.5 * x) + 1.0;
    line = __LINE__ + 1;
    Tensor t = broken_tanh(h);
    return square(t) * x;
  };
  const GradcheckReport report = gradcheck(f, {values({2, 3})});
  CHECK_FALSE(report);
  CHECK(report.wrong == 6);
  REQUIRE(report.culprits.size() == 1);
  CHECK(report.culprits[0].operation == "broken_tanh");
  CHECK(report.culprits[0].where.line == line);
  CHECK(report.culprits[0].entry.analytic == doctest::Approx(report.culprits[0].entry.numeric).epsilon(0.5));
  std::ostringstream text;
  text << report;
  CHECK(text.str().find("the derivative of broken_tanh is wrong (gradcheck_test.cpp:" + std::to_string(line) +
                        ")") != std::string::npos);
}

TEST_CASE("a derivative that is right but cannot be differentiated is found at order 2") {
  const auto f = [](const Tensor& x) { return broken_square(x) * x; };
  CHECK(gradcheck(f, {values({3})}));
  const GradcheckReport report = gradcheck(f, {values({3})}, {.order = 2});
  CHECK_FALSE(report);
  CHECK(report.wrong > 0);
  for (const GradcheckEntry& e : report.problems) CHECK(e.order == 2);
  REQUIRE(report.culprits.size() == 1);
  CHECK(report.culprits[0].operation == "broken_square");
}

TEST_CASE("a dependence outside of the graph is found, and no operator is blamed for it") {
  const GradcheckReport report =
      gradcheck([](const Tensor& x) { return x * x.to_vector<double>()[0]; }, {f64({0.3, 2.0})});
  CHECK_FALSE(report);
  CHECK(report.culprits.empty());
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("outside of the graph") != std::string::npos);
}

TEST_CASE("a function that is not a function of its inputs alone is called out") {
  double state = 0;
  const GradcheckReport report = gradcheck(
      [&](const Tensor& x) {
        state += 0.25;
        return x * state;
      },
      {f64({1.0})}, {.find_culprit = false});
  REQUIRE_FALSE(report.notes.empty());
  CHECK(report.notes[0].find("different results for the same inputs") != std::string::npos);
}

TEST_CASE("gradcheck of a function that itself takes gradients") {
  // f(x) = <1, d(x^3)/dx> + x^2: gradients of gradients inside.
  const auto f = [](const Tensor& x) {
    const Tensor g = gradients(x * x * x, {x}, {.cotangent = ones_like(x), .create_graph = true})[0];
    return g + square(x);
  };
  CHECK(gradcheck(f, {values({4})}, {.order = 2}));
}

TEST_CASE("of a large input an even selection is checked") {
  const GradcheckReport report =
      gradcheck([](const Tensor& x) { return exp(x); }, {values({100, 30})}, {.max_entries = 100});
  CHECK(report);
  CHECK(report.checked() == 100);
}

TEST_CASE("the report of a pass is one line that says how many and how good") {
  const std::string text = to_string(gradcheck([](const Tensor& x) { return 2.0 * x; }, {values({3})}));
  CHECK(text.find("gradcheck of order 1: right (3 derivatives right), largest relative error") == 0);
}
