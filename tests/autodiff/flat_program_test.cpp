// Small programs are lists of operations whose addresses are set once: what differs from run to run, and what
// may go wrong in the middle.

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/interop/xtensor.hpp"
#include "autodiff/operator.hpp"

using namespace wengert;

namespace {

Tensor values(const Shape& shape, int seed, DType dtype) { return cast(samples::values(shape, seed), dtype); }

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = contiguous(a), y = contiguous(b);
  return x.dtype() == y.dtype() && x.shape() == y.shape() &&
         std::memcmp(x.get()->data, y.get()->data,
                     static_cast<std::size_t>(x.size()) * item_size(x.dtype())) == 0;
}

}  // namespace

TEST_SUITE_BEGIN("flat programs");

TEST_CASE("products of all small sizes and orientations have the bits of eager ones, alone and added") {
  const std::int64_t sizes[] = {1, 2, 3, 4, 5, 8, 11, 16, 17, 33};
  int wrong = 0;
  for (const DType dtype : {DType::float32, DType::float64, DType::int64})
    for (const std::int64_t m : sizes)
      for (const std::int64_t n : sizes)
        for (const std::int64_t k : sizes) {
          if (m * n * k > 2000) continue;
          for (const bool ta : {false, true})
            for (const bool tb : {false, true}) {
              const Tensor a = values(ta ? Shape{k, m} : Shape{m, k}, 1, dtype);
              const Tensor b = values(tb ? Shape{n, k} : Shape{k, n}, 2, dtype);
              const Tensor c = values({m, n}, 3, dtype);
              const MatmulOptions options{.transpose_a = ta, .transpose_b = tb};
              auto program = capture([&](const Tensor& x, const Tensor& y) {
                const Tensor xy = matmul(x, y, options);
                return Tensors{xy, maximum(xy, matmul(x, y + y, options))};
              });
              const Tensor xy = matmul(a, b, options);
              const Tensors got = program(a, b);
              wrong += !same_bits(got[0], xy) || !same_bits(got[1], maximum(xy, matmul(a, b + b, options)));
            }
        }
  CHECK(wrong == 0);
}

TEST_CASE("parts of arguments, states and intermediate values are operands where they lie") {
  State w(samples::values({6, 3}, 5));
  const auto f = [&](const Tensor& x) {
    const Tensor upper = slice(x, 0, Slice(2, 5)), lower = slice(x, 0, Slice(5, Slice::none));
    const Tensor h = tanh(matmul(upper, w.value(), {.transpose_b = true}));
    const Tensor part = slice(w.value(), 0, Slice(3, Slice::none));
    return Tensors{matmul(slice(h, 0, Slice(1, Slice::none)), w.value()),
                   matmul(part, lower, {.transpose_b = true}), slice(h, 0, Slice(1, 2)) * 2.0, upper - part};
  };
  auto program = capture(f);
  for (int run = 0; run < 3; ++run) {
    const Tensor x = samples::values({7, 3}, 10 + run);
    const Tensors expected = f(x), got = program(x);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(same_bits(got[i], expected[i]));
    w.set(w.value() * 1.25);
  }
}

TEST_CASE("a result that is handed out twice, and one that is a state's new value, keep their elements") {
  State s(samples::values({4}, 0));
  auto program = capture([&](const Tensor& x) {
    const Tensor y = exp(x) * s.value();
    s.set(y);
    return Tensors{y, reshape(y, {2, 2}), y, x};
  });
  const Tensor x = samples::values({4}, 1);
  const Tensor before = s.value();
  const Tensors first = program(x);
  const Tensor y = exp(x) * before;
  CHECK(same_bits(first[0], y));
  const Tensors second = program(x);
  CHECK(same_bits(first[0], y));
  CHECK(same_bits(first[1], reshape(y, {2, 2})));
  CHECK(same_bits(first[2], y));
  CHECK(same_bits(first[3], x));
  CHECK(same_bits(second[2], exp(x) * y));
  CHECK(same_bits(s.value(), second[0]));
}

TEST_CASE("an error in the middle names the line of its own operation, and leaves the states alone") {
  State count(zeros({2}));
  int first = 0, second = 0;
  auto program = capture([&](const Tensor& x, const Tensor& i, const Tensor& j) {
    first = __LINE__ + 1;
    const Tensor a = take_along_axis(tanh(x), i, 1);
    const Tensor b = matmul(a, x);
    second = __LINE__ + 1;
    const Tensor c = take_along_axis(exp(b), j, 1);
    count.set(count.value() + 1.0);
    return c;
  });
  const Tensor x = samples::values({2, 3}), good = tensor({{1, 0}, {2, 1}}), bad = tensor({{1, 0}, {3, 1}});
  const auto line = [&](const Tensor& i, const Tensor& j) {
    try {
      program(x, i, j);
    } catch (const IndexError& e) {
      return static_cast<int>(e.where().line);
    }
    return 0;
  };
  CHECK(line(good, good) == 0);
  CHECK(line(bad, good) == first);
  CHECK(line(good, bad) == second);
  CHECK(line(good, good) == 0);
  CHECK(count.value().to_vector<float>() == std::vector<float>{2, 2});
}

TEST_CASE("a state of another type or shape is noticed, whatever other states there are") {
  State a(zeros({2})), b(ones({2}));
  auto program = capture([&](const Tensor& x) {
    a.set(a.value() + x);
    return a.value() * b.value();
  });
  const Tensor x = tensor({1.0, 2.0});
  program(x);
  b.replace(tensor({1.0, 2.0}, DType::float64));
  CHECK(program(x).dtype() == DType::float64);
  CHECK(a.value().to_vector<float>() == std::vector<float>{2, 4});
  b.replace(ones({2, 2}));
  CHECK(program(x).shape() == Shape{2, 2});
  CHECK(a.value().to_vector<float>() == std::vector<float>{3, 6});
}

TEST_CASE("a kernel may call the program that it is part of") {
  static int depth = 0;
  static std::function<Tensor(const Tensor&)> again;
  static const Operator recurse = define_operator({.name = "recurse",
                                                   .contract = "piecewise constant as far as anybody asks",
                                                   .shape = [](Shapes in) { return in[0]; },
                                                   .forward =
                                                       [](const XArrays<double>& in, XArray<double>& out) {
                                                         out = in[0];
                                                         if (depth == 3 || !again) return;
                                                         ++depth;
                                                         const Tensor y = again(from_xtensor(in[0]));
                                                         --depth;
                                                         for (std::size_t i = 0; i < out.size(); ++i)
                                                           out(i) += y.span<double>()[i];
                                                       },
                                                   .differentiable = false,
                                                   .samples = [] { return Samples{samples::values({3})}; }});
  auto program = capture([&](const Tensor& x) { return recurse(x * 2.0) + 1.0; });
  again = [&](const Tensor& x) { return program(x); };
  // f0 = 2 x + 1 at depth 3, then f = 2 x + f(2 x) + 1.
  const Tensor x = tensor({1.0, -2.0}, DType::float64);
  for (int run = 0; run < 2; ++run)
    CHECK(program(x).to_vector<double>() == std::vector<double>{30 + 4, -60 + 4});
  again = nullptr;
}

TEST_CASE("several threads run one program at a time, each on addresses of its own") {
  const Tensor w = samples::values({3, 3}, 1);
  auto program = capture([&](const Tensor& x) { return tanh(matmul(x, w) + 1.0) - matmul(x, w); });
  program(samples::values({4, 3}, 0));
  constexpr int threads = 4;
  int wrong[threads] = {};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      const Tensor x = samples::values({4, 3}, 20 + t);
      const Tensor expected = tanh(matmul(x, w) + 1.0) - matmul(x, w);
      for (int run = 0; run < 500; ++run) wrong[t] += !same_bits(program(x), expected);
    });
  for (std::thread& t : all) t.join();
  for (const int count : wrong) CHECK(count == 0);
}

TEST_CASE("an argument that is a state's own tensor keeps its elements while the state changes") {
  State s(samples::values({4, 4}, 3));
  const auto f = [&](const Tensor& x) {
    s.set(s.value() + 1.0);
    return matmul(tanh(matmul(x, x)), x);
  };
  auto program = capture(f);
  for (int run = 0; run < 3; ++run) {
    const Tensor expected = matmul(tanh(matmul(s.value(), s.value())), s.value());
    CHECK(same_bits(program(s.value()), expected));
  }
  CHECK(same_bits(s.value(), samples::values({4, 4}, 3) + 1.0 + 1.0 + 1.0));
}

TEST_CASE("calls with several signatures, from several threads, take turns when they update the same state") {
  State count(zeros({}));
  auto program = capture([&](const Tensor& x) {
    count.set(count.value() + 1.0);
    return sum(x) + count.value();
  });
  constexpr int threads = 4, calls = 300;
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      const Tensor x = zeros({1 + t % 2});
      for (int i = 0; i < calls; ++i) program(x);
    });
  for (std::thread& t : all) t.join();
  CHECK(count.value().item<float>() == threads * calls);
}

TEST_SUITE_END();
