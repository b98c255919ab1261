#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "nn/nn.hpp"

using namespace wengert;

namespace {

struct Run {
  std::vector<double> losses;
  std::vector<double> parameters;
};

using MakeOptimizer = std::function<std::unique_ptr<nn::Optimizer>(const nn::Parameters&)>;

/// 100 steps of a small classifier from a fixed start.
Run train(bool captured, const MakeOptimizer& make, DType dtype, bool dropout = false) {
  random::seed(11);
  const nn::Parameters p{
      nn::Parameter(random::normal({6, 16}, 0.0, 0.4, dtype)), nn::Parameter(zeros({16}, dtype)),
      nn::Parameter(random::normal({16, 5}, 0.0, 0.4, dtype)), nn::Parameter(zeros({5}, dtype))};
  const Tensor x = random::normal({20, 6}, 0.0, 1.0, dtype), y = random::integers(0, 5, {20});
  const nn::Dropout drop(0.25);
  const auto optimizer = make(p);
  auto f = [&](const Tensor& in, const Tensor& labels) {
    Tensor h = tanh(matmul(in, p[0].value()) + p[1].value());
    if (dropout) h = drop(h);
    const Tensor loss = nn::cross_entropy(matmul(h, p[2].value()) + p[3].value(), labels);
    optimizer->step(gradients(loss, p));
    return loss;
  };
  auto g = capture(f);
  Run run;
  for (int i = 0; i < 100; ++i) {
    if (i == 60) optimizer->set_learning_rate(0.5 * optimizer->learning_rate());
    run.losses.push_back((captured ? g(x, y) : f(x, y)).item<double>());
  }
  for (const nn::Parameter& q : p)
    for (double v : cast(q.value(), DType::float64).to_vector<double>()) run.parameters.push_back(v);
  return run;
}

void check_near(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  CHECK(max(abs(a - b)).item<double>() <= 1e-5 * (1.0 + max(abs(b)).item<double>()));
}

void check_same(const Run& a, const Run& b, double tolerance) {
  REQUIRE(a.losses.size() == b.losses.size());
  CHECK(a.losses.back() < 0.7 * a.losses.front());
  for (std::size_t i = 0; i < a.losses.size(); ++i)
    CHECK(std::abs(a.losses[i] - b.losses[i]) <= tolerance * std::abs(a.losses[i]));
  for (std::size_t i = 0; i < a.parameters.size(); ++i)
    CHECK(std::abs(a.parameters[i] - b.parameters[i]) <=
          tolerance * std::max(1.0, std::abs(a.parameters[i])));
}

}  // namespace

TEST_SUITE_BEGIN("capture of training");

TEST_CASE("100 captured training steps are 100 eager ones, for every optimizer and both float types") {
  const std::vector<MakeOptimizer> optimizers{
      [](const nn::Parameters& p) {
        return std::make_unique<nn::SGD>(p, nn::SGDOptions{.learning_rate = 0.3});
      },
      [](const nn::Parameters& p) {
        return std::make_unique<nn::SGD>(
            p, nn::SGDOptions{.learning_rate = 0.1, .momentum = 0.8, .dampening = 0.2, .weight_decay = 0.01});
      },
      [](const nn::Parameters& p) {
        return std::make_unique<nn::SGD>(
            p, nn::SGDOptions{.learning_rate = 0.1, .momentum = 0.8, .nesterov = true});
      },
      [](const nn::Parameters& p) {
        return std::make_unique<nn::Adam>(p, nn::AdamOptions{.learning_rate = 0.02, .weight_decay = 0.001});
      },
      [](const nn::Parameters& p) {
        return std::make_unique<nn::AdamW>(p, nn::AdamWOptions{.learning_rate = 0.02});
      }};
  for (const MakeOptimizer& make : optimizers) {
    check_same(train(false, make, DType::float64), train(true, make, DType::float64), 1e-10);
    check_same(train(false, make, DType::float32), train(true, make, DType::float32), 2e-3);
  }
}

TEST_CASE("dropout draws a fresh mask in every captured step, the masks of eager code") {
  const MakeOptimizer adam = [](const nn::Parameters& p) {
    return std::make_unique<nn::Adam>(p, nn::AdamOptions{.learning_rate = 0.02});
  };
  check_same(train(false, adam, DType::float64, true), train(true, adam, DType::float64, true), 1e-10);
}

TEST_CASE("a captured step that throws leaves every parameter as it was") {
  const nn::Parameters p{nn::Parameter(random::normal({4, 3}))};
  nn::SGD sgd(p, {.learning_rate = 0.1, .momentum = 0.9});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(matmul(x, p[0].value()), y);
    sgd.step(gradients(loss, p));
    return loss;
  });
  const Tensor x = random::normal({5, 4});
  const Tensor good = tensor({0, 1, 2, 1, 0}), bad = tensor({0, 1, 3, 1, 0}),
               negative = tensor({0, -1, 2, 1, 0});
  step(x, good);
  const Tensor before = contiguous(p[0].value());
  const std::vector<float> elements = before.to_vector<float>();
  CHECK_THROWS_WITH_AS(step(x, bad), doctest::Contains("(capture_test.cpp:"), IndexError);
  CHECK_THROWS_AS(step(x, negative), IndexError);
  CHECK(p[0].value().to_vector<float>() == elements);
  step(x, good);
  CHECK(p[0].value().to_vector<float>() != elements);
  CHECK(before.to_vector<float>() == elements);
}

TEST_CASE("a parameter that got another element type is recorded again") {
  nn::Parameter w(ones({3}));
  auto f = capture([&](const Tensor& x) {
    w.set(w.value() * 2.0);
    return sum(w.value() * x);
  });
  CHECK(f(ones({3})).dtype() == DType::float32);
  w.to(DType::float64);
  CHECK(f(ones({3}, DType::float64)).item<double>() == 12);
  CHECK(f(ones({3})).dtype() == DType::float64);  // promoted, by a program of its own
  CHECK(w.value().to_vector<double>() == std::vector<double>(3, 8.0));
}

TEST_CASE("ignored labels weigh nothing in a captured loss") {
  const Tensor z = random::normal({6, 4}), y = tensor({0, -100, 2, 3, -100, 1});
  auto f = [](const Tensor& logits, const Tensor& labels) { return nn::cross_entropy(logits, labels); };
  auto g = capture(f);
  CHECK(g(z, y).item<double>() == doctest::Approx(f(z, y).item<double>()).epsilon(1e-6));
}

TEST_CASE("one captured step may be called by several threads") {
  const nn::Parameters p{nn::Parameter(zeros({64, 64}))};
  nn::SGD sgd(p, {.learning_rate = 1.0});
  auto step = capture([&](const Tensor& x) {
    sgd.step(gradients(sum(p[0].value() * x), p));
    return sum(x);
  });
  auto pure = capture([](const Tensor& x) { return sum(exp(x) * x, 1); });
  auto tiny = capture([](const Tensor& x) { return x * x; });  // short enough to keep others waiting
  const Tensor one = ones({64, 64});
  const float expected = step(one).item<float>();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const Tensor mine = full({64, 64}, 0.25 * t);
      const std::vector<float> answer = sum(exp(mine) * mine, 1).to_vector<float>();
      for (int i = 0; i < 50; ++i) {
        wrong[static_cast<std::size_t>(t)] += step(one).item<float>() != expected;
        wrong[static_cast<std::size_t>(t)] += pure(mine).to_vector<float>() != answer;
        for (int k = 0; k < 20; ++k)
          wrong[static_cast<std::size_t>(t)] += tiny(tensor(t + k)).item<int>() != (t + k) * (t + k);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(p[0].value().to_vector<float>() == std::vector<float>(64 * 64, -201.0f));
}

TEST_CASE("gradients go through the results of captured functions, to states and arguments") {
  nn::Sequential net{nn::Linear(4, 8), nn::Tanh(), nn::Linear(8, 3)};
  nn::Parameters p = net.parameters();
  auto f = [&](const Tensor& x) { return std::pair<Tensor, Tensor>(net(x), sum(square(x), 1)); };
  auto g = capture(f);
  const Tensor x = random::normal({5, 4}), labels = tensor({0, 1, 2, 0, 1});
  const auto loss_of = [&](const std::pair<Tensor, Tensor>& y) {
    return nn::cross_entropy(y.first, labels) + mean(y.second) * sum(square(y.first));
  };
  for (int i = 0; i < 2; ++i) {
    const Tensors expected = gradients(loss_of(f(x)), p), got = gradients(loss_of(g(x)), p);
    for (std::size_t k = 0; k < p.size(); ++k) check_near(got[k], expected[k]);
  }
  // The states' values are those of the call, also when they have changed since; so are second derivatives.
  const Tensor w = p[0].value();
  const auto [y, norms] = g(x);
  const auto [eager, eager_norms] = f(x);
  nn::Parameter(p[0]).set(w * 3.0);
  const Tensor first = gradients(sum(square(y)), {w}, {.create_graph = true})[0];
  const Tensor first_eager = gradients(sum(square(eager)), {w}, {.create_graph = true})[0];
  check_near(first, first_eager);
  check_near(gradients(sum(square(first)), {w})[0], gradients(sum(square(first_eager)), {w})[0]);
  CHECK(p[0].value().to_vector<float>() == (w * 3.0).to_vector<float>());
  CHECK_FALSE(norms.requires_grad());
}

TEST_CASE("a captured function's results are differentiated while it lives") {
  const nn::Parameter w(ones({3}));
  Tensor y;
  {
    auto f = capture([&](const Tensor& x) { return sum(w.value() * x); });
    y = f(ones({3}));
    CHECK(gradients(y, {w.value()})[0].to_vector<float>() == std::vector<float>{1, 1, 1});
  }
  CHECK_THROWS_WITH_AS(gradients(y, {w.value()}), doctest::Contains("the captured function is gone"),
                       GraphError);
}

TEST_CASE("results of functions that change states, draw, or read variables have no history, and say so") {
  const nn::Parameter w(ones({3}));
  const Tensor v = variable(ones({3}));
  State count(zeros({}));
  auto read = capture([&](const Tensor& x) { return sum(v * x); });
  auto draw = capture([&](const Tensor& x) { return sum(w.value() * x * random::normal({3})); });
  CHECK_THROWS_AS(gradients(read(ones({3})), {v}), GraphError);
  CHECK_THROWS_AS(gradients(draw(ones({3})), {w.value()}), GraphError);
  auto f = capture([&](const Tensor& x) {
    count.set(count.value() + 1.0);
    return sum(w.value() * x);
  });
  const Tensor y = f(ones({3}));
  CHECK(y.item<float>() == 3);
  CHECK_THROWS_WITH_AS(gradients(y * 2.0, {w.value()}), doctest::Contains("inside of the function"),
                       GraphError);
  // With a variable as the argument the function itself runs.
  const Tensor x = variable(ones({3}));
  CHECK(gradients(f(x), {x})[0].to_vector<float>() == std::vector<float>{1, 1, 1});
}

TEST_CASE(
    "in a CheckFinite scope a program names the operator and line that eager code names, and changes "
    "nothing") {
  const nn::Parameter w(ones({3}));
  nn::Adam adam({w}, {.learning_rate = 0.1});
  auto f = [&](const Tensor& x) {
    const Tensor used = log(x) + w.value();
    const Tensor unused = sqrt(used - 10.0);  // dead code is checked as well, in its place
    const Tensor loss = sum(square(used / x));
    adam.step(gradients(loss, {w.value()}));
    return loss + 0.0 * sum(x) + sum(stop_gradient(unused)) * 0.0;
  };
  auto step = capture(f);
  const Tensor good = tensor({20000.0, 30000.0, 40000.0}), bad = tensor({20000.0, 0.0, 1.0});
  step(good);
  const auto states = [&] {
    std::vector<std::vector<double>> all{cast(w.value(), DType::float64).to_vector<double>()};
    for (const NamedState& s : adam.named_states())
      all.push_back(cast(s.state.value(), DType::float64).to_vector<double>());
    return all;
  };
  const auto message = [&](auto& g, const Tensor& x) {
    CheckFinite scope;
    try {
      g(x);
    } catch (const ValueError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const auto before = states();
  for (const Tensor& x : {bad, good * 0.0, tensor({-1.0, 1.0, 1.0}), tensor({1.0, 1e-38, 1e38})}) {
    const std::string eager = message(f, x);
    CHECK(eager.find("capture_test.cpp:") != std::string::npos);
    CHECK(message(step, x) == eager);
    CHECK(states() == before);
  }
  CHECK(step.programs() == 2);
  // Without NaN the checked program is a step like any other.
  const Tensor fine = full({3}, 1e6);
  CHECK(message(step, fine).empty());
  CHECK(states() != before);
  CHECK(step.programs() == 2);
}

TEST_CASE("captured functions nest") {
  auto inner = capture([](const Tensor& x) { return exp(x) * x; });
  auto outer = capture([&](const Tensor& x0) {
    const Tensor x = variable(x0);
    return gradients(sum(inner(x)), {x})[0];
  });
  const Tensor x = random::normal({9});
  const auto got = outer(x).to_vector<float>(), expected = (exp(x) * (x + 1.0)).to_vector<float>();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

TEST_SUITE_END();
