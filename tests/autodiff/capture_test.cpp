#include <doctest/doctest.h>

#include <vector>

#include "autodiff/autodiff.hpp"

using namespace wengert;

namespace {

std::vector<float> values(const Tensor& x) { return x.to_vector<float>(); }

}  // namespace

TEST_SUITE_BEGIN("capture");

TEST_CASE("a captured function gives what the function gives, for every call and signature") {
  int runs = 0;
  auto f = [&](const Tensor& x, const Tensor& y) {
    ++runs;
    return tanh(x * y) + sum(x, 1, true) - matmul(x, transpose(y));
  };
  auto g = capture(f);
  for (const std::int64_t n : {3, 5, 3, 5, 3}) {
    const Tensor x = random::normal({n, n}), y = random::normal({n, n});
    const int before = runs;
    const Tensor got = g(x, y);
    CHECK(runs <= before + 1);
    CHECK(values(got) == values(f(x, y)));
  }
  CHECK(runs == 2 + 5);
  CHECK(g.programs() == 2);
}

TEST_CASE("gradients inside of a captured function are replayed with it") {
  const Tensor w = variable(random::normal({4, 3}));
  auto f = [&](const Tensor& x) {
    const Tensor loss = mean(square(tanh(matmul(x, w))));
    return std::pair<Tensor, Tensor>(loss, gradients(loss, {w})[0]);
  };
  auto g = capture(f);
  for (int i = 0; i < 3; ++i) {
    const Tensor x = random::normal({7, 4});
    const auto [loss, dw] = f(x);
    const auto [loss2, dw2] = g(x);
    CHECK(loss2.item<float>() == doctest::Approx(loss.item<float>()).epsilon(1e-6));
    const auto a = values(dw), b = values(dw2);
    for (std::size_t k = 0; k < a.size(); ++k) CHECK(b[k] == doctest::Approx(a[k]).epsilon(1e-5));
  }
}

TEST_CASE("states are read and updated by every replay; tensors taken from them keep their elements") {
  State count(zeros({})), table(zeros({3}));
  auto next = capture([&](const Tensor& x) {
    count.set(count.value() + 1.0);
    table.set(table.value() * 0.5 + x);
    return count.value();
  });
  const Tensor x = tensor({1.0, 2.0, 3.0});
  const Tensor first = next(x);
  const Tensor taken = table.value();
  CHECK(first.item<float>() == 1);
  CHECK(next(x).item<float>() == 2);
  CHECK(next(x).item<float>() == 3);
  CHECK(first.item<float>() == 1);
  CHECK(values(taken) == std::vector<float>{1, 2, 3});
  CHECK(values(table.value()) == std::vector<float>{1.75, 3.5, 5.25});
  count.set(tensor(10.0));
  CHECK(next(x).item<float>() == 11);
}

TEST_CASE("states are updated in place only where no tile writes over what the next one reads") {
  for (const Shape& shape : {Shape{500, 37}, Shape{64, 64}, Shape{3, 5}, Shape{40, 3000}, Shape{9, 1001}}) {
    const Tensor start = random::normal(shape), row = random::normal({shape[1]}),
                 column = random::normal({shape[0], 1});
    State replayed(start + 0.0), eager(start + 0.0);
    const auto update = [](const State& s, const Tensor& r, const Tensor& c) {
      s.set(s.value() * 0.9 + r - 0.5 * c);
    };
    auto step = capture([&](const Tensor& r, const Tensor& c) { update(replayed, r, c); });
    for (int i = 0; i < 3; ++i) {
      step(row, column);
      update(eager, row, column);
      CHECK(values(replayed.value()) == values(eager.value()));
    }
  }
}

TEST_CASE("random operators draw fresh numbers in every replay, the numbers of eager code") {
  auto f = [](const Tensor& x) { return where(random::bernoulli(0.5, {64}), x, 0.0) + random::normal({64}); };
  auto g = capture(f);
  const Tensor x = random::normal({64});
  std::vector<std::vector<float>> eager, replayed;
  random::seed(5);
  for (int i = 0; i < 3; ++i) eager.push_back(values(f(x)));
  random::seed(5);
  for (int i = 0; i < 3; ++i) replayed.push_back(values(g(x)));
  CHECK(eager == replayed);
  CHECK(eager[0] != eager[1]);
}

TEST_CASE("reading a value while a function is captured is an error that names the line") {
  auto item = capture([](const Tensor& x) { return x * sum(x).item<float>(); });
  CHECK_THROWS_WITH_AS(item(ones({3})), doctest::Contains("capture_test.cpp"), GraphError);
  auto print = capture([](const Tensor& x) { return x * double(to_string(x).size()); });
  CHECK_THROWS_AS(print(ones({3})), GraphError);
  // The thread is as it was before.
  CHECK(sum(ones({2})).item<float>() == 2);
}

TEST_CASE("a captured program can be read, drawn and counted") {
  State scale(tensor(2.0));
  auto f = capture([&](const Tensor& x) {
    scale.set(scale.value() * 0.5);
    return exp(x * scale.value()) + exp(x * scale.value()) + sum(tensor({1.0, 2.0}));
  });
  CHECK_THROWS_AS(f.graph(), GraphError);
  f(ones({3}));
  const std::string text = f.graph().text();
  CHECK(text.find("= argument 0 : float32[3] ->") != std::string::npos);
  CHECK(text.find("constant 3.0 : float32[]") !=
        std::string::npos);  // the sum of a constant is computed once
  CHECK(text.find("state 0 = %") != std::string::npos);
  CHECK(text.find("capture_test.cpp:") != std::string::npos);
  CHECK(text.find(" = exp(") == text.rfind(" = exp("));  // equal calls are computed once
  CHECK(f.graph().dot().rfind("digraph", 0) == 0);
  CHECK(f.report().find("8 operators recorded") != std::string::npos);
}

TEST_CASE("programs are kept for a bounded number of signatures") {
  int runs = 0;
  auto f = capture(
      [&](const Tensor& x) {
        ++runs;
        return x + 1.0;
      },
      {.programs = 2});
  for (const std::int64_t n : {1, 2, 1, 2, 3, 2, 1}) f(zeros({n}));
  CHECK(f.programs() == 2);
  CHECK(runs == 4);  // 1 was the oldest when 3 came
  CHECK(f(zeros({2}, DType::float64)).dtype() == DType::float64);
}

TEST_CASE("views of arguments, outputs that are inputs, and strided arguments") {
  auto f = capture([](const Tensor& x) {
    return Tensors{x, transpose(x), reshape(transpose(x), {6}), slice(x, 0, Slice(1, 2)) * 2.0};
  });
  const Tensor base = reshape(arange(6, DType::float32), {3, 2});
  for (const Tensor& x : {transpose(base), contiguous(transpose(base))}) {
    const Tensors got = f(x);
    CHECK(values(got[0]) == values(x));
    CHECK(values(got[1]) == values(base));
    CHECK(values(got[2]) == values(base));
    CHECK(values(got[3]) == std::vector<float>{2, 6, 10});
  }
}

TEST_CASE("an argument that is a state's value keeps its elements, whether or not somebody else holds it") {
  for (const Shape& shape : {Shape{3}, Shape{200, 300}}) {
    State w(full(shape, 4.0)), other(full(shape, 1.0));
    auto step = capture([&](const Tensor& x) {
      w.set(w.value() * 0.5);
      other.set(other.value() * 0.5);
      return x;
    });
    const Tensor first = step(w.value());  // the slot's own handle
    CHECK(values(first) == values(full(shape, 4.0)));
    CHECK(values(w.value()) == values(full(shape, 2.0)));
    const Tensor viewed = step(reshape(w.value(), shape));
    CHECK(values(viewed) == values(full(shape, 2.0)));
    CHECK(values(w.value()) == values(full(shape, 1.0)));
    CHECK(values(step(other.value())) == values(full(shape, 0.25)));
    const Tensors list{w.value()};
    CHECK(values(step(list[0])) == values(full(shape, 0.5)));
    CHECK(values(list[0]) == values(full(shape, 0.5)));
  }
}

TEST_SUITE_END();
