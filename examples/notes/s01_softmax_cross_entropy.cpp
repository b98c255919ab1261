// The derivative that the lecture works out by hand over ten slides, dL/dz = y_hat - y, and three losses for
// which nobody wants to do that: one line changes, and the engine's derivative is checked against
// differences.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cmath>

#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

// Every loss takes logits and one-hot (or smoothed) targets [..., K] and gives the sum over the examples.
Tensor cross_entropy(const Tensor& z, const Tensor& y) { return -sum(y * log(softmax(z))); }
Tensor focal(const Tensor& z, const Tensor& y) {
  const Tensor p = softmax(z);
  return -sum(y * square(1.0 - p) * log(p));
}
Tensor smoothed(const Tensor& z, const Tensor& y) {
  return cross_entropy(z, 0.9 * y + 0.1 / static_cast<double>(z.dim(-1)));
}
// Made up: the sum over all classes of log cosh(z_k - z_target + 1), for k other than the target.
Tensor log_cosh_margin(const Tensor& z, const Tensor& y) {
  const Tensor d = z - sum(y * z, -1, true) + 1.0;
  return sum((1.0 - y) * (softplus(2.0 * d) - d - std::log(2.0)));
}

double distance_from_closed_form(const Tensor& z, const Tensor& y) {
  return largest_difference(gradients(cross_entropy(z, y), {z})[0], softmax(z) - y);
}

Tensor targets(std::int64_t m, std::int64_t k) {
  return one_hot(random::integers(0, k, {m}), k, DType::float64);
}

int body(int argc, char** argv) {
  Note note("S1",
            "For softmax with cross-entropy, dL/dz = y_hat - y; for any other loss the engine finds it.",
            "Deep neural networks, \"Backpropagation through softmax and categorical cross-entropy loss\"");
  int seeds = 20;
  note.option("--seeds", seeds, "number of random sizes and batches to try");
  note.start(argc, argv);

  const Tensor z = variable(random::normal({1, 3}, DType::float64)),
               y = tensor({{0.0, 1.0, 0.0}}, DType::float64);
  const Tensor g = gradients(cross_entropy(z, y), {z})[0], y_hat = softmax(z);
  fmt::print("          class        z   y_hat    y   dL/dz (engine)   y_hat - y\n");
  for (int j = 0; j < 3; ++j) {
    const auto at = [&](const Tensor& t) { return t.to_vector<double>()[static_cast<std::size_t>(j)]; };
    fmt::print("          {:5} {:8.4f} {:7.4f} {:4.0f} {:16.12f} {:11.6f}\n", j + 1, at(z), at(y_hat), at(y),
               at(g), at(y_hat) - at(y));
  }
  note.at_most("K = 3, as on the slides: |dL/dz - (y_hat - y)|", distance_from_closed_form(z, y), 1e-12);
  note.at_most(
      "K = 1000",
      distance_from_closed_form(variable(random::normal({1, 1000}, DType::float64)), targets(1, 1000)),
      1e-12);
  double worst = 0;
  for (int s = 0; s < seeds; ++s) {
    random::seed(note.seed() + static_cast<std::uint64_t>(s));
    const std::int64_t m = random::integers(1, 30, {}).item<std::int64_t>();
    const std::int64_t k = random::integers(2, 200, {}).item<std::int64_t>();
    const Tensor logits = variable(random::normal({m, k}, 0, 3, DType::float64));
    worst = std::max(worst, distance_from_closed_form(logits, targets(m, k)));
  }
  note.at_most(fmt::format("{} random K < 200 and batches m < 30", seeds), worst, 1e-12);

  struct Loss {
    const char* name;
    Tensor (*of)(const Tensor&, const Tensor&);
  };
  const Loss losses[] = {{"cross-entropy", cross_entropy},
                         {"focal (gamma 2)", focal},
                         {"label-smoothed (0.1)", smoothed},
                         {"log cosh of logit differences", log_cosh_margin}};

  // The gradient's target entry while the target's logit moves and the two others stay at 0.
  Picture picture("s01_softmax_cross_entropy");
  picture.legend_below(3);
  Panel& panel = picture.panel("What each loss does to the target's logit, K = 3",
                               "the target's logit z_t  (the others are 0)", "∂L/∂z_t");
  panel.command("set yrange [-2.2:1.2]");
  const Tensor at = linspace(-6, 6, 121, DType::float64), labels = broadcast_to(y, {121, 3});
  const Tensor sweep = variable(expand_dims(at, 1) * labels);
  for (const Loss& loss : losses) {
    const Tensor some = random::normal({4, 6}, DType::float64), target = targets(4, 6);
    const GradcheckReport report =
        gradcheck([&](const Tensor& x) { return loss.of(x, target); }, {some}, {.order = 2});
    note.check(fmt::format("{}: first and second derivatives agree with differences", loss.name),
               fmt::format("{} of {} right", report.right, report.checked()), "all",
               bool(report) && report.right == report.checked());
    panel.lines(loss.name, at, sum(gradients(loss.of(sweep, labels), {sweep})[0] * labels, -1));
  }
  const Tensor few = linspace(-6, 6, 13, DType::float64);
  const Tensor at_few = softmax(expand_dims(few, 1) * broadcast_to(y, {13, 3}));
  panel.points("ŷ_t − 1, the closed form", few, slice(at_few, 1, Slice(1)) - 1.0, "pt 6 ps 1 lc 'black'");
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
