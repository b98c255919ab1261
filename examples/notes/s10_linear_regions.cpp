// How many linear regions a deep network can have by the formulas, and how many it has: counted along the
// line of a single input and along random lines through ten inputs, before and after training, at the same
// number of parameters for each depth.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"
#include "examples/notes/common/regions.hpp"

using namespace wengert;
using namespace examples;

namespace {

// Logarithm to base 10 of (floor(D / n) + 1)^(n (K - 1)) * sum_{j <= n} C(D, j), for n inputs and K layers of
// D units; for n = 1 it is (D + 1)^K. G. Montufar et al., On the number of linear regions of deep neural
// networks, 2014.
double log10_bound(int inputs, int layers, int units) {
  double binomial = 1, total = 1;
  for (int j = 1; j <= inputs; ++j) total += binomial *= static_cast<double>(units - j + 1) / j;
  return inputs * (layers - 1) * std::log10(units / inputs + 1) + std::log10(total);
}

Sizes sizes_of(int inputs, int layers, int units) {
  Sizes sizes(static_cast<std::size_t>(layers), units);
  sizes.insert(sizes.begin(), inputs);
  sizes.push_back(1);
  return sizes;
}
std::int64_t count(const Sizes& sizes) {
  std::int64_t total = 0;
  for (std::size_t l = 1; l < sizes.size(); ++l) total += (sizes[l - 1] + 1) * sizes[l];
  return total;
}
// The width for which a network of that depth has just no fewer parameters.
int width(int inputs, int layers, std::int64_t parameters) {
  int units = 1;
  while (count(sizes_of(inputs, layers, units)) < parameters) ++units;
  return units;
}

// A wave in one input, a sum of waves in several.
Tensor wave(const Tensor& x) {
  std::vector<double> y(static_cast<std::size_t>(x.dim(0)));
  const std::vector<float> flat = x.to_vector<float>();
  const std::size_t n = flat.size() / y.size();
  for (std::size_t i = 0; i < flat.size(); ++i)
    y[i / n] += std::sin(8.0 * flat[i] / std::sqrt(double(n))) / std::sqrt(double(n));
  return cast(expand_dims(from_vector(y), 1), DType::float32);
}

void train(const nn::Sequential& net, int inputs, int steps) {
  const Tensor x = random::uniform({400, inputs}, -1, 1), y = wave(x);
  fit(
      net, x, y, [](const Tensor& a, const Tensor& b) { return mean(square(a - b)); }, steps, 3e-3);
}

// Mean and largest number of pieces along random lines through the cube [-1, 1]^n.
struct Met {
  double mean = 0, largest = 0;
};
Met met(nn::Sequential net, int inputs, int lines) {
  net.to(DType::float64);
  Met result;
  for (int i = 0; i < lines; ++i) {
    const Tensor a =
        inputs == 1 ? -1.0 * ones({1}, DType::float64) : random::uniform({inputs}, -1, 1, DType::float64);
    const Tensor b =
        inputs == 1 ? ones({1}, DType::float64) : random::uniform({inputs}, -1, 1, DType::float64);
    const double n = static_cast<double>(pieces(net, a, b - a, 0, 1).size());
    result.mean += n / lines, result.largest = std::max(result.largest, n);
  }
  net.to(DType::float32);
  return result;
}

int body(int argc, char** argv) {
  Note note("S10",
            "Depth multiplies the linear regions that a number of parameters can make; what networks have is "
            "far below "
            "the bound.",
            "Deep networks (after Prince, ch. 4), \"Number of linear regions per parameter\"");
  int nets = 4, lines = 20, steps = 1000;
  note.option("--nets", nets, "random starts for each depth");
  note.option("--lines", lines, "random lines for each network with ten inputs");
  note.option("--steps", steps, "of training");
  note.start(argc, argv);
  if (note.quick()) nets = 2, lines = 2, steps = 100;

  note.equal("parameters, 5 layers of 10, 1 input", dense(sizes_of(1, 5, 10), nn::ReLU()).parameter_count(),
             471);
  note.equal("parameters, 5 layers of 50, 10 inputs",
             dense(sizes_of(10, 5, 50), nn::ReLU()).parameter_count(), 10801);
  note.equal("bound (D + 1)^K for 1 input and 5 layers of 10",
             std::llround(std::pow(10, log10_bound(1, 5, 10))), 161'051);
  note.remark("the lecture's 161,501 has two digits the wrong way round: 11^5 = 161,051");
  note.check("the same bound for 1 input and 5 layers of 50",
             fmt::format("{}", std::llround(std::pow(51.0, 5))), "more than 10^8", log10_bound(1, 5, 50) > 8);
  note.check("bound for 10 inputs and 5 layers of 50: (50/10 + 1)^40 times the sum of C(50, j), j <= 10",
             fmt::format("10^{:.1f}", log10_bound(10, 5, 50)), "more than 10^40",
             log10_bound(10, 5, 50) > 40);

  Picture picture("s10_linear_regions", 2, 420);
  picture.legend_below(1);
  double most[2] = {};
  bool within = true;
  for (const auto& [inputs, parameters] : {std::pair{1, 471}, std::pair{10, 10801}}) {
    Panel& panel =
        picture.panel(fmt::format("{} input{}, {} parameters", inputs, inputs == 1 ? "" : "s", parameters),
                      "hidden layers", "linear regions along a line");
    panel.command(
        "set logscale y\nset format y '10^{%L}'\nset yrange [1:1e10]\nset xrange [0.7:6.3]\nset xtics "
        "1\nunset key");
    std::vector<double> depth, bound, before, after;
    fmt::print("          {} input(s)  layers  units  regions met: untrained  trained (largest)     bound\n",
               inputs);
    for (int layers = 1; layers <= 6; ++layers) {
      const int units = width(inputs, layers, parameters);
      Met start, end;
      for (int i = 0; i < nets; ++i) {
        const nn::Sequential net =
            dense(sizes_of(inputs, layers, units), nn::ReLU(), {.weight_init = nn::he_normal});
        const Met a = met(net, inputs, inputs == 1 ? 1 : lines);
        train(net, inputs, steps);
        const Met b = met(net, inputs, inputs == 1 ? 1 : lines);
        start.mean += a.mean / nets, start.largest = std::max(start.largest, a.largest);
        end.mean += b.mean / nets, end.largest = std::max(end.largest, b.largest);
      }
      const double limit = log10_bound(1, layers, units);  // a line is a single input
      depth.push_back(layers), bound.push_back(std::pow(10, limit));
      before.push_back(start.mean), after.push_back(end.mean);
      const double largest = std::max(start.largest, end.largest);
      within = within && std::log10(largest) <= limit;
      if (layers == 5) most[inputs == 1 ? 0 : 1] = largest;
      fmt::print("          {:18} {:6} {:23.1f} {:8.1f} {:8.0f}    10^{:.1f}\n", layers, units, start.mean,
                 end.mean, end.largest, limit);
    }
    panel.lines("bound (D + 1)^K", depth, bound, "dt 2 lc 'black'")
        .marks("untrained", depth, before)
        .marks("trained", depth, after);
  }
  note.check("no network has more regions than (D + 1)^K", within ? "none" : "some", "none", within);
  note.check("5 layers of 10, 1 input: most regions met, out of 161,051", fmt::format("{:.0f}", most[0]),
             "far fewer: below 1 %", most[0] < 1610);
  note.check("5 layers of 50, 10 inputs: most met along a line, out of 345,025,251",
             fmt::format("{:.0f}", most[1]), "far fewer: below 1 %", most[1] < 3.4e6);
  note.remark(
      "the bound is not reached: networks, trained or not, have up to about as many regions along a line as "
      "they "
      "have units, so that with equal parameters one wide layer meets the most");
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
