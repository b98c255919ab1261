// Four networks of about 15,000 parameters and one to four hidden layers learn random labels by heart, by
// gradient descent on all examples at once: He's weights, no momentum, no regularization. Which one needs the
// fewest epochs?
//
// The lecture's run takes hours:
//     s12_random_labels --examples 4000 --rate 0.0025 --epochs 400000

#include <autodiff/autodiff.hpp>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

struct Model {
  int layers;
  int units;
  long long parameters;
};
// S. Prince, Understanding Deep Learning, 2023, figure 20.2.
const Model models[] = {{1, 298, 15208}, {2, 100, 15210}, {3, 75, 15235}, {4, 63, 15319}};

nn::Sequential network(const Model& model) {
  Sizes sizes(static_cast<std::size_t>(model.layers), model.units);
  sizes.insert(sizes.begin(), 40), sizes.push_back(10);
  return dense(sizes, nn::ReLU(), {.weight_init = nn::he_normal, .bias_init = zeros});
}

struct Curve {
  std::vector<double> epoch, error;  // per cent
  int zero = 0;                      // the first epoch without an error, of those looked at
};

Curve train(const nn::Sequential& net, const nn::Dataset& data, double rate, int epochs) {
  nn::SGD sgd(net.parameters(), {.learning_rate = rate});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    sgd.step(gradients(loss, net.parameters()));
    return loss;
  });
  Curve curve;
  constexpr int every = 10;
  for (int epoch = 0; epoch <= epochs && curve.zero == 0; ++epoch) {
    if (epoch % every == 0) {
      const NoGrad no_grad;
      curve.epoch.push_back(epoch), curve.error.push_back(100 * (1 - nn::accuracy(net(data.x), data.y)));
      if (curve.error.back() == 0) curve.zero = epoch;
    }
    step(data.x, data.y);
  }
  return curve;
}

int body(int argc, char** argv) {
  Note note("S12",
            "Networks of 1 to 4 hidden layers with about the same number of parameters fit random labels; "
            "deeper ones in "
            "fewer epochs.",
            "Deep networks (after Prince, fig. 20.2), \"Fitting and generalization\"");
  int examples = 1500, epochs = 20000;
  double rate = 0.05;
  note.option("--examples", examples, "of MNIST-1D, with random labels");
  note.option("--epochs", epochs, "at the most");
  note.option("--rate", rate, "learning rate");
  note.start(argc, argv);
  if (note.quick()) examples = 200, epochs = 2500;

  for (const Model& model : models)
    note.equal(fmt::format("parameters of {} layer{} of {}", model.layers, model.layers == 1 ? "" : "s",
                           model.units),
               network(model).parameter_count(), model.parameters);
  note.remark("the lecture's 15,139 for the last one is a misprint: 40-63-63-63-63-10 has 15,319");

  const nn::Dataset all = nn::datasets::mnist1d(note.seed()).train;
  const nn::Dataset data(slice(all.x, {Slice(0, examples)}), random::integers(0, 10, {examples}));
  Picture picture("s12_random_labels");
  Panel& panel =
      picture.panel(fmt::format("{} examples with random labels, learning rate {}", examples, rate), "epoch",
                    "training error, %");
  panel.command("set yrange [0:95]\nset logscale x\nset xrange [10:*]\nset format x '10^{%L}'");
  std::vector<int> zero;
  for (const Model& model : models) {
    const Curve curve = train(network(model), data, rate, epochs);
    zero.push_back(curve.zero);
    panel.lines(fmt::format("{} layer{} of {}", model.layers, model.layers == 1 ? "" : "s", model.units),
                curve.epoch, curve.error);
    note.check(fmt::format("{} hidden layer{}: training error falls to 0", model.layers,
                           model.layers == 1 ? "" : "s"),
               curve.zero > 0 ? fmt::format("0 in epoch {}", curve.zero)
                              : fmt::format("{:.1f} % after {} epochs", curve.error.back(), epochs),
               "0", curve.zero > 0);
  }
  bool fewer = true;
  for (std::size_t i = 1; i < zero.size(); ++i) fewer = fewer && zero[i] < zero[i - 1];
  note.check(
      note.quick() ? "four layers need fewer epochs than one" : "each further layer needs fewer epochs",
      fmt::format("{}", fmt::join(zero, ", ")), "falling", note.quick() ? zero.back() < zero.front() : fewer);
  if (examples < 4000 || rate > 0.0025)
    note.remark(
        fmt::format("shortened: {} of the 4000 examples and a learning rate of {} instead of 0.0025, so that "
                    "thousands of "
                    "epochs are enough instead of hundreds of thousands",
                    examples, rate));
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
