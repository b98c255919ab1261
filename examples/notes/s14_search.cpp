// Depth, width and learning rate cannot be found by gradient descent: they are tried out, judged on examples
// kept aside, and the best combination is trained again, longer, and only then shown the test set.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

struct Choice {
  int layers = 0;
  int units = 0;
  double rate = 0;
  double accuracy = -1;  // on the validation set, per cent
};

nn::Sequential network(const Choice& choice) {
  Sizes sizes(static_cast<std::size_t>(choice.layers), choice.units);
  sizes.insert(sizes.begin(), 40), sizes.push_back(10);
  return dense(sizes, nn::ReLU(), {.weight_init = nn::he_normal, .bias_init = zeros});
}

// Trains; the accuracy on `judge`.
double train(const nn::Sequential& net, const Choice& choice, const nn::Dataset& data,
             const nn::Dataset& judge, int epochs) {
  nn::Adam adam(net.parameters(), {.learning_rate = choice.rate});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    adam.step(gradients(loss, net.parameters()));
    return loss;
  });
  for (auto [x, y] : nn::DataLoader(data, {.batch_size = 100, .shuffle = true, .epochs = epochs})) step(x, y);
  const NoGrad no_grad;
  return 100 * nn::accuracy(net(judge.x), judge.y);
}

int body(int argc, char** argv) {
  Note note("S14", "Depth and width are hyperparameters: chosen before training, by search.",
            "Deep networks (after Prince, ch. 4), \"Hyperparameters\"");
  int epochs = 15, longer = 40;
  std::vector<int> depths{1, 2, 3, 4}, widths{10, 30, 100, 200};
  std::vector<double> rates{1e-3, 3e-3, 1e-2};
  note.option("--epochs", epochs, "for each combination");
  note.option("--longer", longer, "epochs for the best one");
  note.option("--depths", depths, "hidden layers to try");
  note.option("--widths", widths, "units a layer to try");
  note.option("--rates", rates, "learning rates to try");
  note.start(argc, argv);
  if (note.quick()) epochs = 2, longer = 6, depths = {1, 2}, widths = {10, 50}, rates = {3e-3, 1e-2};

  const nn::Split split = nn::datasets::mnist1d(note.seed());
  const nn::Dataset data = split.train.range(0, 3200), kept_aside = split.train.range(3200, 4000);
  Choice best, worst{.accuracy = 101};
  std::vector<double> by_size;  // the best rate's accuracy, a row for each depth
  fmt::print("          layers  units   rate: validation accuracy, %\n");
  for (const int layers : depths)
    for (const int units : widths) {
      fmt::print("          {:6} {:6} ", layers, units);
      double top = 0;
      for (const double rate : rates) {
        Choice choice{layers, units, rate};
        choice.accuracy = train(network(choice), choice, data, kept_aside, epochs);
        fmt::print("  {:g}: {:4.1f}", rate, choice.accuracy);
        if (choice.accuracy > best.accuracy) best = choice;
        if (choice.accuracy < worst.accuracy) worst = choice;
        top = std::max(top, choice.accuracy);
      }
      by_size.push_back(top);
      fmt::print("\n");
    }
  const auto text = [](const Choice& c) {
    return fmt::format("{} layers of {}, rate {:g}", c.layers, c.units, c.rate);
  };
  note.check(fmt::format("best of {} combinations ({}) against the worst ({})",
                         depths.size() * widths.size() * rates.size(), text(best), text(worst)),
             fmt::format("{:.1f} % against {:.1f} %", best.accuracy, worst.accuracy),
             "the choice matters: 5 points or more", best.accuracy - worst.accuracy >= 5);
  const double tested = train(network(best), best, split.train, split.test, longer);
  note.at_least(fmt::format("{}, trained again on all 4000 for {} epochs: test accuracy", text(best), longer),
                tested, note.full_or_quick(58.0, 30.0), "%");

  std::vector<std::string> columns, rows;
  for (const int units : widths) columns.push_back(fmt::format("{}", units));
  for (const int layers : depths) rows.push_back(fmt::format("{}", layers));
  Picture picture("s14_search", 1, 380);
  picture
      .panel(
          fmt::format("Validation accuracy, % (best of {} learning rates, {} epochs)", rates.size(), epochs),
          "units a layer", "hidden layers")
      .table(columns, rows, by_size, "%.1f");
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
