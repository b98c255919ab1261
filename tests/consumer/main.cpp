// A user's program: one training step, through public headers only.
#include <autodiff/autodiff.hpp>
#include <nn/nn.hpp>

using namespace wengert;

int main() {
  random::seed(1);
  nn::Sequential net{nn::Linear(2, 3), nn::Tanh(), nn::Linear(3, 1)};
  nn::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  const Tensor x = random::normal({4, 2});
  const auto loss = [&] { return mean(square(net(x))); };
  const float before = loss().item<float>();
  sgd.step(gradients(loss(), net.parameters()));
  const float after = loss().item<float>();
  fmt::print("loss {} -> {}\n", before, after);
  return after < before ? 0 : 1;
}
