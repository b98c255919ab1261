// One neuron cuts the plane by one line, and no line separates XOR; one hidden layer does. One row at a time
// of a truth table, the best that each neuron reached in several runs, and the decision regions.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <string>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

const Tensor& inputs() {
  static const Tensor x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  return x;
}
const Tensor& targets() {
  static const Tensor y = tensor({{0.0}, {1.0}, {1.0}, {0.0}});
  return y;
}

// Corners on the right side of 1/2.
template <class Model>
int right(const Model& net) {
  return sum(cast((net(inputs()) > 0.5) == (targets() > 0.5), DType::int64)).template item<int>();
}

// F. Rosenblatt's rule, 1958: add the wrongly classified input, or take it away. Its step has no derivative
// to use.
struct Perceptron {
  Tensor w = random::normal({2, 1}), b = random::normal({1});
  Tensor operator()(const Tensor& x) const { return cast(matmul(x, w) + b >= 0.0, DType::float32); }
  int train(int steps) {
    int best = 0;
    for (int step = 0; step < steps; ++step) {
      const Tensor x = slice(inputs(), {Slice(step % 4, step % 4 + 1)}),
                   y = slice(targets(), {Slice(step % 4, step % 4 + 1)});
      const Tensor error = y - (*this)(x);
      w = w + matmul(transpose(x), error), b = b + squeeze(error, 0);
      best = std::max(best, right(*this));
    }
    return best;
  }
};

// Adam on the squared error; the most corners that were right at any time.
int train(const nn::Sequential& net, int steps) {
  nn::Adam adam(net.parameters(), {.learning_rate = 0.03});
  int best = 0;
  for (int step = 0; step < steps; ++step) {
    adam.step(gradients(mean(square(net(inputs()) - targets())), net.parameters()));
    if (step % 20 == 19) best = std::max(best, right(net));
  }
  return best;
}

template <class Model>
void draw(Picture& picture, const std::string& title, const Model& net, bool legend = false) {
  constexpr int n = 121;
  const Field field{-0.5, 1.5, n, net(Field::places(-0.5, 1.5, n, DType::float32))};
  picture.panel(title, "x_1", "x_2")
      .command("set xtics 1\nset ytics 1")
      .colours(field, 0, 1)
      .contour(legend ? "output 1/2" : "", field, 0.5, "lc 'black'")
      .points(legend ? "XOR = 0" : "", {0, 1}, {0, 1}, "lt 1 ps 1.6")
      .points(legend ? "XOR = 1" : "", {0, 1}, {1, 0}, "lt 2 ps 1.6");
}

int body(int argc, char** argv) {
  Note note("S3", "No single neuron represents XOR, whatever its activation; one hidden layer does.",
            "Feed-forward networks, \"Perceptron vs. logistic neuron\"");
  int runs = 10, hidden = 4;
  note.option("--runs", runs, "from random starts, of each neuron");
  note.option("--hidden", hidden, "units of the hidden layer");
  note.start(argc, argv);
  const int steps = note.full_or_quick(1500, 300);

  Perceptron perceptron;
  int best = perceptron.train(steps);
  for (int i = 1; i < runs; ++i) best = std::max(best, Perceptron().train(steps));
  note.check("a perceptron", fmt::format("at best {} of 4 right in {} runs", best, runs), "at most 3",
             best <= 3);

  nn::Sequential logistic{nn::Linear(2, 1), nn::Sigmoid()};
  const auto single = [&](const std::string& name, const nn::Layer& activation) {
    int most = 0;
    for (int i = 0; i < runs; ++i)
      most = std::max(most, train(nn::Sequential{nn::Linear(2, 1), activation}, steps));
    note.check("a " + name + " neuron", fmt::format("at best {} of 4 right in {} runs", most, runs),
               "at most 3", most <= 3);
  };
  single("logistic", nn::Sigmoid());
  single("ReLU", nn::ReLU());
  single("tanh", nn::Tanh());
  train(logistic, steps);

  const nn::Sequential net{nn::Linear(2, hidden), nn::Tanh(), nn::Linear(hidden, 1), nn::Sigmoid()};
  train(net, 1500);
  note.check(fmt::format("one hidden layer of {} tanh units", hidden),
             fmt::format("{} of 4 right", right(net)), "4", right(net) == 4);
  note.at_most("and its outputs are close to 0 and 1: the largest error",
               largest_difference(net(inputs()), targets()), 0.1);

  Picture picture("s03_xor", 3, 300);
  picture.legend_below(1);
  draw(picture, "A perceptron", perceptron, true);
  draw(picture, "A logistic neuron (1/2 throughout)", logistic);
  draw(picture, fmt::format("{} hidden tanh units", hidden), net);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
