// One neuron cannot compute XOR, whatever its activation; one hidden layer can. Both are trained, and the
// decision picture is written as xor.svg (folder: first argument, default: the current one).
//
// Why one neuron cannot: f rises, so it separates by a line. A line with (1,0) and (0,1) above it and (0,0)
// below has w1 + b > 0, w2 + b > 0, b <= 0; the sum of the first two, less the third, puts (1,1) above too.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <nn/nn.hpp>

#include "examples/common/claims.hpp"
#include "examples/common/picture.hpp"

using namespace wengert;
using namespace examples;

namespace {

const Tensor& inputs() {
  static const Tensor x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  return x;
}
const Tensor& targets() {
  static const Tensor t = tensor({{0.0}, {1.0}, {1.0}, {0.0}});
  return t;
}

using Network = std::function<Tensor(const Tensor&)>;

// How many of the four corners end on the right side of one half.
int right(const Network& net) {
  const NoGrad no_grad;
  return static_cast<int>(sum((net(inputs()) > 0.5) == (targets() > 0.5)).item<std::int64_t>());
}

// Rosenblatt's rule: on a mistake, w += (t - y) x. It finds every line that exists.
int perceptron(std::uint64_t seed) {
  const std::vector<float> start = random::Generator(seed).normal({3}).to_vector<float>();
  double w[] = {start[0], start[1], start[2]};
  const auto fires = [&](int i) { return w[0] * (i >> 1) + w[1] * (i & 1) + w[2] >= 0; };
  const auto correct = [&] {
    int n = 0;
    for (int i = 0; i < 4; ++i) n += fires(i) == (i == 1 || i == 2);
    return n;
  };
  int best = 0;
  for (int step = 0; step < 4000; ++step) {
    const int i = step % 4, error = (i == 1 || i == 2) - fires(i);
    w[0] += error * (i >> 1), w[1] += error * (i & 1), w[2] += error;
    best = std::max(best, correct());
  }
  return best;
}

// Trains on the squared error; the most corners that were right at any time.
template <class Model>
int train(Model& net, int steps) {
  nn::Adam adam(net.parameters(), {.learning_rate = 0.03});
  int best = 0;
  for (int step = 0; step < steps; ++step) {
    adam.step(gradients(mean(square(net(inputs()) - targets())), net.parameters()));
    if (step % 20 == 19) best = std::max(best, right([&](const Tensor& x) { return net(x); }));
  }
  return best;
}

Field field(const std::string& title, const Network& net) {
  return {title,
          [net](const std::vector<std::pair<double, double>>& places) {
            std::vector<float> flat;
            for (auto [x, y] : places)
              flat.push_back(static_cast<float>(x)), flat.push_back(static_cast<float>(y));
            const auto count = static_cast<std::int64_t>(places.size());
            const std::vector<float> v = net(from_span<float>(flat, {count, 2})).to_vector<float>();
            return std::vector<double>(v.begin(), v.end());
          },
          -0.5,
          1.5,
          {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}}};
}

int body(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  Claims claims;
  constexpr int runs = 10;

  int best = 0;
  for (int seed = 0; seed < runs; ++seed) best = std::max(best, perceptron(static_cast<std::uint64_t>(seed)));
  claims.check("a perceptron cannot represent XOR",
               fmt::format("at best {} of 4 right in {} runs", best, runs), "at most 3", best <= 3);

  random::seed(7);
  nn::Sequential logistic{nn::Linear(2, 1), nn::Sigmoid()};
  const auto single = [&](const std::string& name, auto make) {
    int most = 0;
    for (int i = 0; i < runs; ++i) {
      nn::Sequential net{nn::Linear(2, 1), make()};
      most = std::max(most, train(net, 400));
    }
    claims.check("a " + name + " neuron cannot represent XOR",
                 fmt::format("at best {} of 4 right in {} runs", most, runs), "at most 3", most <= 3);
  };
  single("logistic", [] { return nn::Sigmoid(); });
  single("ReLU", [] { return nn::ReLU(); });
  single("tanh", [] { return nn::Tanh(); });
  train(logistic, 400);

  nn::Sequential hidden{nn::Linear(2, 4), nn::Tanh(), nn::Linear(4, 1), nn::Sigmoid()};
  train(hidden, 1500);
  const Network net = [&](const Tensor& x) { return hidden(x); };
  claims.check("one hidden layer of 4 tanh neurons can", fmt::format("{} of 4 right", right(net)), "4",
               right(net) == 4);
  const double error = largest_difference(net(inputs()), targets());
  claims.at_most("and its outputs are close to 0 and 1: the largest error", error, 0.1);

  const std::string path = folder + "/xor.svg";
  write_file(path,
             svg(std::vector<Field>{field("a logistic neuron", [&](const Tensor& x) { return logistic(x); }),
                                    field("one hidden layer", net)}));
  fmt::print("picture   xor.svg\n");
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
