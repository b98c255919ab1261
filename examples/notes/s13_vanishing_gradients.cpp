// How large the gradient is at each layer of a deep network, at the start and after some training, and what
// helps: ReLU with He's weights, batch and layer normalization, residual connections.

#include <autodiff/autodiff.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

constexpr std::int64_t width = 50;

struct Kind {
  const char* name;
  nn::Layer (*block)();  // one hidden layer
};
nn::Linear he() { return nn::Linear(width, width, {.weight_init = nn::he_normal, .bias_init = zeros}); }
nn::Linear xavier() {
  return nn::Linear(width, width, {.weight_init = nn::xavier_normal, .bias_init = zeros});
}

const Kind kinds[] = {{"sigmoid",
                       []() -> nn::Layer {
                         return nn::Sequential{xavier(), nn::Sigmoid()};
                       }},
                      {"tanh, Xavier",
                       []() -> nn::Layer {
                         return nn::Sequential{xavier(), nn::Tanh()};
                       }},
                      {"ReLU, He",
                       []() -> nn::Layer {
                         return nn::Sequential{he(), nn::ReLU()};
                       }},
                      {"sigmoid, batch norm",
                       []() -> nn::Layer {
                         return nn::Sequential{xavier(), nn::BatchNorm1d(width), nn::Sigmoid()};
                       }},
                      {"ReLU, layer norm",
                       []() -> nn::Layer {
                         return nn::Sequential{he(), nn::LayerNorm({width}), nn::ReLU()};
                       }},
                      {"sigmoid, layer norm, residual", []() -> nn::Layer {
                         return nn::Residual(nn::Sequential{nn::LayerNorm({width}), xavier(), nn::Sigmoid()});
                       }}};

nn::Sequential network(const Kind& kind, int depth) {
  std::vector<nn::Layer> layers{nn::Linear(40, width)};
  for (int l = 0; l < depth; ++l) layers.push_back(kind.block());
  layers.push_back(nn::Linear(width, 10));
  return nn::Sequential(layers);
}

// Root mean square of the gradient of each hidden layer's weights.
std::vector<double> gradient_by_layer(const nn::Sequential& net, const nn::Dataset& batch) {
  std::vector<nn::Parameter> weights;
  for (const nn::NamedParameter& p : net.named_parameters())
    if (p.parameter.shape() == Shape{width, width}) weights.push_back(p.parameter);
  const Tensors g = gradients(nn::cross_entropy(net(batch.x), batch.y), nn::Parameters(weights));
  std::vector<double> result;
  for (const Tensor& t : g) result.push_back(std::sqrt(mean(square(cast(t, DType::float64))).item<double>()));
  return result;
}

void train(const nn::Sequential& net, const nn::Dataset& data, int steps) {
  nn::SGD sgd(net.parameters(), {.learning_rate = 0.05});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    sgd.step(gradients(loss, net.parameters()));
    return loss;
  });
  for (int i = 0; i < steps; ++i) {
    const nn::Dataset batch = data.range((i * 100) % data.size(), (i * 100) % data.size() + 100);
    step(batch.x, batch.y);
  }
}

int body(int argc, char** argv) {
  Note note(
      "S13",
      "In deep sigmoid networks the gradient vanishes towards the input; initialization, normalization and "
      "residual connections keep it alive.",
      "Multi-layer networks, \"Vanishing gradients\"; Feed-forward networks, \"A rapidly evolving field\"");
  int steps = 200, deepest = 50;
  note.option("--steps", steps, "of training between the two pictures");
  note.option("--depth", deepest, "hidden layers of the deepest network");
  note.start(argc, argv);
  if (note.quick()) steps = 20, deepest = 30;

  const nn::Dataset data = nn::datasets::mnist1d(note.seed()).train, batch = data.range(0, 200);
  Picture picture("s13_vanishing_gradients", 2, 800);
  picture.legend_below(3);
  const char* logarithmic = "set logscale y\nset format y '10^{%L}'\nset yrange [1e-20:1e2]\nset ytics 1e4";
  Panel& start = picture.panel(fmt::format("At the start, {} layers", deepest),
                               "hidden layer, from the input", "gradient (rms)");
  Panel& after =
      picture.panel(fmt::format("After {} steps", steps), "hidden layer, from the input", "gradient (rms)");
  Panel& ratio = picture.panel("First layer over last, at the start", "hidden layers", "ratio of gradients");
  Panel& later = picture.panel(fmt::format("First layer over last, after {} steps", steps), "hidden layers",
                               "ratio of gradients");
  for (Panel* p : {&start, &after, &ratio, &later}) p->command(logarithmic).command("unset key");

  std::vector<double> at_depth;
  for (const Kind& kind : kinds) {
    std::vector<double> depths, first_to_last, trained_ratio;
    for (int depth : {2, 5, 10, 20, 30, 50}) {
      if (depth > deepest) continue;
      const nn::Sequential net = network(kind, depth);
      std::vector<double> layer;
      for (int l = 1; l <= depth; ++l) layer.push_back(l);
      const std::vector<double> before = gradient_by_layer(net, batch);
      train(net, data, steps);
      const std::vector<double> trained = gradient_by_layer(net, batch);
      depths.push_back(depth);
      first_to_last.push_back(before.front() / before.back()),
          trained_ratio.push_back(trained.front() / trained.back());
      if (depth != deepest) continue;
      start.lines(kind.name, layer, before);
      after.lines("", layer, trained);
    }
    ratio.marks("", depths, first_to_last);
    later.marks("", depths, trained_ratio);
    at_depth.push_back(first_to_last.back());
    fmt::print(
        "          {:30} first / last layer: {:.1e} with 2 layers, {:.1e} with {}; after training {:.1e}\n",
        kind.name, first_to_last.front(), first_to_last.back(), deepest, trained_ratio.back());
  }
  const auto claim = [&](std::size_t k, const std::string& expected, bool holds) {
    note.check(
        fmt::format("{}: gradient at the first of {} layers over that at the last", kinds[k].name, deepest),
        fmt::format("{:.1e}", at_depth[k]), expected, holds);
  };
  claim(0, "vanishes: below 10^-10", at_depth[0] < 1e-10);
  for (const std::size_t k : {1u, 2u})
    claim(k, "between 10^-4 and 10^4", at_depth[k] > 1e-4 && at_depth[k] < 1e4);
  claim(3, "a million times that of sigmoid alone", at_depth[3] > 1e6 * at_depth[0]);
  claim(4, "between 10^-3 and 10^3", at_depth[4] > 1e-3 && at_depth[4] < 1e3);
  claim(5, "between 10^-3 and 10^3", at_depth[5] > 1e-3 && at_depth[5] < 1e3);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
