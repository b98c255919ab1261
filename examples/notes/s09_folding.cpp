// Two networks of three ReLU units, one after the other: the first folds [-1, 1] three times, so that the
// second's three regions appear nine times. A shallow network with about as many parameters has at most
// seven.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"
#include "examples/notes/common/regions.hpp"

using namespace wengert;
using namespace examples;

namespace {

const nn::LinearOptions in_double{.dtype = DType::float64};

// y = phi_0 + sum_i phi_i relu(theta_i0 + theta_i1 x)
nn::Sequential shallow(int units) { return dense({1, units, 1}, nn::ReLU(), in_double); }
const nn::Linear& linear(const nn::Sequential& net, std::size_t l) {
  return dynamic_cast<const nn::Linear&>(net[l]);
}

// Slopes and intercepts that fold [-1, 1] onto itself: 1, -1, 1, -1 at x = -1, -1/3, 1/3, 1.
nn::Sequential folding() {
  const nn::Sequential net = shallow(3);
  nn::Parameters p = net.parameters();
  const double values[4][3] = {{1, 1, 1}, {1, 1 / 3.0, -1 / 3.0}, {-3, 6, -6}, {1}};
  for (std::size_t i = 0; i < 4; ++i) {
    nn::Parameter parameter = p[i];
    parameter.set(
        from_span<double>({values[i], static_cast<std::size_t>(parameter.size())}, parameter.shape()));
  }
  return net;
}

nn::Sequential composition(const nn::Sequential& first, const nn::Sequential& second) {
  return {linear(first, 0), nn::ReLU(), linear(first, 2), linear(second, 0), nn::ReLU(), linear(second, 2)};
}

// The same as one network with two hidden layers: psi = theta'_1 phi, psi_0 = theta'_0 + theta'_1 phi_0.
nn::Sequential merged(const nn::Sequential& first, const nn::Sequential& second) {
  nn::Linear middle(3, 3, in_double);
  const nn::Linear &phi = linear(first, 2), &theta = linear(second, 0);
  middle.weight.set(matmul(theta.weight.value(), phi.weight.value()));
  middle.bias.set(theta.bias.value() +
                  squeeze(matmul(theta.weight.value(), expand_dims(phi.bias.value(), 1)), 1));
  return {linear(first, 0), nn::ReLU(), middle, nn::ReLU(), linear(second, 2)};
}

std::vector<Piece> along(const nn::Sequential& net, double from, double to) {
  return pieces(net, zeros({1}, DType::float64), ones({1}, DType::float64), from, to);
}

// Largest difference of values and of input gradients on a grid.
double difference(const nn::Sequential& a, const nn::Sequential& b) {
  const Tensor x = variable(expand_dims(linspace(-2, 2, 401, DType::float64), 1));
  return std::max(largest_difference(a(x), b(x)),
                  largest_difference(gradients(sum(a(x)), {x})[0], gradients(sum(b(x)), {x})[0]));
}

int body(int argc, char** argv) {
  Note note(
      "S9",
      "Two composed networks of three units make nine regions with 20 parameters; six units side by side "
      "make "
      "at most seven with 19.",
      "Deep networks (after Prince, ch. 4), \"Composing two networks\", \"Combine two networks into one\"");
  int draws = 5000;
  note.option("--draws", draws, "random shallow networks");
  note.start(argc, argv);
  if (note.quick()) draws = std::min(draws, 1000);

  const nn::Sequential first = folding(), second = folding();
  const nn::Sequential composed = composition(first, second), one = merged(first, second);
  const std::vector<Piece> in_first = along(first, -1, 1), in_composed = along(composed, -1, 1);
  fmt::print("          piece of the composition      from      slope\n");
  for (std::size_t i = 0; i < in_composed.size(); ++i)
    fmt::print("          {:24} {:9.5f} {:10.4f}\n", i + 1, in_composed[i].begin, in_composed[i].slope);
  note.equal("regions of one folding network on [-1, 1]", std::ssize(in_first), 3);
  note.equal("regions of the composition", std::ssize(in_composed), 9);
  note.equal("parameters of the two networks", first.parameter_count() + second.parameter_count(), 20);
  note.equal("parameters of six units side by side", shallow(6).parameter_count(), 19);

  std::vector<double> share(16, 0.0), composed_share(16, 0.0);
  double worst = difference(composed, one);
  for (int i = 0; i < draws; ++i) {
    const std::size_t regions = along(shallow(6), -1e6, 1e6).size();
    share.at(regions - 1) += 100.0 / draws;
    const nn::Sequential f = shallow(3), g = shallow(3), both = composition(f, g);
    composed_share.at(along(both, -1e6, 1e6).size() - 1) += 100.0 / draws;
    if (i < 100) worst = std::max(worst, difference(both, merged(f, g)));
  }
  long long largest = 0;
  for (std::size_t i = 0; i < share.size(); ++i)
    if (share[i] > 0) largest = static_cast<long long>(i) + 1;
  note.check(fmt::format("most regions of {} random networks with six units, on the whole line", draws),
             fmt::format("{}", largest), "at most 7", largest <= 7);
  note.at_most(
      "psi = theta' phi: the merged network and the composition differ, in value and slope, for these and "
      "100 "
      "random pairs, by",
      worst, 1e-12);

  note.remark(
      "random compositions rarely have nine: depth makes them possible, training or thought must find them");

  Picture picture("s09_folding", 2, 620);
  const Tensor x = linspace(-1, 1, 601, DType::float64);
  const auto draw = [&](const std::string& title, const nn::Sequential& net, const std::string& y) {
    Panel& panel = picture.panel(title, net.size() == 3 && y == "y′" ? "y" : "x", y);
    panel.command("set yrange [-1.1:1.1]\nset xtics 0.5\nset ytics 0.5").lines("", x, net(expand_dims(x, 1)));
    std::vector<double> at, value;
    for (const Piece& p : along(net, -1, 1)) at.push_back(p.begin);
    at.push_back(1);
    panel.points("", at, net(expand_dims(from_vector(at), 1)), "lt 2 ps 0.9");
  };
  draw("Network 1: three regions", first, "y");
  draw("Network 2: three regions", second, "y′");
  draw("Network 2 after network 1: nine", composed, "y′");
  std::vector<double> number;
  for (std::size_t i = 1; i <= share.size(); ++i) number.push_back(static_cast<double>(i));
  picture
      .panel(fmt::format("{} random networks of each kind", draws), "regions on the whole line",
             "% of the networks")
      .command("set xrange [0:12]\nset xtics 2\nset yrange [0:150]\nset ytics (0, 25, 50, 75, 100)")
      .marks("six units, 19 parameters", number, share)
      .marks("three, then three: 20", number, composed_share);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
