// Optimizers against PyTorch's trajectories. The numbers come from PyTorch 2.13.0 in float64: five steps of
// the optimizer in the row, from a = [1, -2, 0.5] and b = [[0.3, -0.7]], on
//   (a * a * torch.tensor([1.0, 0.5, 3.0])).sum() / 2 + torch.sin(b * 3).sum() * a[0]
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "nn/optimizers/adam.hpp"
#include "nn/optimizers/sgd.hpp"

using namespace wengert;

namespace {

struct Problem {
  nn::Parameter a{tensor({1.0, -2.0, 0.5}, DType::float64)};
  nn::Parameter b{tensor({{0.3, -0.7}}, DType::float64)};

  nn::Parameters parameters() const { return {a, b}; }
  Tensor loss() const {
    const Tensor scale = tensor({1.0, 0.5, 3.0}, a.dtype());
    return sum(square(a.value()) * scale) / 2.0 + sum(sine(b.value() * 3.0)) * slice(a.value(), {0});
  }
  /// sin(x), for which there is no operator, by its Taylor series up to x^33: exact in float64 for |x| < 4.
  static Tensor sine(const Tensor& x) {
    Tensor result = zeros_like(x);
    double factorial = 1.0;
    for (int n = 1; n <= 33; n += 2) {
      result = result + pow(x, n) * ((n % 4 == 1 ? 1.0 : -1.0) / factorial);
      factorial *= (n + 1.0) * (n + 2.0);
    }
    return result;
  }
};

template <class Optimizer, class Options>
void follows(const char* source, const Options& options, const std::vector<double>& expected) {
  CAPTURE(source);
  Problem problem;
  Optimizer optimizer(problem.parameters(), options);
  for (int i = 0; i < 5; ++i) optimizer.step(gradients(problem.loss(), problem.parameters()));
  std::vector<double> values = problem.a.value().to_vector<double>();
  for (const double v : problem.b.value().to_vector<double>()) values.push_back(v);
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(values[i] - expected[i]) <= 1e-12);
  }
}

}  // namespace

TEST_SUITE_BEGIN("optimizers");

TEST_CASE("SGD follows PyTorch") {
  follows<nn::SGD>(
      "SGD(lr=0.1)", nn::SGDOptions{.learning_rate = 0.1},
      {1.130771015280205, -1.547561875, 0.08403499999999998, -0.5218344037182642, -0.5236089226076173});
  follows<nn::SGD>(
      "SGD(lr=0.1, weight_decay=0.2)", nn::SGDOptions{.learning_rate = 0.1, .weight_decay = 0.2},
      {1.05604812506087, -1.3913767386, 0.07269667839999998, -0.5087891316984285, -0.5118107602371735});
  follows<nn::SGD>("SGD(lr=0.1, momentum=0.9)", nn::SGDOptions{.learning_rate = 0.1, .momentum = 0.9},
                   {0.9029142657075773, -0.8343118749999999, -0.38914000000000004, -1.1159754197798548,
                    -0.5708921246589382});
  follows<nn::SGD>(
      "SGD(lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01)",
      nn::SGDOptions{.learning_rate = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.01},
      {0.7859108688205373, -1.1819954254988685, -0.3235559900214157, -1.0674902905441794,
       -0.3584025096898412});
  follows<nn::SGD>(
      "SGD(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)",
      nn::SGDOptions{.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true},
      {1.3864117843692196, -0.6103903783943717, -0.17313213093511082, -0.4604000616976253,
       -0.5245217994730117});
}

TEST_CASE("Adam follows PyTorch") {
  follows<nn::Adam>("Adam(lr=0.1)", nn::AdamOptions{.learning_rate = 0.1},
                    {0.6660517446438137, -1.5029557851889337, 0.027814449650564482, -0.20035769558255873,
                     -0.40392924460827967});
  follows<nn::Adam>(
      "Adam(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)",
      nn::AdamOptions{
          .learning_rate = 0.05, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = 0.1},
      {0.7708695312246968, -1.751195565711924, 0.25575733900165576, 0.04842743156185888,
       -0.4849118648418154});
}

TEST_CASE("AdamW follows PyTorch") {
  follows<nn::AdamW>("AdamW(lr=0.1)", nn::AdamWOptions{.learning_rate = 0.1},
                     {0.6631198002663511, -1.4940456979496752, 0.026528200137138663, -0.20082014208401855,
                      -0.4030772913324061});
  follows<nn::AdamW>(
      "AdamW(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)",
      nn::AdamWOptions{
          .learning_rate = 0.05, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = 0.3},
      {0.7158008706757408, -1.6137068320231278, 0.22782776065528565, 0.034224152120042504,
       -0.4590401716872279});
}

TEST_CASE("a step leaves constants behind: no graph, same shapes, still variables") {
  Problem problem;
  nn::SGD sgd(problem.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
  sgd.step(gradients(problem.loss(), problem.parameters(), {.create_graph = true}));
  for (const nn::Parameter& p : problem.parameters()) {
    CHECK(p.value().requires_grad());
    CHECK(p.value().made_by() == nullptr);
  }
}

TEST_CASE("values that were taken before a step do not change") {
  Problem problem;
  const Tensor before = problem.a.value();
  nn::SGD sgd(problem.parameters(), {.learning_rate = 0.1});
  sgd.step(gradients(problem.loss(), problem.parameters()));
  CHECK(before.to_vector<double>() == std::vector<double>{1.0, -2.0, 0.5});
  CHECK(problem.a.value().to_vector<double>() != before.to_vector<double>());
}

TEST_CASE("a step that throws changes neither the parameters nor the optimizer") {
  Problem problem;
  Problem twin;
  nn::Adam adam(problem.parameters(), {.learning_rate = 0.1});
  nn::Adam twin_adam(twin.parameters(), {.learning_rate = 0.1});
  const auto both_step = [&] {
    adam.step(gradients(problem.loss(), problem.parameters()));
    twin_adam.step(gradients(twin.loss(), twin.parameters()));
  };
  both_step();
  const Tensors good = gradients(problem.loss(), problem.parameters());
  CHECK_THROWS_WITH_AS(adam.step({good[0]}), doctest::Contains("Adam: 1 gradients for 2 parameters"),
                       ValueError);
  CHECK_THROWS_WITH_AS(adam.step({good[0], sum(good[1])}),
                       doctest::Contains("Adam: gradient 1 is float64[], its parameter is float64[1, 2] "
                                         "(optimizers_test.cpp:"),
                       ShapeError);
  CHECK_THROWS_AS(adam.step({cast(good[0], DType::float32), good[1]}), DTypeError);
  CHECK_THROWS_AS(adam.step({good[0], Tensor()}), GraphError);
  {
    // The second parameter's update fails after the first one's was computed.
    CheckFinite check;
    CHECK_THROWS_AS(adam.step({good[0], full_like(good[1], 1e200)}), ValueError);
  }
  CHECK(problem.a.value().to_vector<double>() == twin.a.value().to_vector<double>());
  both_step();
  CHECK(problem.a.value().to_vector<double>() == twin.a.value().to_vector<double>());
  CHECK(problem.b.value().to_vector<double>() == twin.b.value().to_vector<double>());
}

TEST_CASE("the learning rate can be changed between steps") {
  Problem problem;
  nn::SGD sgd(problem.parameters(), {.learning_rate = 0.1});
  sgd.set_learning_rate(0.0);
  CHECK(sgd.learning_rate() == 0.0);
  sgd.step(gradients(problem.loss(), problem.parameters()));
  CHECK(problem.a.value().to_vector<double>() == std::vector<double>{1.0, -2.0, 0.5});
  CHECK_THROWS_AS(sgd.set_learning_rate(-1.0), ValueError);
  CHECK_THROWS_AS(sgd.set_learning_rate(NAN), ValueError);
}

TEST_CASE("options out of their domain are errors") {
  const nn::Parameters p = Problem().parameters();
  CHECK_THROWS_WITH_AS(nn::SGD({}), doctest::Contains("SGD: there are no parameters to optimize"),
                       ValueError);
  CHECK_THROWS_AS(nn::SGD({p[0], p[1], p[0]}), ValueError);
  CHECK_THROWS_AS(nn::SGD({p[0], nn::Parameter()}), ValueError);
  CHECK_THROWS_AS(nn::SGD(p, {.learning_rate = -0.1}), ValueError);
  CHECK_THROWS_AS(nn::SGD(p, {.momentum = -0.1}), ValueError);
  CHECK_THROWS_AS(nn::SGD(p, {.nesterov = true}), ValueError);
  CHECK_THROWS_AS(nn::SGD(p, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}), ValueError);
  CHECK_THROWS_WITH_AS(nn::Adam(p, {.beta2 = 1.0}), doctest::Contains("Adam: beta2 must be below 1, got 1"),
                       ValueError);
  CHECK_THROWS_WITH_AS(nn::AdamW(p, {.epsilon = -1.0}), doctest::Contains("AdamW: epsilon must be"),
                       ValueError);
}

TEST_CASE("parameters of both floating types may stand side by side") {
  nn::Parameter a(tensor({1.0, 2.0}, DType::float32));
  nn::Parameter b(tensor({1.0, 2.0}, DType::float64));
  nn::Adam adam({a, b}, {.learning_rate = 0.5});
  for (int i = 0; i < 3; ++i) adam.step({ones_like(a), ones_like(b)});
  CHECK(a.dtype() == DType::float32);
  CHECK(b.dtype() == DType::float64);
  for (int i = 0; i < 2; ++i)
    CHECK(a.value().to_vector<float>()[i] == doctest::Approx(b.value().to_vector<double>()[i]));
}

TEST_SUITE_END();
