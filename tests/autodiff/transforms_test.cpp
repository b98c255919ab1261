#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "messages.hpp"

using namespace wengert;

namespace {

using Doubles = std::vector<double>;
Tensor f64(const Nested& v) { return tensor(v, DType::float64); }
Doubles list(const Tensor& x) { return x.to_vector<double>(); }
void close(const Tensor& x, const Doubles& expected, double tolerance = 1e-13) {
  const Doubles got = list(contiguous(x));
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(got[i] == doctest::Approx(expected[i]).epsilon(tolerance));
}

// (1 - a)^2 + 100 (b - a^2)^2. At (a, b): gradient (2(a-1) - 400 a (b-a^2), 200 (b-a^2)), Hessian
// ((2 - 400 (b - 3 a^2), -400 a), (-400 a, 200)).
Tensor rosenbrock(const Tensor& x) {
  const Tensor a = slice(x, {0}), b = slice(x, {1});
  return square(1.0 - a) + 100.0 * square(b - square(a));
}

}  // namespace

TEST_CASE("value_and_grad, grad, hessian, hvp of Rosenbrock's function are the closed forms") {
  const Tensor x = f64({-1.5, 2.0}), v = f64({1.0, -2.0});
  const auto [value, g] = value_and_grad(rosenbrock)(x);
  CHECK(value.item<double>() == 2.5 * 2.5 + 100 * 0.25 * 0.25);
  close(g, {2 * -2.5 - 400 * -1.5 * -0.25, 200 * -0.25});
  close(grad(rosenbrock)(x), list(g));
  const double h00 = 2 - 400 * (2.0 - 3 * 2.25), h01 = 600, h11 = 200;
  const Tensor h = hessian(rosenbrock)(x);
  CHECK(h.shape() == Shape{2, 2});
  close(h, {h00, h01, h01, h11});
  close(hvp(rosenbrock, x, v), {h00 - 2 * h01, h01 - 2 * h11});
  close(jvp(grad(rosenbrock), {x}, {v}).second, {h00 - 2 * h01, h01 - 2 * h11});
  for (const Tensor& t : {value, g, h}) CHECK_FALSE(t.requires_grad());
}

TEST_CASE("transforms of transforms: the third derivative of a sine, of a power, and mixed modes") {
  const auto wave = [](const Tensor& x) { return sin(2.0 * x); };
  const Tensor x = f64(0.3);
  close(grad(grad(grad(wave)))(x), {-8 * std::cos(0.6)});
  close(grad(grad(grad(grad(wave))))(x), {16 * std::sin(0.6)});
  const auto directional = [&](const Tensor& at) { return jvp(wave, {at}, {ones_like(at)}).second; };
  close(grad(directional)(x), {-4 * std::sin(0.6)});
  close(jvp(directional, {x}, {f64(1.0)}).second, {-4 * std::sin(0.6)});
  close(hessian([](const Tensor& a) { return sum(a * a * a); })(f64({1.0, 2.0})), {6, 0, 0, 12});
}

TEST_CASE("a derivative inside a function is differentiated with respect to what the function uses") {
  // f(w) = d/dx (w^2 x^3) at x = 2 is 12 w^2; f'(w) = 24 w.
  const auto f = [](const Tensor& w) {
    return grad([&](const Tensor& x) { return square(w) * x * x * x; })(f64(2.0));
  };
  close(f(f64(3.0)), {108});
  close(grad(f)(f64(3.0)), {72});
  close(jvp(f, {f64(3.0)}, {f64(1.0)}).second, {72});
  // The inner x is not the outer one, although it has the same value: d/dx (x d/dy (x + y)) = 1.
  const auto confusion = [](const Tensor& x) {
    return x * grad([&](const Tensor& y) { return x + y; })(f64(1.0));
  };
  close(grad(confusion)(f64(1.0)), {1});
  close(jvp(confusion, {f64(1.0)}, {f64(1.0)}).second, {1});
}

TEST_CASE("results are constants unless they depend on variables of the surroundings") {
  const Tensor w = variable(f64({1.0, 2.0})), x = f64({3.0, 4.0});
  const auto f = [&](const Tensor& a) { return sum(w * square(a)); };
  const auto [y, g] = value_and_grad(f)(x);
  CHECK(y.requires_grad());
  CHECK(g.requires_grad());
  close(gradients(sum(g), {w})[0], {6, 8});
  CHECK_FALSE(grad([](const Tensor& a) { return sum(square(a)); })(x).requires_grad());
  CHECK_FALSE(no_grad([&] { return grad(f)(x); }).requires_grad());
  // Through the argument's own history.
  const Tensor h = grad([](const Tensor& a) { return sum(a * a * a); })(2.0 * w);
  close(gradients(sum(h), {w})[0], {24, 48});
  // An iteration does not pile up a graph, although every step computes under recording.
  Tensor p = x;
  for (int i = 0; i < 5; ++i) p = p - 0.1 * grad([](const Tensor& a) { return sum(square(a)); })(p);
  CHECK_FALSE(p.requires_grad());
  Tensor q = x;
  for (int i = 0; i < 3; ++i) q = q - 0.1 * grad(f)(q);
  CHECK(q.requires_grad());
  // q = x (1 - 0.2 w)^3
  close(gradients(sum(q), {w})[0], {3.0 * 3 * 0.64 * -0.2, 4.0 * 3 * 0.36 * -0.2});
}

TEST_CASE("a derivative in each of 2000 steps is differentiated, in both modes") {
  // x <- x - h d/dx (w / x) = x + h w / x^2, so that rules of second order are walked; the sensitivity s =
  // dx/dw obeys s <- s + h / x^2 - 2 h w s / x^3.
  constexpr double h = 1e-3;
  const auto path = [](const Tensor& w) {
    Tensor x = f64(1.0);
    for (int i = 0; i < 2000; ++i) x = x - h * grad([&](const Tensor& at) { return w / at; })(x);
    return x;
  };
  double x = 1, s = 0, w = 0.7;
  for (int i = 0; i < 2000; ++i) {
    s += h / (x * x) - 2 * h * w * s / (x * x * x);
    x += h * w / (x * x);
  }
  const auto [forward, tangent] = jvp(path, {f64(w)}, {f64(1.0)});
  close(forward, {x}, 1e-12);
  close(tangent, {s}, 1e-12);
  close(grad(path)(f64(w)), {s}, 1e-12);
}

TEST_CASE("vjp: a pullback is used several times, with several arguments") {
  const Tensor a = f64({1.0, 2.0}), b = f64({3.0, 5.0});
  const auto [y, pullback] = vjp([](const Tensor& s, const Tensor& t) { return s * square(t); }, {a, b});
  close(y, {9, 50});
  const Tensors first = pullback(f64({1.0, 0.0})), second = pullback(f64({0.0, 1.0}));
  close(first[0], {9, 0});
  close(first[1], {6, 0});
  close(second[1], {0, 20});
  const Tensors g = grad([](const Tensors& in) { return sum(in[0] * in[1]); })({a, b});
  close(g[0], {3, 5});
  // The cotangent may be differentiated too: the pullback is linear in it.
  const Tensor u = variable(f64({1.0, 1.0}));
  close(gradients(sum(pullback(u)[0]), {u})[0], {9, 25});
}

TEST_CASE("jacobian: rows and columns agree, of any shapes") {
  const Tensor x = f64({{0.1, -0.4, 0.7}, {1.1, 0.3, -0.2}}), w = f64({{1.0, 2.0}, {0.5, -1.0}, {0.0, 3.0}});
  const auto f = [&](const Tensor& a) { return tanh(matmul(a, w)); };  // [2, 3] to [2, 2]
  const Tensor rows = jacobian(f, JacobianMode::reverse)(x), columns = jacobian(f, JacobianMode::forward)(x);
  CHECK(rows.shape() == Shape{2, 2, 2, 3});
  CHECK(columns.shape() == rows.shape());
  close(columns, list(contiguous(rows)));
  const Tensor y = f(x);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k < 2; ++k)
        for (int l = 0; l < 3; ++l) {
          const double t = slice(y, {i, j}).item<double>();
          const double expected = i == k ? (1 - t * t) * slice(w, {l, j}).item<double>() : 0;
          CHECK(slice(rows, {i, j, k, l}).item<double>() == doctest::Approx(expected).epsilon(1e-13));
        }
  CHECK(jacobian([](const Tensor& a) { return 2.0 * a; })(zeros({0}, DType::float64)).shape() == Shape{0, 0});
  CHECK(jacobian([](const Tensor& a) { return exp(a); })(f64(0.0)).item<double>() == 1);
  CHECK(jacobian([](const Tensor& a) { return square(a); })(tensor({3.0})).dtype() == DType::float32);
}

TEST_CASE("an argument that the result does not depend on has derivative 0") {
  const Tensor x = f64({1.0, 2.0});
  const auto constant = [&](const Tensor&) { return f64(5.0); };
  close(grad(constant)(x), {0, 0});
  close(hvp(constant, x, x), {0, 0});
  close(jvp(constant, {x}, {x}).second, {0});
  close(grad([](const Tensor& a) { return slice(a, {1}); })(x), {0, 1});
}

TEST_CASE("what transforms refuse") {
  const Tensor x = f64({1.0, 2.0});
  const auto id = [](const Tensor& a) { return a; };
  CHECK(has(message([&] { grad(id)(x); }), "y has 2 elements"));
  CHECK(has(message([&] { grad(id)(tensor({1, 2})); }), "int64[2]"));
  CHECK(has(message([&] { vjp(id, {x}).second(f64({1.0})); }), "cotangent"));
  CHECK(
      has(message([&] { jvp(id, {x}, {f64({1.0})}); }), "tangent 0 is float64[1], its primal is float64[2]"));
  CHECK(has(message([&] { jvp(id, {x, x}, {x, x}); }), "f takes 1 tensors but there are 2 inputs"));
  CHECK(has(message([&] { jacobian(id)(ones({1, 1, 1, 1, 2})); }), "too many dimensions"));
  CHECK(has(message([&] { grad([](const Tensor&) { return Tensor(); })(x); }), "empty tensor"));
  CHECK(has(message([&] { grad(id)(x); }), "transforms_test.cpp"));
}
