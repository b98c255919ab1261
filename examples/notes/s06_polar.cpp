// The same data three times: a straight line through (x, y) fails, one through (r, theta) works because
// somebody chose the coordinates, and a network finds coordinates of its own.

#include <autodiff/autodiff.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

constexpr double pi = 3.141592653589793, edge = 3;

// A disc around 0 (label 0) in a ring (label 1), with noise.
nn::Dataset ring(int n) {
  const std::vector<double> u = random::uniform({2, n}, DType::float64).to_vector<double>();
  std::vector<double> x, y;
  for (int i = 0; i < n; ++i) {
    const double radius = i % 2 ? 1.7 + u[i] : 1.2 * std::sqrt(u[i]), angle = 2 * pi * u[n + i];
    x.push_back(radius * std::cos(angle)), x.push_back(radius * std::sin(angle)), y.push_back(i % 2);
  }
  return {from_span<double>(x, {n, 2}), from_span<double>(y, {n, 1})};
}

// Engineered by hand: r = sqrt(x^2 + y^2), theta = atan2(y, x).
Tensor polar(const Tensor& x) {
  std::vector<double> flat = x.to_vector<double>();
  for (std::size_t i = 0; i < flat.size(); i += 2) {
    const double r = std::hypot(flat[i], flat[i + 1]), theta = std::atan2(flat[i + 1], flat[i]);
    flat[i] = r, flat[i + 1] = theta;
  }
  return from_span<double>(flat, x.shape());
}

void points(Panel& panel, const Tensor& x, const Tensor& y, bool legend = false) {
  const std::vector<double> flat = x.to_vector<double>(), label = y.to_vector<double>();
  for (const int c : {0, 1}) {
    std::vector<double> px, py;
    for (std::size_t i = 0; i < label.size(); ++i)
      if (label[i] == c) px.push_back(flat[2 * i]), py.push_back(flat[2 * i + 1]);
    panel.points(!legend ? "" : c ? "ring" : "disc", px, py, fmt::format("lt {} ps 0.5", c + 1));
  }
}

int body(int argc, char** argv) {
  Note note("S6",
            "Logistic regression needs polar coordinates made by hand; a network learns features of its own.",
            "Feed-forward networks, \"From Cartesian to polar coordinates\"; Deep neural networks, \"Feature "
            "engineering\"");
  int examples = 400, hidden = 8, steps = 1500;
  note.option("--examples", examples, "in the data set, and as many to test");
  note.option("--hidden", hidden, "tanh units of the network");
  note.option("--steps", steps, "of training");
  note.start(argc, argv);
  if (note.quick()) steps = 400;

  const nn::Dataset train = ring(examples), test = ring(examples);
  const nn::LinearOptions in_double{.dtype = DType::float64};
  const nn::Linear on_xy(2, 1, in_double), on_polar(2, 1, in_double);
  const nn::Sequential net = dense({2, hidden, 1}, nn::Tanh(), in_double);
  fit(on_xy, train.x, train.y, binary_loss, steps, 0.1);
  fit(on_polar, polar(train.x), train.y, binary_loss, steps, 0.1);
  fit(net, train.x, train.y, binary_loss, steps, 0.03);

  const double xy = binary_accuracy(on_xy(test.x), test.y),
               by_hand = binary_accuracy(on_polar(polar(test.x)), test.y),
               learned = binary_accuracy(net(test.x), test.y);
  note.check("logistic regression on (x, y), test accuracy", fmt::format("{:.1f} %", xy), "below 70 %",
             xy < 70);
  note.at_least("logistic regression on (r, theta)", by_hand, 98, "%");
  note.at_least(fmt::format("a network with {} hidden units on (x, y)", hidden), learned, 98, "%");

  Picture picture("s06_polar", 2, 720);
  picture.legend_below(1);
  const Tensor places = Field::places(-edge, edge, 81, DType::float64);
  const auto plane = [&](const std::string& title, const Tensor& logits, bool legend) {
    const Field field{-edge, edge, 81, sigmoid(logits)};
    Panel& panel = picture.panel(title, "x", "y");
    points(panel.colours(field, 0, 1).contour(legend ? "boundary" : "", field, 0.5, "lc 'black'"), test.x,
           test.y, legend);
  };
  plane(fmt::format("Logistic regression on (x, y): {:.0f} %", xy), on_xy(places), true);
  plane(fmt::format("Logistic regression on (r, θ): {:.0f} %", by_hand), on_polar(polar(places)), false);
  plane(fmt::format("Network on (x, y): {:.0f} %", learned), net(places), false);
  // The second boundary where it is straight: w_1 r + w_2 theta + b = 0.
  const std::vector<double> w = on_polar.weight.value().to_vector<double>();
  const double b = on_polar.bias.value().item<double>();
  Panel& straight = picture.panel("The second one where it is straight", "r", "θ, radians");
  straight.command(fmt::format("set size square\nset xrange [0:{}]\nset yrange [-{}:{}]", edge, pi, pi));
  points(straight.lines("", {-(b - w[1] * pi) / w[0], -(b + w[1] * pi) / w[0]}, {-pi, pi}, "lc 'black'"),
         polar(test.x), test.y);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
