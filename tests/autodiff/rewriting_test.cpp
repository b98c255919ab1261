#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "autodiff/autodiff.hpp"
#include "tests/autodiff/captured.hpp"

using namespace wengert;

namespace {

bool equal_elements(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && max(abs(a - b)).item<double>() == 0.0;
}

/// True at the elements whose position leaves that remainder.
Tensor every(std::int64_t divisor, std::int64_t remainder, const Shape& shape) {
  std::vector<double> chosen(static_cast<std::size_t>(shape.elements()), 0.0);
  for (std::size_t i = static_cast<std::size_t>(remainder); i < chosen.size();
       i += static_cast<std::size_t>(divisor))
    chosen[i] = 1.0;
  return reshape(from_vector(chosen), shape) == 1.0;
}

std::int64_t count_nan(const Tensor& x) { return sum(cast(x != x, DType::int64)).item<std::int64_t>(); }

double largest_difference(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item<double>(); }

}  // namespace

TEST_SUITE_BEGIN("rewriting");

TEST_CASE("neutral elements disappear, where they change neither shape nor element type") {
  const Tensor one = tensor(1.0, DType::float64), zero = tensor(0.0, DType::float64);
  const Tensor ones_row = ones({2, 1, 4}, DType::float64);
  auto f = [&](const Tensor& x) { return Tensors{one * (x * one) / one - zero, x * ones_row}; };
  const Tensor x = random::normal({3, 4}, 0.0, 1.0, DType::float64);
  auto g = capture(f);
  const Tensors got = g(x), expected = f(x);
  CHECK(equal_elements(got[0], x));
  CHECK(equal_elements(got[1], expected[1]));
  CHECK(got[1].shape() == Shape{2, 3, 4});
  CHECK(calls(g, "multiply") == 1);
  CHECK(calls(g, "divide") == 0);
  CHECK(calls(g, "subtract") == 0);
}

TEST_CASE("signs are taken out of products and into sums, with equal bits") {
  auto f = [](const Tensor& x, const Tensor& y, const Tensor& z) {
    return Tensors{x + (-y) * z, (-x) / y - y, -(-x), -x - (-y)};
  };
  const Tensor x = random::normal({3, 4}), y = random::normal({3, 4}), z = random::normal({3, 4});
  auto g = capture(f);
  const Tensors got = g(x, y, z), expected = f(x, y, z);
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(equal_elements(got[i], expected[i]));
  CHECK(calls(g, "negative") == 2);
}

TEST_CASE("a sign whose operand is smaller than the product stays where it costs least") {
  auto f = [](const Tensor& x, const Tensor& c) { return (-c) * x; };
  const Tensor x = random::normal({8, 8}), c = random::normal({8});
  auto g = capture(f);
  CHECK(equal_elements(g(x, c), f(x, c)));
  CHECK(g.graph().text().find("negative(%1) : float32[8]") != std::string::npos);
}

TEST_CASE("the derivative of log_softmax uses exponentials that the loss has computed") {
  auto focal = [](const Tensor& logits) {
    const Tensor v = variable(logits);
    const Tensor log_p = log_softmax(v);
    return gradients(-mean(square(1 - exp(log_p)) * log_p), {v})[0];
  };
  const Tensor x = random::normal({6, 9}, 0.0, 1.0, DType::float64);
  auto g = capture(focal);
  CHECK(largest_difference(g(x), focal(x)) < 1e-15);
  CHECK(calls(g, "log_softmax_vjp_from_p") == 1);
  CHECK(calls(g, "exp") == 1);
}

TEST_CASE("log_softmax and the exponential of its result share their exponentials, from 65,536 elements on") {
  auto focal = [](const Tensor& logits) {
    const Tensor v = variable(logits);
    const Tensor log_p = log_softmax(v), p = exp(log_p);
    const Tensor loss = -sum(square(1 - p) * where(log_p > -1e4, log_p, zeros_like(p)), -1);
    return Tensors{log_p, p, gradients(mean(loss), {v})[0]};
  };
  auto both = [](const Tensor& x) { return Tensors{log_softmax(x, 0), softmax(x, 0), softmax(x, 1)}; };
  for (const DType dtype : {DType::float64, DType::float32}) {
    const double bound = dtype == DType::float64 ? 2e-15 : 1e-6;  // of the result, and of 1
    for (const Shape& shape : {Shape{100, 1000}, Shape{7000, 10}, Shape{70000, 1}, Shape{9, 9001}}) {
      for (const double spread : {0.0, 1.0, 30.0}) {
        Tensor x = random::normal(shape, 5.0, spread, dtype);
        // A mask now and then, and rows in which one logit has all of the probability.
        if (shape[1] > 1)
          x = where(every(37, 5, shape), full_like(x, -std::numeric_limits<double>::infinity()), x);
        x = where(every(2003, 7, shape), x + 40.0, x);
        INFO(dtype, " ", shape[0], " x ", shape[1], ", spread ", spread);
        auto g = capture(focal);
        const Tensors got = g(x), exact = focal(cast(x, DType::float64));
        const bool parts = shape[1] == 1000;
        CHECK(calls(g, "log_softmax") == 0);
        CHECK(calls(g, "exp") == (parts ? 1 : 0));
        CHECK(calls(g, "softmax_shift") == (parts ? 1 : 0));
        CHECK(calls(g, "softmax") == (parts ? 0 : 1));
        CHECK(calls(g, "log_softmax_from_p") == (parts ? 0 : 1));
        CHECK(calls(g, "log_softmax_vjp_from_p") == 1);
        for (std::size_t i = 0; i < got.size(); ++i) {
          const Tensor a = cast(got[i], DType::float64), b = exact[i];
          const Tensor error = where(a == b, zeros_like(a), abs(a - b) / (1.0 + abs(b)));
          CHECK(max(error).item<double>() <= bound * (spread == 30.0 ? 4 : 1));
        }
        auto h = capture(both);
        const Tensors ours = h(x), theirs = both(cast(x, DType::float64));
        CHECK(calls(h, "log_softmax_from_p") == 1);
        CHECK(calls(h, "softmax") == 2);  // along the other axis it is another one
      }
    }
  }
}

TEST_CASE("rows without probabilities are NaN and leave the others alone where exponentials are shared") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  auto f = [](const Tensor& x) {
    const Tensor log_p = log_softmax(x);
    return Tensors{log_p, exp(log_p)};
  };
  for (const std::int64_t columns : {3, 1000}) {
    const Shape shape{70000 / columns + 1, columns};
    Tensor x = random::normal(shape);
    const Tensor row = reshape(arange(shape[0], DType::float32), {shape[0], 1});
    const Tensor last = arange(columns, DType::float32) == static_cast<double>(columns - 1);
    x = where(row == 1.0, full_like(x, -inf), x);
    x = where((row == 2.0) & last, full_like(x, inf), x);
    x = where((row == 3.0) & last, full_like(x, std::numeric_limits<double>::quiet_NaN()), x);
    auto g = capture(f);
    const Tensors got = g(x), expected = f(x);
    CHECK(calls(g, "log_softmax_from_p") == (columns == 3 ? 1 : 0));
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(count_nan(got[i]) == 3 * columns);
      CHECK(count_nan(expected[i]) == 3 * columns);
      CHECK(equal_elements(cast(got[i] != got[i], DType::float64),
                           cast(expected[i] != expected[i], DType::float64)));
    }
  }
}

TEST_CASE(
    "losses and their derivatives share the parts of softmax and log_softmax, from 65,536 elements on") {
  auto entropy = [](const Tensor& x, const Tensor& labels) {
    const Tensor v = variable(x);
    const Tensor loss = -mean(take_along_axis(log_softmax(v), labels, -1));
    return Tensors{loss, gradients(loss, {v})[0]};
  };
  auto both = [](const Tensor& x, const Tensor&) {
    const Tensor v = variable(x);
    const Tensor loss = sum(softmax(v) * log_softmax(v));
    return Tensors{loss, gradients(loss, {v})[0]};
  };
  const auto check = [](auto f, const Shape& shape, int exponentials) {
    for (const DType dtype : {DType::float64, DType::float32}) {
      Tensor x = random::normal(shape, 5.0, 30.0, dtype);
      const Tensor labels = cast(arange(shape[0], DType::float64) * 7.0, DType::int64);
      const Tensor first = arange(shape[1], DType::float64) == 3.0;  // as good as a mask
      x = where(first, full_like(x, -1e30), x);
      auto g = capture(f);
      const Tensors got = g(x, labels), exact = f(cast(x, DType::float64), labels);
      INFO(dtype, " ", shape[0], " x ", shape[1]);
      CHECK(calls(g, "log_softmax") == 0);
      CHECK(calls(g, "softmax") == 0);
      CHECK(calls(g, "softmax_shift") == 1);
      CHECK(calls(g, "exp") <= exponentials);
      for (std::size_t i = 0; i < got.size(); ++i) {
        const Tensor a = cast(got[i], DType::float64), b = exact[i];
        CHECK(max(abs(a - b) / (1.0 + abs(b))).item<double>() <= (dtype == DType::float64 ? 1e-14 : 4e-6));
      }
    }
  };
  check(entropy, {90, 1000}, 2);  // the matrix, and one number a row
  check(both, {90, 1000}, 1);
}

TEST_CASE("softmax and log_softmax alone, and along long and short rows, keep their kernels") {
  auto alone = capture([](const Tensor& x) { return Tensors{softmax(x), log_softmax(x * 2.0)}; });
  auto loss = capture([](const Tensor& x) {
    const Tensor v = variable(x);
    return gradients(sum(square(log_softmax(v))), {v})[0];
  });
  alone(random::normal({90, 1000}));
  CHECK(calls(alone, "softmax") == 1);
  CHECK(calls(alone, "log_softmax") == 1);
  for (const Shape& shape : {Shape{20, 5000}, Shape{7000, 10}}) {
    loss(random::normal(shape));
    CHECK(calls(loss, "log_softmax") == 1);
  }
}

TEST_CASE("small results keep the bits of eager code where exponentials could be shared") {
  auto f = [](const Tensor& x) {
    const Tensor log_p = log_softmax(x);
    return Tensors{log_p, exp(log_p)};
  };
  const Tensor x = random::normal({60, 1000});
  auto g = capture(f);
  const Tensors got = g(x), expected = f(x);
  CHECK(calls(g, "log_softmax") == 1);
  CHECK(equal_elements(got[0], expected[0]));
  CHECK(equal_elements(got[1], expected[1]));
}

TEST_CASE("a mean over leading axes is a sum in the loop of what it adds up") {
  auto f = [](const Tensor& x) { return Tensors{mean(square(x), 0), mean(tanh(x))}; };
  const Tensor x = random::normal({32, 7});
  auto g = capture(f);
  const Tensors got = g(x), expected = f(x);
  CHECK(largest_difference(got[0], expected[0]) < 1e-6);
  CHECK(largest_difference(got[1], expected[1]) < 1e-6);
  CHECK(calls(g, "mean") == 0);
  CHECK(g.statistics().steps == g.statistics().loops);
}

TEST_CASE("a product of transposed matrices takes them as they lie, with equal bits") {
  auto f = [](const Tensor& x, const Tensor& y) {
    const Tensor product = matmul(transpose(x), transpose(y));
    return Tensors{product, matmul(transpose(product), x, {.transpose_b = true}),
                   matmul(transpose(x), y, {.transpose_a = true})};
  };
  for (const Shape& shape : {Shape{3, 4}, Shape{70, 90}, Shape{1, 5}, Shape{5, 1}}) {
    const Tensor x = random::normal(shape), y = random::normal({shape[1], shape[0]});
    auto g = capture(f);
    const Tensors got = g(x, y), expected = f(x, y);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(equal_elements(got[i], expected[i]));
    CHECK((calls(g, "transpose") == 0) == (shape[0] > 1 && shape[1] > 1));
  }
}

TEST_CASE("products that are added up are accumulated in the product's own pass, from 65,536 elements on") {
  for (const std::int64_t n : {16, 256}) {
    auto f = [](const Tensor& a, const Tensor& b) {
      const Tensor first = matmul(a, b);
      return tanh(first) + matmul(a, b * 2.0) + first;
    };
    const Tensor a = random::normal({n, 24}), b = random::normal({24, n});
    auto g = capture(f);
    const Tensor expected = f(a, b);
    for (int i = 0; i < 2; ++i) {
      const Tensor got = g(a, b);
      if (n < 256)
        CHECK(equal_elements(got, expected));
      else
        CHECK(largest_difference(got, expected) < 1e-5);
    }
    CHECK(calls(g, "matmul_add") == (n < 256 ? 0 : 1));
  }
}

TEST_CASE("an update by a product is written into the state, and tensors taken from it stay") {
  State w(random::normal({256, 256}));
  const Tensor start = w.value() + 0.0;
  const Tensor x = random::normal({8, 256}), y = random::normal({8, 256});
  auto step = capture(
      [&](const Tensor& a, const Tensor& b) { w.set(add_scaled(w.value(), matmul(transpose(a), b), -0.5)); });
  step(x, y);
  CHECK(calls(step, "matmul_add") == 1);
  CHECK(step.statistics().new_state_bytes == 0);
  const Tensor expected = start - 0.5 * matmul(transpose(x), y);
  CHECK(largest_difference(w.value(), expected) < 1e-5);
  const Tensor taken = w.value();
  step(x, y);
  CHECK(largest_difference(taken, expected) < 1e-5);
  CHECK(largest_difference(w.value(), expected - 0.5 * matmul(transpose(x), y)) < 2e-5);
}

TEST_CASE("an update waits for every product that reads the old value") {
  State w(random::normal({256, 256}));
  const Tensor start = w.value() + 0.0;
  const Tensor x = random::normal({8, 256});
  auto step = capture([&](const Tensor& a) {
    const Tensor before = w.value();
    w.set(add_scaled(before, matmul(transpose(a), matmul(a, before)), -0.01));
    return matmul(a, before);
  });
  const Tensor y = step(x);
  CHECK(largest_difference(y, matmul(x, start)) < 1e-4);
  CHECK(largest_difference(w.value(), start - 0.01 * matmul(transpose(x), matmul(x, start))) < 1e-4);
}

TEST_CASE("results take over the memory of operands that die with them") {
  auto chain = [](const Tensor& y) { return matmul(tanh(matmul(y, y) * 0.01), y); };
  const Tensor x = random::normal({64, 64});
  auto g = capture(chain);
  CHECK(equal_elements(g(x), chain(x)));
  // The tanh lies where the product lay.
  CHECK(g.statistics().arena_bytes == 64 * 64 * 4 + 64);
}

TEST_SUITE_END();
