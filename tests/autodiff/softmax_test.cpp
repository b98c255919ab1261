#include "tests/autodiff/reference.hpp"

using namespace wengert;
using reference::check_close;
using reference::contains;
using reference::infinity;
using reference::message;
using reference::not_a_number;
using reference::sample;

namespace {

/// softmax and log_softmax of the entries along an axis, by plain loops in long double.
struct Reference {
  std::vector<double> p, log_p;

  Reference(const Tensor& x, int axis) {
    const std::vector<double> v = reference::values(x);
    std::int64_t inner = 1;
    for (int i = axis + 1; i < x.ndim(); ++i) inner *= x.dim(i);
    const std::int64_t n = x.dim(axis);
    p.resize(v.size());
    log_p.resize(v.size());
    for (std::int64_t k = 0; k < x.size(); ++k) {
      const std::int64_t first = k - k / inner % n * inner;
      long double largest = -infinity, total = 0;
      for (std::int64_t j = 0; j < n; ++j) largest = std::max<long double>(largest, v[at(first + j * inner)]);
      for (std::int64_t j = 0; j < n; ++j) total += std::exp(v[at(first + j * inner)] - largest);
      log_p[at(k)] = static_cast<double>(v[at(k)] - largest - std::log(total));
      p[at(k)] = static_cast<double>(std::exp(v[at(k)] - largest) / total);
    }
  }
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
};

void check_both(const Tensor& x, double tolerance) {
  for (int axis = 0; axis < x.ndim(); ++axis) {
    CAPTURE(describe(x));
    CAPTURE(axis);
    const Reference expected(x, axis);
    check_close(softmax(x, axis), x.shape(), expected.p, tolerance);
    check_close(log_softmax(x, axis - x.ndim()), x.shape(), expected.log_p, tolerance);
    CHECK(softmax(x, axis).dtype() == x.dtype());
  }
}

Tensor gradient(const Tensor& y, const Tensor& x, const Tensor& cotangent = {}) {
  return gradients(y, {x}, {.cotangent = cotangent})[0];
}

}  // namespace

TEST_CASE("softmax and log_softmax agree with plain loops along every axis") {
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{1000}, Shape{3, 10}, Shape{100, 10}, Shape{2, 3, 4},
                             Shape{3, 40, 5}, Shape{2, 1, 3}, Shape{0, 3}, Shape{3, 0}}) {
    check_both(sample(shape, 1), 1e-14);
    check_both(sample(shape, 2, DType::float32), 1e-6);
  }
}

TEST_CASE("softmax of strided and repeated views agrees with plain loops") {
  const Tensor x = sample({4, 5, 6}, 1);
  check_both(transpose(x), 1e-14);
  check_both(transpose(x, {1, 0, 2}), 1e-14);
  check_both(broadcast_to(sample({5, 1}, 2), {3, 5, 4}), 1e-14);
}

TEST_CASE("integers compute in float64") {
  CHECK(softmax(tensor({1, 2})).dtype() == DType::float64);
  CHECK(log_softmax(tensor({true, false})).dtype() == DType::float64);
  check_both(cast(tensor({1, 5, 3}), DType::float64), 1e-15);
}

TEST_CASE("logits of any size give the right loss and gradient") {
  // -30 against 30 is 60; from 1 - p it would be log(2^-66), 46.05.
  const Tensor small = log_softmax(tensor({-30.0, 30.0}, DType::float64));
  check_close(small, {2}, {-60, 0}, 1e-15);
  CHECK(log_softmax(tensor({-30.0, 30.0})).to_vector<float>()[0] == -60.0f);
  for (double size : {1e4, 1e8, 1e20})
    for (DType dtype : {DType::float32, DType::float64}) {
      const Tensor x = variable(tensor({{size, -size}, {-size, size}, {size, size}}, dtype));
      const Tensor y = log_softmax(x);
      const double log2 = std::log(2.0);
      check_close(y, {3, 2}, {0, -2 * size, -2 * size, 0, -log2, -log2}, 1e-6);
      check_close(softmax(x), {3, 2}, {1, 0, 0, 1, 0.5, 0.5}, 1e-6);
      // Of -log p[1] in each row: p - (0, 1).
      const Tensor g = tensor({{0.0, -1.0}, {0.0, -1.0}, {0.0, -1.0}}, dtype);
      check_close(gradient(y, x, g), {3, 2}, {1, -1, 0, 0, 0.5, -0.5}, 1e-6);
    }
}

TEST_CASE("-inf masks an entry: probability 0, derivative 0, the others as without it") {
  const Tensor x = variable(tensor({{1.0, -infinity, 2.0}, {0.0, 0.5, -infinity}}, DType::float64));
  const double a = 1 / (1 + std::exp(1.0)), b = 1 / (1 + std::exp(0.5));
  check_close(softmax(x), {2, 3}, {a, 0, 1 - a, b, 1 - b, 0}, 1e-15);
  check_close(log_softmax(x), {2, 3},
              {std::log(a), -infinity, std::log(1 - a), std::log(b), std::log(1 - b), -infinity}, 1e-15);
  const Tensor g = tensor({{1.0, 5.0, 0.0}, {0.0, 1.0, infinity}}, DType::float64);
  check_close(gradient(log_softmax(x), x, g), {2, 3}, {1 - a, 0, a - 1, -b, b, 0}, 1e-15);
  check_close(gradient(softmax(x), x, g), {2, 3},
              {a * (1 - a), 0, -a * (1 - a), -b * (1 - b), b * (1 - b), 0}, 1e-15);
}

TEST_CASE("a row of masks is NaN, and only that row") {
  const Tensor x = variable(tensor({{-infinity, -infinity}, {1.0, 1.0}}, DType::float64));
  const double log2 = std::log(2.0);
  check_close(softmax(x), {2, 2}, {not_a_number, not_a_number, 0.5, 0.5}, 1e-15);
  check_close(log_softmax(x), {2, 2}, {not_a_number, not_a_number, -log2, -log2}, 1e-15);
  const Tensor g = tensor({{1.0, 0.0}, {1.0, 0.0}}, DType::float64);
  check_close(gradient(log_softmax(x), x, g), {2, 2}, {not_a_number, not_a_number, 0.5, -0.5}, 1e-15);
}

TEST_CASE("derivatives are g - exp(y) sum(g) and y (g - sum(g y)), along any axis") {
  for (int axis : {0, 1, 2}) {
    const Tensor x = variable(sample({3, 4, 20}, 1)), g = sample({3, 4, 20}, 2);
    const Tensor y = softmax(x.impl().requires_grad ? stop_gradient(x) : x, axis);
    check_close(gradient(log_softmax(x, axis), x, g), g - y * sum(g, axis, true), 1e-14);
    check_close(gradient(softmax(x, axis), x, g), y * (g - sum(g * y, axis, true)), 1e-14);
    // The same through a cotangent that is a repeated view.
    const Tensor row = sample({20}, 3), view = broadcast_to(row, {3, 4, 20});
    check_close(gradient(log_softmax(x, axis), x, view), view - y * sum(view, axis, true), 1e-14);
  }
}

TEST_CASE("second derivatives are those of the composition from exp, sum and log") {
  const Tensor x = variable(sample({2, 5}, 1));
  const Tensor g = sample({2, 5}, 2), u = sample({2, 5}, 3);
  const auto second = [&](const Tensor& y) {
    const Tensor first = gradients(y, {x}, {.cotangent = g, .create_graph = true})[0];
    return gradient(first, x, u);
  };
  const Tensor e = exp(x), z = sum(e, 1, true);
  check_close(second(softmax(x)), second(e / z), 1e-13);
  check_close(second(log_softmax(x)), second(x - log(z)), 1e-13);
  const auto third = [&](const Tensor& y) {
    const Tensor first = gradients(y, {x}, {.cotangent = g, .create_graph = true})[0];
    const Tensor again = gradients(first, {x}, {.cotangent = u, .create_graph = true})[0];
    return gradient(again, x, g);
  };
  check_close(third(log_softmax(x)), third(x - log(z)), 1e-12);
}

TEST_CASE("masked entries stay 0 in the second derivative") {
  const Tensor x = variable(tensor({1.0, -infinity, 2.0}, DType::float64));
  const double p = 1 / (1 + std::exp(1.0)), h = p * (1 - p);
  for (bool logarithm : {true, false}) {
    const Tensor y = logarithm ? log_softmax(x) : softmax(x);
    const Tensor g = tensor({1.0, 1.0, 0.0}, DType::float64);
    const Tensor first = gradients(y, {x}, {.cotangent = g, .create_graph = true})[0];
    const Tensor second = gradient(first, x, tensor({1.0, 1.0, 0.0}, DType::float64));
    // log p0 has Hessian -h in the corner, p0 has h (1 - 2 p).
    const double corner = logarithm ? -h : h * (1 - 2 * p);
    check_close(second, {3}, {corner, 0, -corner}, 1e-15);
  }
}

TEST_CASE("forward mode is t - sum(exp(y) t)") {
  const Tensor x = sample({3, 4}, 1), t = sample({3, 4}, 2);
  const auto [y, dy] = jvp([](const Tensors& in) { return log_softmax(in[0]); }, {x}, {t});
  check_close(dy, t - sum(exp(y) * t, 1, true), 1e-14);
  const auto [p, dp] = jvp([](const Tensors& in) { return softmax(in[0], 0); }, {x}, {t});
  check_close(dp, p * (t - sum(p * t, 0, true)), 1e-14);
}

TEST_CASE("errors name the operator, the axis and the shape") {
  const Tensor x = zeros({2, 3});
  CHECK(contains(message<ShapeError>([&] { softmax(x, 2); }),
                 "softmax: axis 2 is not an axis of float32[2, 3] (softmax_test.cpp:"));
  CHECK(contains(message<ShapeError>([&] { log_softmax(tensor(1.0)); }),
                 "log_softmax: axis -1 is not an axis of float32[]"));
}
