// F(x) = sum_i alpha_i sigma(w_i . x + b_i) comes as close to a continuous function as one likes when N
// grows: the largest error on a dense grid against N, for two functions of one variable and one of two.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cmath>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

struct Target {
  const char* name;
  int inputs;
  double (*f)(double x, double y);
};
const Target targets[] = {
    {"sin 4πx + x", 1, [](double x, double) { return std::sin(4 * 3.141592653589793 * x) + x; }},
    {"|3x − 1| with a kink", 1, [](double x, double) { return std::abs(3 * x - 1); }},
    {"sin 2πx cos πy", 2,
     [](double x, double y) { return std::sin(6.283185307179586 * x) * std::cos(3.141592653589793 * y); }}};

// n (or n * n) places of the unit cube and what the function is there.
nn::Dataset sampled(const Target& target, int n) {
  const Tensor x = target.inputs == 2 ? Field::places(0, 1, n, DType::float64)
                                      : expand_dims(linspace(0, 1, n, DType::float64), 1);
  const std::vector<double> flat = x.to_vector<double>();
  std::vector<double> y;
  for (std::size_t i = 0; i < flat.size(); i += static_cast<std::size_t>(target.inputs))
    y.push_back(target.f(flat[i], flat[i + static_cast<std::size_t>(target.inputs) - 1]));
  return {x, expand_dims(from_vector(y), 1)};
}

// The theorem's F: one layer of N sigmoids, and their weighted sum. The steps of the sigmoids start all over
// the cube.
nn::Sequential network(int inputs, int units) {
  nn::Linear hidden(inputs, units, {.dtype = DType::float64}),
      output(units, 1, {.bias = false, .dtype = DType::float64});
  const Tensor w = random::normal({units, inputs}, 0, 4 + units / 4.0, DType::float64);
  hidden.weight.set(w);
  hidden.bias.set(-1.0 * sum(w * random::uniform({units, inputs}, 0, 1, DType::float64), 1));
  return {hidden, nn::Sigmoid(), output};
}

int body(int argc, char** argv) {
  Note note("S7",
            "With enough hidden units, one layer of sigmoids comes within any eps of a continuous function "
            "on the unit cube.",
            "Feed-forward networks, \"Universal approximation theorem\"; Deep neural networks, the same");
  int seeds = 3, steps = 4000, widest = 64;
  note.option("--seeds", seeds, "random starts for each N");
  note.option("--steps", steps, "of training");
  note.option("--units", widest, "the largest N");
  note.start(argc, argv);
  if (note.quick()) seeds = 2, steps = 1500, widest = 16;

  Picture picture("s07_universal_approximation", 2, 680);
  Panel& errors = picture.panel("Largest error on a dense grid", "hidden units N", "largest |F − f|");
  errors.command(
      "set logscale xy\nset xtics (1, 2, 4, 8, 16, 32, 64, 128)\nset key bottom left\nset xrange [0.8:100]");
  errors.command("set yrange [1e-5:5]\nset format y '10^{%L}'");
  const auto mse = [](const Tensor& a, const Tensor& b) { return mean(square(a - b)); };
  int lt = 0;
  Tensor in_2d;
  for (const Target& target : targets) {
    const nn::Dataset train = sampled(target, target.inputs == 1 ? 101 : 21),
                      dense_grid = sampled(target, target.inputs == 1 ? 2001 : 101);
    std::vector<double> sizes, best, all_sizes, all;
    Panel* fits = lt < 2 ? &picture.panel(fmt::format("f(x) = {}", target.name), "x", "f and F") : nullptr;
    if (fits)
      fits->lines("f", dense_grid.x, dense_grid.y, "lc 'black' lw 4")
          .command("set key top right\nset offsets graph 0, graph 0, graph 0.8, graph 0.05");
    for (int units = 1; units <= widest; units *= 2) {
      sizes.push_back(units), best.push_back(1e9);
      Tensor drawn;
      for (int s = 0; s < seeds; ++s) {
        const nn::Sequential net = network(target.inputs, units);
        fit(net, train.x, train.y, mse, steps, 0.03);
        const NoGrad no_grad;
        const Tensor fitted = net(dense_grid.x);
        const double error = largest_difference(fitted, dense_grid.y);
        all_sizes.push_back(units), all.push_back(error);
        if (error < best.back()) best.back() = error, drawn = fitted;
      }
      if (target.inputs == 2) in_2d = drawn;
      if (fits && (units == 2 || units == 4 || units == widest))
        fits->lines(fmt::format("N = {}", units), dense_grid.x, drawn);
      fmt::print("          {:22} N = {:3}: largest error {:.4f}\n", target.name, units, best.back());
    }
    ++lt;
    errors.marks(fmt::format("{} ({}-D)", target.name, target.inputs), sizes, best, fmt::format("lt {}", lt));
    errors.points("", all_sizes, all, fmt::format("lt {} ps 0.35", lt));
    const double eps = note.full_or_quick(0.05, 0.35);
    note.check(fmt::format("{}: there is an N with an error below eps = {}", target.name, eps),
               fmt::format("{:.4f} with N = {}", best.back(), widest), fmt::format("below {}", eps),
               *std::min_element(best.begin(), best.end()) < eps);
    note.check("and the error falls as N grows",
               fmt::format("{:.3f} with N = 1, {:.4f} with N = {}", best.front(), best.back(), widest),
               note.full_or_quick("to a fifth or less", "to 0.7 of it or less"),
               best.back() < note.full_or_quick(0.2, 0.7) * best.front());
  }
  picture.panel(fmt::format("F for N = {}: −1 blue, 0 white, 1 orange", widest), "x", "y")
      .colours({0, 1, 101, in_2d}, -1, 1);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
