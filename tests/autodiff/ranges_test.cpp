// Where the results of operators lie, and programs that assume that numbers are bounded.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <thread>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/operator.hpp"
#include "autodiff/kernels/interval.hpp"
#include "tests/autodiff/captured.hpp"
#include "tests/autodiff/messages.hpp"

using namespace wengert;
using kernels::Interval;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

Interval range(const char* op, std::initializer_list<Interval> inputs) {
  return find_operator(op)->range(inputs.begin(), {});
}
bool within(Interval a, double low, double high) { return a.low() >= low && a.high() <= high; }

constexpr std::int64_t rows = 70, classes = 1000;

Tensor logits() { return random::normal({rows, classes}, 0.0, 3.0); }
Tensor labels() {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < rows; ++i) all.push_back(37 * i % classes);
  return from_vector(all);
}
Tensor with_entry(const Tensor& x, std::int64_t row, std::int64_t column, double value) {
  const Tensor rows_of = equal(arange(x.shape()[0]), row), columns = equal(arange(x.shape()[1]), column);
  return where(expand_dims(rows_of, 1) & expand_dims(columns, 0), value, x);
}

Tensor focal(const Tensor& x, const Tensor& chosen) {
  const Tensor log_p = log_softmax(x), p = exp(log_p);
  return -mean(sum(square(1 - p) * log_p * chosen, -1));
}
Tensors loss_and_gradient(const Tensor& x, const Tensor& l) {
  const Tensor v = variable(x), loss = focal(v, one_hot(l, classes));
  return {loss, gradients(loss, {v})[0]};
}

void check_close(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(same(a[i] != a[i], b[i] != b[i]));
    const Tensor difference = where(a[i] == b[i], 0.0, abs(a[i] - b[i]));
    CHECK(max(where(difference != difference, 0.0, difference)).item<float>() < 1e-5F);
  }
}

}  // namespace

TEST_SUITE_BEGIN("ranges");

TEST_CASE(
    "every elementwise operator's results lie where its rule says, whatever interval its inputs are in") {
  random::Generator numbers(7);
  const auto draw = [&](double low, double high) {
    return low + (high - low) * numbers.uniform({}, DType::float64).item<double>();
  };
  int bounded = 0;
  for (const OperatorDefinition* op : operators()) {
    if (!op->scalar_reference || op->boolean_result) continue;
    CAPTURE(op->name);
    REQUIRE((op->range != nullptr));
    for (int trial = 0; trial < 300; ++trial) {
      std::vector<Interval> ranges;
      for (int i = 0; i < op->min_inputs; ++i) {
        const double size = std::pow(10.0, draw(-3, trial % 2 == 0 ? 1 : 13)), middle = draw(-size, size),
                     half = trial % 5 == 0 ? 0.0 : draw(0, size);
        ranges.push_back(trial % 7 == 3 ? Interval(0.0, size) : Interval(middle - half, middle + half));
      }
      const Interval result = op->range(ranges.data(), {});
      if (!result.is_finite()) continue;
      ++bounded;
      for (int point = 0; point < 20; ++point) {
        std::vector<double> x;
        for (const Interval& r : ranges)
          x.push_back(point == 0 ? r.low() : point == 1 ? r.high() : draw(r.low(), r.high()));
        const double y = op->scalar_reference(x.data());
        CAPTURE(x);
        CHECK(y >= result.low());
        CHECK(y <= result.high());
      }
    }
  }
  CHECK(bounded > 3000);
}

TEST_CASE("intervals are as narrow as arithmetic allows, and anything where it can fail") {
  CHECK(within(range("subtract", {1, {0, 1}}), -1e-5, 1.00001));
  CHECK(within(range("square", {Interval(-3, 2)}), 0, 9.001));
  CHECK(within(range("exp", {Interval(-1e12, 0)}), 0, 1.00001));
  CHECK(within(range("power", {{0, 4}, 1.5}), 0, 8.001));
  CHECK(within(range("power", {{-2, 1}, 3}), -8.001, 8.001));
  CHECK(within(range("divide", {{1, 2}, {4, 8}}), 0.1249, 0.5001));
  CHECK(within(range("where", {{0, 1}, {1, 2}, {-4, -3}}), -4, 2));
  CHECK(within(range("maximum", {{-4, 1}, {0, 0}}), 0, 1));
  CHECK(within(range("tanh", {Interval(-1e12, 1e12)}), -1.00001, 1.00001));
  // 1 - p may be a little less than 0.
  CHECK_FALSE(range("sqrt", {range("subtract", {1, {0, 1}})}).is_finite());
  CHECK_FALSE(range("power", {range("subtract", {1, {0, 1}}), 1.5}).is_finite());
  CHECK_FALSE(range("log", {Interval(0, 1)}).is_finite());
  CHECK_FALSE(range("divide", {1, {-1, 1}}).is_finite());
  CHECK_FALSE(range("exp", {Interval(0, 100)}).is_finite());
  CHECK_FALSE(range("multiply", {{0, 1e20}, {0, 1e20}}).is_finite());
  CHECK_FALSE(range("maximum", {Interval(), 0}).is_finite());
  CHECK_FALSE(range("multiply", {Interval(), 0}).is_finite());
}

TEST_CASE("a loss times a one_hot is computed at the labels alone, if the logits are bounded") {
  auto g = capture(loss_and_gradient);
  const Tensor x = logits(), l = labels();
  for (int run = 0; run < 2; ++run) check_close(g(x, l), loss_and_gradient(x, l));
  CHECK(calls(g, "bounded") == 1);
  CHECK(calls(g, "one_hot") == 0);
  CHECK(has(g.report(), "assuming that 1 value is bounded"));
  auto without = capture(loss_and_gradient, {.assume = false});
  check_close(without(x, l), loss_and_gradient(x, l));
  CHECK(calls(without, "bounded") == 0);
  CHECK(calls(without, "one_hot") == 1);
}

TEST_CASE("numbers that are not bounded give what eager code gives, then and later") {
  const Tensor x = logits(), l = labels();
  for (const double odd : {infinity, -infinity, not_a_number, 1e13, -1e13, -1e30}) {
    CAPTURE(odd);
    auto g = capture(loss_and_gradient);
    check_close(g(x, l), loss_and_gradient(x, l));
    const Tensor y = with_entry(x, 3, 5, odd);
    for (int run = 0; run < 2; ++run) check_close(g(y, l), loss_and_gradient(y, l));
    CHECK(calls(g, "bounded") == 0);
    CHECK_FALSE(has(g.report(), "assuming"));
    check_close(g(x, l), loss_and_gradient(x, l));
    CHECK(g.programs() == 1);
  }
}

TEST_CASE("a mask of -1e9 is bounded") {
  auto g = capture(loss_and_gradient);
  const Tensor y = with_entry(logits(), 3, 5, -1e9), l = labels();
  check_close(g(y, l), loss_and_gradient(y, l));
  CHECK(calls(g, "bounded") == 1);
}

TEST_CASE("nothing is assumed where a result could be infinite, numbers are drawn or users' code runs") {
  const Tensor x = logits(), l = labels();
  const auto assumed = [&](auto f) {
    auto g = capture(f);
    const Tensor first = g(x, l);
    return calls(g, "bounded");
  };
  const auto times_one_hot = [](auto f) {
    return [f](const Tensor& v, const Tensor& chosen) { return sum(f(v) * one_hot(chosen, classes)); };
  };
  CHECK(assumed(times_one_hot([](const Tensor& v) { return tanh(v) * v; })) == 1);
  CHECK(assumed(times_one_hot([](const Tensor& v) { return power(softmax(v), 0.5); })) == 1);
  CHECK(assumed(times_one_hot([](const Tensor& v) { return exp(v); })) == 0);
  CHECK(assumed(times_one_hot([](const Tensor& v) { return log(softmax(v)); })) == 0);
  CHECK(assumed(times_one_hot([](const Tensor& v) { return 1.0 / v; })) == 0);
  CHECK(assumed(times_one_hot([](const Tensor& v) { return power(1.0 - softmax(v), 1.5); })) == 0);
  CHECK(assumed(times_one_hot([](const Tensor& v) {
          return tanh(v) + random::normal({rows, classes});
        })) == 0);
}

TEST_CASE("a step that finds numbers unbounded leaves states as they were and runs once") {
  const Tensor x = logits(), l = labels();
  const auto trained = [&](bool captured) {
    State scale(ones({classes})), steps(tensor(0.0F));
    const auto step = [&](const Tensor& batch, const Tensor& chosen) {
      const Tensor v = variable(scale.value()), loss = focal(batch * v, one_hot(chosen, classes));
      scale.set(scale.value() - 0.1 * gradients(loss, {v})[0]);
      steps.set(steps.value() + 1.0);
      return loss;
    };
    auto g = capture(step);
    for (const double odd : {0.0, 0.0, 1e20, 0.0}) {
      const Tensor batch = with_entry(x, 0, 0, odd);
      captured ? g(batch, l) : step(batch, l);
    }
    return Tensors{scale.value(), steps.value()};
  };
  const Tensors replayed = trained(true);
  check_close(replayed, trained(false));
  CHECK(replayed[1].item<float>() == 4);
}

TEST_CASE("a gradient that a row operator changes in place has equal bits on any number of threads") {
  const std::int64_t few = 999;  // rows and chunks end within cache lines
  const Tensor x = random::normal({401, few}, 0.0, 3.0), l = random::integers(0, few, {401});
  const auto gradient = [&](const Tensor& batch, const Tensor& chosen) {
    const Tensor v = variable(batch);
    return gradients(focal(v, one_hot(chosen, few)), {v})[0];
  };
  const int before = num_threads();
  set_num_threads(1);
  auto g = capture(gradient);
  const Tensor expected = g(x, l);
  CHECK(calls(g, "add_at") == 1);
  check_close({expected}, {gradient(x, l)});
  for (const int threads : {2, 3, 7}) {
    set_num_threads(threads);
    for (int run = 0; run < 20; ++run) CHECK(same(g(x, l), expected));
  }
  set_num_threads(before);
}

TEST_CASE("threads that find numbers unbounded at the same time all get what eager code gives") {
  const Tensor x = logits(), y = with_entry(x, 2, 2, -infinity), l = labels();
  auto g = capture(loss_and_gradient);
  g(x, l);
  const Tensors expected = loss_and_gradient(y, l), usual = loss_and_gradient(x, l);
  std::vector<Tensors> got(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < got.size(); ++t)
    threads.emplace_back([&, t] { got[t] = g(t == 1 ? x : y, l); });
  for (std::thread& t : threads) t.join();
  for (std::size_t t = 0; t < got.size(); ++t) check_close(got[t], t == 1 ? usual : expected);
}

TEST_CASE("a saved program assumes nothing") {
  const std::string path = "ranges_test.safetensors";
  const Tensor x = logits(), y = with_entry(x, 1, 7, -infinity), l = labels();
  auto g = capture(loss_and_gradient);
  g(x, l);
  save_program(g, path);
  auto loaded = load_program(path);
  std::remove(path.c_str());
  CHECK(calls(loaded, "bounded") == 0);
  for (const Tensor& batch : {x, y}) check_close(loaded(batch, l), loss_and_gradient(batch, l));
}

TEST_CASE("a label that one_hot does not take is an error where the one_hot is not needed") {
  auto g = capture(loss_and_gradient);
  const Tensor x = logits(), l = labels();
  g(x, l);
  CHECK(calls(g, "one_hot") == 0);
  auto value = capture(
      [](const Tensor& batch, const Tensor& chosen) { return focal(batch, one_hot(chosen, classes)); });
  value(x, l);
  CHECK(calls(value, "one_hot") == 0);
  for (const std::int64_t odd : {std::int64_t{-1}, classes}) {
    // Two of them: the first is named, whatever is looked at first.
    const Tensor wrong = where(equal(arange(rows), 5) | equal(arange(rows), 41), odd, l);
    // From the end it is a position; what looks for labels finds it then.
    const std::string place = odd < 0 ? "one_hot: position -1 at indices[5] is outside the 1000 classes"
                                      : "position 1000 at indices[5, 0] is outside axis 1 of length 1000";
    for (const std::string& problem : {message([&] { g(x, wrong); }), message([&] { value(x, wrong); })}) {
      CHECK(has(problem, place));
      CHECK(has(problem, "(ranges_test.cpp:"));
    }
    CHECK_THROWS_AS(g(x, wrong), IndexError);
    CHECK_THROWS_AS(loss_and_gradient(x, wrong), IndexError);
  }
  check_close(g(x, l), loss_and_gradient(x, l));
  // Labels that exist in the loop's tiles only.
  auto shifted = capture([](const Tensor& batch, const Tensor& chosen) {
    return loss_and_gradient(batch, where(equal(chosen, 37 * 7), -3, chosen + 1));
  });
  CHECK(
      has(message([&] { shifted(x, l); }), "one_hot: position -3 at indices[7] is outside the 1000 classes"));
}

TEST_SUITE_END();
