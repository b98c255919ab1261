#include <doctest/doctest.h>

#include <vector>

#include "autodiff/autodiff.hpp"
#include "nn/nn.hpp"

using namespace wengert;

namespace {

const Tensor xor_x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
const Tensor xor_y = tensor({{0.0}, {1.0}, {1.0}, {0.0}});

template <class Optimizer>
float train_xor(const nn::Module& net, Optimizer& optimizer, int steps) {
  const nn::Parameters parameters = net.parameters();
  const auto loss = [&] { return nn::binary_cross_entropy_with_logits(net(xor_x), xor_y); };
  for (int i = 0; i < steps; ++i) optimizer.step(gradients(loss(), parameters));
  return loss().template item<float>();
}

Tensor focal_loss(const Tensor& logits, const Tensor& labels, double gamma) {
  Tensor log_p = take_along_axis(log_softmax(logits, -1), labels, -1);
  return -mean(pow(1.0 - exp(log_p), gamma) * log_p);
}

}  // namespace

TEST_SUITE_BEGIN("training");

TEST_CASE("one hidden layer learns XOR, with every optimizer") {
  random::seed(1);
  const auto make = [] { return nn::Sequential{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)}; };
  const auto solved = [&](const nn::Sequential& net) {
    const std::vector<float> z = net(xor_x).to_vector<float>();
    return z[0] < 0 && z[1] > 0 && z[2] > 0 && z[3] < 0;
  };
  SUBCASE("SGD") {
    const nn::Sequential net = make();
    nn::SGD sgd(net.parameters(), {.learning_rate = 0.2, .momentum = 0.9, .nesterov = true});
    CHECK(train_xor(net, sgd, 1000) < 0.01f);
    CHECK(solved(net));
  }
  SUBCASE("Adam") {
    const nn::Sequential net = make();
    nn::Adam adam(net.parameters(), {.learning_rate = 0.05});
    CHECK(train_xor(net, adam, 500) < 0.01f);
    CHECK(solved(net));
  }
  SUBCASE("AdamW") {
    const nn::Sequential net = make();
    nn::AdamW adamw(net.parameters(), {.learning_rate = 0.05});
    CHECK(train_xor(net, adamw, 500) < 0.01f);
    CHECK(solved(net));
  }
}

TEST_CASE("a perceptron can't learn XOR: the best it can do is log 2") {
  random::seed(1);
  const nn::Sequential net{nn::Linear(2, 1)};
  nn::Adam adam(net.parameters(), {.learning_rate = 0.05});
  CHECK(train_xor(net, adam, 1000) == doctest::Approx(0.693147).epsilon(1e-4));
}

TEST_CASE("the same seed gives the same network after training") {
  const auto run = [] {
    random::seed(7);
    const nn::Sequential net{nn::Linear(2, 8), nn::Dropout(0.2), nn::Tanh(), nn::Linear(8, 1)};
    nn::Adam adam(net.parameters(), {.learning_rate = 0.05});
    train_xor(net, adam, 50);
    return net.parameters()[0].value().to_vector<float>();
  };
  CHECK(run() == run());
}

TEST_CASE("a focal loss in three lines trains a classifier") {
  random::seed(42);
  // Three clusters in the plane.
  const Tensor labels = random::integers(0, 3, {300});
  const Tensor centres = tensor({{2.0, 0.0}, {-1.0, 1.7}, {-1.0, -1.7}});
  const Tensor x = take(centres, labels) + 0.5 * random::normal({300, 2});
  const nn::Sequential net{nn::Linear(2, 16), nn::ReLU(), nn::Linear(16, 3)};
  nn::Adam adam(net.parameters(), {.learning_rate = 1e-2});
  const float before = focal_loss(net(x), labels, 2.0).item<float>();
  for (int i = 0; i < 200; ++i) adam.step(gradients(focal_loss(net(x), labels, 2.0), net.parameters()));
  CHECK(focal_loss(net(x), labels, 2.0).item<float>() < 0.1f * before);
  CHECK(nn::accuracy(net(x), labels) > 0.95);
}

TEST_SUITE_END();
