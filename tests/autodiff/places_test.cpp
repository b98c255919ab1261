// Cotangents and products that are zero but for one place in each row.

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "autodiff/autodiff.hpp"
#include "tests/autodiff/captured.hpp"
#include "tests/autodiff/messages.hpp"

using namespace wengert;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class F>
void check_same(const F& f, const Tensor& x, const Tensor& labels) {
  auto g = capture(f);
  const Tensors expected = f(x, labels);
  for (int run = 0; run < 2; ++run) {
    const Tensors got = g(x, labels);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(same(got[i], expected[i]));
  }
}

/// Of rows that follow one another different ones, unless there are seven classes.
Tensor labels_of(std::int64_t rows, std::int64_t classes) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < rows; ++i) all.push_back((7 * i + 2) % classes);
  return from_vector(all);
}

/// Value and gradient of a loss of the logits.
template <class F>
auto with_gradient(F loss_of) {
  return [=](const Tensor& x, const Tensor& labels) {
    const Tensor v = variable(x), loss = loss_of(v, labels);
    return Tensors{loss, gradients(loss, {v})[0]};
  };
}

}  // namespace

TEST_SUITE_BEGIN("places");

TEST_CASE("a cotangent through a one_hot is computed for the chosen entries alone, with equal bits") {
  const auto loss = [](const Tensor& v, const Tensor& labels) {
    return mean(sum(square(1.0 - v) * tanh(v) * one_hot(labels, 9, v.dtype()), -1));
  };
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = random::normal({12, 9}, 0.0, 1.0, dtype), labels = labels_of(12, 9);
    check_same(with_gradient(loss), x, labels);
    auto g = capture(with_gradient(loss));
    g(x, labels);
    CHECK(calls(g, "square_vjp", {12, 9}) == 0);
    CHECK(calls(g, "tanh_vjp", {12, 9}) == 0);
    CHECK(calls(g, "tanh_vjp", {12, 1}) == 1);
    CHECK(calls(g, "safe_multiply", {12, 9}) == 1);  // the gradient
  }
}

TEST_CASE("a cotangent of entries that were taken is computed for them alone, with equal bits") {
  const auto loss = [](const Tensor& v, const Tensor& labels) {
    return mean(take_along_axis(where(v > 0.5, 0.0, exp(-v)) * sqrt(1.0 + square(v)), labels, -1));
  };
  const Tensor x = random::normal({12, 9}), labels = labels_of(12, 9);
  check_same(with_gradient(loss), x, labels);
  check_same(with_gradient(loss), x, labels - 9);  // from the end
  auto g = capture([&](const Tensor& a, const Tensor& l) { return with_gradient(loss)(a, l)[1]; });
  g(x, labels);
  CHECK(calls(g, "take_along_axis_transposed", {12, 9}) == 1);
  for (const char* dense : {"exp", "sqrt", "greater", "where", "square", "add"}) {
    CAPTURE(dense);
    CHECK(calls(g, dense, {12, 9}) == 0);
    CHECK(calls(g, dense, {12, 1}) > 0);
  }
}

TEST_CASE("cotangents of different places are not joined") {
  const auto loss = [](const Tensor& v, const Tensor& labels) {
    return sum(take_along_axis(exp(v), labels, -1)) + sum(tanh(v) * one_hot(4 - labels, 5, v.dtype()));
  };
  check_same(with_gradient(loss), random::normal({7, 5}), labels_of(7, 5));
  const auto product = [](const Tensor& v, const Tensor& labels) {
    return sum(tanh(v) * one_hot(labels, 5, v.dtype()) * one_hot(4 - labels, 5, v.dtype()));
  };
  check_same(with_gradient(product), random::normal({7, 5}), labels_of(7, 5));
}

TEST_CASE("a choice between entries and something else than zero is made everywhere") {
  for (const double other : {0.0, 0.5}) {
    CAPTURE(other);
    check_same(
        [=](const Tensor& x, const Tensor& labels) {
          const Tensor chosen = one_hot(labels, 5, x.dtype());
          return Tensors{where(x > 0.0, chosen, other), where(x > 0.0, other, chosen),
                         where(x > 0.0, 2.0 * chosen, other * x)};
        },
        random::normal({7, 5}), labels_of(7, 5));
  }
}

TEST_CASE("several entries of a row, rows of another axis and repeated rows are left as they are") {
  const auto several = [](const Tensor& v, const Tensor&) {
    return sum(exp(take_along_axis(tanh(v), tensor({{0, 2, 2}, {1, 1, 0}}), -1)));
  };
  check_same(with_gradient(several), random::normal({2, 4}), tensor(0));
  const auto down = [](const Tensor& v, const Tensor&) {
    return sum(exp(take_along_axis(tanh(v), tensor({{0, 1, 1, 0}}), 0)));
  };
  check_same(with_gradient(down), random::normal({2, 4}), tensor(0));
  const auto repeated = [](const Tensor& v, const Tensor& labels) {
    return sum(exp(v) * one_hot(labels, 4) * tanh(v));
  };
  check_same(with_gradient(repeated), random::normal({1, 4}), tensor({3, 0, 3}));
  check_same(with_gradient(repeated), random::normal({3, 4}), tensor(2));
  check_same(with_gradient(repeated), random::normal({4}), tensor({3, 0, 3}));
  check_same(with_gradient(repeated), random::normal({4}), tensor(1));
}

TEST_CASE("infinities and NaN reach the value and the gradient as in eager code") {
  const auto loss = [](const Tensor& v, const Tensor& labels) {
    const Tensor chosen = one_hot(labels, 4, v.dtype());
    return sum(log(v) * v * chosen) + 2.0 * sum(sqrt(v) * chosen);
  };
  for (const double odd : {0.0, -1.0, infinity, -infinity, std::numeric_limits<double>::quiet_NaN()}) {
    CAPTURE(odd);
    const Tensor x = tensor({{1.0, odd, 2.0, 3.0}, {odd, 1.0, 2.0, odd}, {0.5, 2.0, 3.0, 4.0}});
    for (const Tensor& labels : {tensor({1, 0, 3}), tensor({0, 1, 2}), tensor({1, 1, 1})})
      check_same(with_gradient(loss), x, labels);
  }
}

TEST_CASE("a cotangent that is infinite or NaN reaches what it reached before") {
  const auto gradient = [](const Tensor& x, const Tensor& labels) {
    const Tensor v = variable(x), y = tanh(v) * one_hot(labels, 3, x.dtype());
    Tensors all;
    for (const double g : {infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), 0.0})
      all.push_back(gradients(sum(g * y), {v})[0]);
    return all;
  };
  check_same(gradient, random::normal({4, 3}), labels_of(4, 3));
  // Known when it runs only, one number a row.
  for (const double g : {infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), 0.0})
    check_same(
        [=](const Tensor& x, const Tensor& labels) {
          const Tensor v = variable(x), y = sum(tanh(v) * one_hot(labels, 3, x.dtype()), -1);
          return Tensors{gradients(sum((max(x, -1) + g) * y), {v})[0]};
        },
        random::normal({4, 3}), labels_of(4, 3));
}

TEST_CASE("a label that one_hot does not take is an error of the replay, too") {
  auto g = capture([](const Tensor& x, const Tensor& labels) {
    const Tensor v = variable(x);
    return gradients(sum(exp(v) * one_hot(labels, 3)), {v})[0];
  });
  const Tensor x = random::normal({2, 3});
  g(x, tensor({0, 2}));
  CHECK(has(message([&] { g(x, tensor({0, -1})); }), "one_hot: position -1 at indices[1] is outside the 3"));
  CHECK(has(message([&] { g(x, tensor({3, 0})); }), "one_hot: position 3 at indices[0] is outside the 3"));
  // Drawn again they would be others: without their place, but with the line.
  const int line = __LINE__;
  auto drawn = capture([](const Tensor& v) { return exp(v) * one_hot(random::integers(3, 4, {2}), 3); });
  CHECK(located(message([&] { drawn(x); }), "one_hot: position 3 is outside the 3 classes", line));
}

TEST_CASE("which of two operators in one loop met a position outside is known, and where") {
  // One of them counts negative ones from the end.
  const auto both = [](const Tensor& x, const Tensor& labels) {
    const Tensor y = exp(x), entries = take_along_axis(y, expand_dims(labels, 1), 1);
    return Tensors{entries, y * one_hot(labels, 5)};
  };
  auto g = capture(both);
  const Tensor x = random::normal({40, 5}), labels = labels_of(40, 5);
  check_same(both, x, labels);
  g(x, labels);
  const Tensor first = equal(arange(40), 23), second = equal(arange(40), 31);
  const std::string expected = message([&] { both(x, where(first | second, -1, labels)); });
  CHECK(has(expected, "one_hot: position -1 at indices[23] is outside the 5 classes"));
  CHECK(message([&] { g(x, where(first | second, -1, labels)); }) == expected);
  CHECK(has(message([&] { g(x, where(first | second, 5, labels)); }),
            "take_along_axis: position 5 at indices[23, 0] is outside axis 1 of length 5"));
}

TEST_CASE("large gradients of log_softmax at labels agree with eager code, masks included") {
  const auto focal = [](const Tensor& v, const Tensor& labels) {
    const Tensor log_p = log_softmax(v), p = exp(log_p);
    return -mean(
        sum(where(log_p < -1e30, 0.0, square(1.0 - p) * log_p) * one_hot(labels, 700, v.dtype()), -1));
  };
  const auto cross_entropy = [](const Tensor& v, const Tensor& labels) {
    return -mean(take_along_axis(log_softmax(v), labels, -1));
  };
  Tensor x = random::normal({100, 700}, 0.0, 3.0, DType::float64);
  x = where(x > 6.0, -infinity, x);
  const Tensor labels = labels_of(100, 700);
  const Tensor usable = where(take_along_axis(x, labels, -1) < -1e30, zeros_like(labels), labels);
  const auto agree = [&](auto loss, const Tensor& chosen) {
    const auto f = with_gradient(loss);
    auto g = capture(f);
    const Tensors expected = f(x, chosen);
    g(x, chosen);
    const Tensors got = g(x, chosen);
    CHECK(calls(g, "log_softmax_vjp", x.shape()) + calls(g, "log_softmax_vjp_from_p", x.shape()) == 0);
    CHECK(max(abs(got[1] - expected[1])).item<double>() < 1e-14);
    CHECK(same(got[1] == 0.0, expected[1] == 0.0));
  };
  agree(focal, labels);
  agree(focal, usable);
  agree(cross_entropy, labels);  // some of them masked: what is taken there counts nothing
  agree(cross_entropy, usable);
}

TEST_SUITE_END();
