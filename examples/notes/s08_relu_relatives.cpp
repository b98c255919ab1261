// The piecewise linear relatives of ReLU with the derivative the engine gives, at the kink too; what
// saturation does to a deep sigmoid network; and which ReLU units die.

#include <autodiff/autodiff.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

struct Unit {
  const char* name;
  Tensor (*of)(const Tensor&);
  double at_kink;  // the derivative at 0 that the library promises
};
const Unit units[] = {{"ReLU", [](const Tensor& z) { return relu(z); }, 0},
                      {"absolute value", [](const Tensor& z) { return abs(z); }, 0},
                      {"leaky ReLU (0.1)", [](const Tensor& z) { return leaky_relu(z, 0.1); }, 0.1},
                      {"maxout of −z/2, z", [](const Tensor& z) { return maximum(-0.5 * z, z); }, 0.25},
                      {"softplus", [](const Tensor& z) { return softplus(z); }, 0.5}};

Tensor derivative(const Unit& unit, const Tensor& z) { return gradients(sum(unit.of(z)), {z})[0]; }

void kinks(Note& note, Picture& picture) {
  Panel& values = picture.panel("ReLU and relatives", "z", "g(z)");
  Panel& slopes = picture.panel("Derivative by the engine; the dot is z = 0", "z", "g′(z)");
  values.command("set yrange [-0.5:5]\nset key top center");
  slopes.command("set yrange [-1.15:1.3]\nunset key");
  // Steps of 1/100 that come close to 0 from both sides; NaN breaks the line where the derivative jumps.
  const Tensor left = linspace(-3, -1e-9, 151, DType::float64),
               right = linspace(1e-9, 3, 151, DType::float64);
  const Tensor gap = full({1}, std::nan(""), DType::float64), zero = variable(zeros({1}, DType::float64));
  int lt = 0;
  for (const Unit& unit : units) {
    const double at_zero = derivative(unit, zero).item<double>();
    note.check(fmt::format("{}: derivative at 0", unit.name), fmt::format("{:g}", at_zero),
               fmt::format("{:g}", unit.at_kink), at_zero == unit.at_kink);
    const std::string style = fmt::format("lt {}", ++lt);
    values.lines(unit.name, concatenate({left, right}), concatenate({unit.of(left), unit.of(right)}), style);
    slopes.lines("", concatenate({left, gap, right}),
                 concatenate({derivative(unit, variable(left)), gap, derivative(unit, variable(right))}),
                 style);
    slopes.points("", {0}, {at_zero}, style + " pt 7 ps 1");
  }
}

// Losses by epoch of a network of eight hidden layers.
std::vector<double> deep(const nn::Layer& activation, const nn::LinearOptions& options,
                         const nn::Dataset& data, int epochs) {
  const nn::Sequential net = dense({40, 50, 50, 50, 50, 50, 50, 50, 50, 10}, activation, options);
  nn::SGD sgd(net.parameters(), {.learning_rate = 0.05});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    sgd.step(gradients(loss, net.parameters()));
    return loss;
  });
  std::vector<double> losses;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    double total = 0;
    nn::DataLoader loader(data, {.batch_size = 50, .shuffle = true});
    for (auto [x, y] : loader) total += step(x, y).item<float>();
    losses.push_back(total / static_cast<double>(loader.size()));
  }
  return losses;
}

// Share of hidden units that are 0 for every example after training at this rate, in per cent.
double dead(double rate, double bias, const nn::Dataset& data, int steps) {
  const nn::Sequential net =
      dense({40, 100, 100, 10}, nn::ReLU(), {.weight_init = nn::he_normal, .bias_init = zeros});
  for (nn::Parameter p : net.parameters())
    if (p.shape().size() == 1) p.set(full_like(p.value(), bias));
  nn::SGD sgd(net.parameters(), {.learning_rate = rate});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    sgd.step(gradients(loss, net.parameters()));
    return loss;
  });
  for (int i = 0; i < steps; ++i) {
    const nn::Dataset batch = data.range((i * 100) % data.size(), (i * 100) % data.size() + 100);
    step(batch.x, batch.y);
  }
  const Tensor first = net[1](net[0](data.x)), second = net[3](net[2](first));
  const auto silent = [](const Tensor& a) {
    return mean(cast(!(max(a, 0) > 0.0), DType::float64)).item<double>();
  };
  return 50 * (silent(first) + silent(second));
}

int body(int argc, char** argv) {
  Note note("S8", "ReLU's relatives differ at and below the kink; sigmoids saturate; ReLU units can die.",
            "Feed-forward networks, \"ReLU and generalizations\", \"ReLU vs. sigmoid and tanh\", \"ReLU vs. "
            "softplus\"");
  int epochs = 30, steps = 400, starts = 5;
  note.option("--epochs", epochs, "of the deep networks");
  note.option("--steps", steps, "at each learning rate");
  note.option("--starts", starts, "random starts at each learning rate");
  note.start(argc, argv);
  if (note.quick()) epochs = 6, steps = 100, starts = 2;

  Picture picture("s08_relu_relatives", 2, 680);
  kinks(note, picture);

  const nn::Dataset data = nn::datasets::mnist1d(note.seed()).train;
  std::vector<double> epoch, start_loss;
  for (int i = 1; i <= epochs; ++i) epoch.push_back(i), start_loss.push_back(std::log(10.0));
  const std::vector<double> sigmoids = deep(nn::Sigmoid(), {.weight_init = nn::xavier_normal}, data, epochs);
  const std::vector<double> relus = deep(nn::ReLU(), {.weight_init = nn::he_normal}, data, epochs);
  note.check(fmt::format("eight hidden layers after {} epochs: loss with ReLU, with sigmoid", epochs),
             fmt::format("{:.2f}, {:.2f}", relus.back(), sigmoids.back()),
             "ReLU learns (by 0.5 or more), sigmoid stays at log 10 = 2.30",
             relus.back() < 1.8 && sigmoids.back() > 2.25);
  picture.panel("Eight hidden layers on MNIST-1D", "epoch", "training loss")
      .command("set yrange [0:3.6]")
      .lines("sigmoid, Xavier", epoch, sigmoids)
      .lines("ReLU, He", epoch, relus)
      .lines("guessing: log 10", epoch, start_loss, "dt 2 lc 'black'");

  std::vector<double> rates, with_zero, with_tenth;
  for (const double rate : {0.01, 0.03, 0.1, 0.3, 1.0, 3.0}) {
    rates.push_back(rate), with_zero.push_back(0), with_tenth.push_back(0);
    for (int i = 0; i < starts; ++i) {
      with_zero.back() += dead(rate, 0.0, data, steps) / starts;
      with_tenth.back() += dead(rate, 0.1, data, steps) / starts;
    }
    fmt::print("          learning rate {:5.2f}: {:5.1f} % dead from bias 0, {:5.1f} % from bias 0.1\n", rate,
               with_zero.back(), with_tenth.back());
  }
  note.check("dead units at the smallest and at the largest learning rate",
             fmt::format("{:.1f} %, {:.1f} %", with_zero.front(), with_zero.back()),
             "hardly any; a fifth or more", with_zero.front() < 5 && with_zero.back() > 20);
  note.remark(
      "large steps kill units; starting the biases at 0.1, as the lecture advises, makes no large difference "
      "here");
  picture.panel("Units that are 0 for every example", "learning rate", "dead units, %")
      .command("set logscale x\nset yrange [0:75]\nset key top left")
      .marks("bias 0 at the start", rates, with_zero)
      .marks("bias 0.1", rates, with_tenth);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
