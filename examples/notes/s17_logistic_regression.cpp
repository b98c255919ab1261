// Logistic regression, left as bonus points in the lecture: the engine's derivatives against their closed
// forms, and the one optimum of a convex cost reached from several starts.
//
//   p = sigmoid(X w + b),  J = -mean(t log p + (1 - t) log(1 - p)) + (lambda / 2) ||w||^2
//   dJ/dz = (p - t) / m,  dJ/dw = X^T (p - t) / m + lambda w,  dJ/db = mean(p - t)
//   d2J/dw2 = X^T diag(p (1 - p)) X / m + lambda I

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <vector>

#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

// As it is written on paper: no derivative, no rearrangement.
Tensor cost(const Tensor& z, const Tensor& t, const Tensor& w, double lambda) {
  const Tensor p = sigmoid(z);
  return -mean(t * log(p) + (1.0 - t) * log(1.0 - p)) + 0.5 * lambda * sum(square(w));
}

struct Problem {
  Tensor x, t;
};
Problem problem(std::int64_t m, std::int64_t n) {
  const Tensor x = random::normal({m, n}, DType::float64), truth = random::normal({n}, 0, 2, DType::float64);
  return {x, cast(random::uniform({m}, DType::float64) < sigmoid(matmul(x, truth) - 0.5), DType::float64)};
}

int body(int argc, char** argv) {
  Note note(
      "S17",
      "The gradient of logistic regression is X^T (sigma(z) - y) / m, and descent finds the one optimum.",
      "Feed-forward networks, \"Backpropagation: logistic regression\" (bonus points)");
  int seeds = 20, examples = 120;
  double lambda = 0.01;
  note.option("--seeds", seeds, "number of random problems");
  note.option("--examples", examples, "in the picture");
  note.option("--lambda", lambda, "weight decay");
  note.start(argc, argv);

  double worst_z = 0, worst_w = 0, worst_b = 0, worst_h = 0;
  for (int s = 0; s < seeds; ++s) {
    const auto m = random::integers(1, 100, {}).item<std::int64_t>(),
               n = random::integers(1, 9, {}).item<std::int64_t>();
    const auto [x, t] = problem(m, n);
    const Tensor w = variable(random::normal({n}, DType::float64)),
                 b = variable(random::normal({}, DType::float64));
    const Tensor z = matmul(x, w) + b, p = stop_gradient(sigmoid(z));
    auto [dz, dw, db] = gradients<3>(cost(z, t, w, lambda), {z, w, b}, {.create_graph = true});
    const double count = static_cast<double>(m);
    worst_z = std::max(worst_z, largest_difference(dz, (p - t) / count));
    worst_w = std::max(worst_w, largest_difference(dw, matmul(transpose(x), p - t) / count + lambda * w));
    worst_b = std::max(worst_b, largest_difference(db, mean(p - t)));
    Tensors rows;  // row i of the Hessian is the gradient of entry i of the gradient
    for (std::int64_t i = 0; i < n; ++i) rows.push_back(gradients(slice(dw, {Slice(i)}), {w})[0]);
    const Tensor closed =
        matmul(transpose(x), expand_dims(p * (1.0 - p), 1) * x) / count + lambda * eye(n, DType::float64);
    worst_h = std::max(worst_h, largest_difference(stack(rows), closed));
  }
  note.at_most(fmt::format("dJ/dz is (sigma(z) - y) / m, {} random problems", seeds), worst_z, 1e-12);
  note.at_most("dJ/dw is X^T (sigma(z) - y) / m + lambda w", worst_w, 1e-12);
  note.at_most("dJ/db is the mean of sigma(z) - y", worst_b, 1e-12);
  note.at_most("d2J/dw2 is X^T diag(p (1 - p)) X / m + lambda I", worst_h, 1e-12);

  const auto [x, t] = problem(examples, 2);
  const int steps = 3000;
  std::vector<std::vector<double>> costs;
  Tensors ends;
  Tensor w, b;
  for (int start = 0; start < 3; ++start) {
    w = variable(random::normal({2}, 0, 3, DType::float64)),
    b = variable(random::normal({}, 0, 3, DType::float64));
    costs.emplace_back();
    for (int step = 0; step < steps; ++step) {
      const Tensor j = cost(matmul(x, w) + b, t, w, lambda);
      auto [dw, db] = gradients<2>(j, {w, b});
      costs.back().push_back(j.item<double>());
      w = variable(w - 1.0 * dw), b = variable(b - 1.0 * db);
    }
    ends.push_back(concatenate({stop_gradient(w), reshape(stop_gradient(b), {1})}));
  }
  const double best = cost(matmul(x, w) + b, t, w, lambda).item<double>();
  note.at_most("three random starts end at the same w and b",
               std::max(largest_difference(ends[0], ends[1]), largest_difference(ends[0], ends[2])), 1e-6);
  const Tensor rest =
      matmul(transpose(x), sigmoid(matmul(x, w) + b) - t) / static_cast<double>(examples) + lambda * w;
  note.at_most("where the closed-form gradient is zero", largest_difference(rest, zeros({2}, DType::float64)),
               1e-6);

  Picture picture("s17_logistic_regression", 2, 360);
  const double edge = 3.5;
  const Field field{-edge, edge, 41, sigmoid(matmul(Field::places(-edge, edge, 41, DType::float64), w) + b)};
  picture.legend_below(1);
  Panel& plane = picture.panel("The optimum: colours are p(y = 1 | x)", "x_1", "x_2");
  plane.colours(field, 0, 1).contour("p = 1/2", field, 0.5, "lc 'black'");
  for (const int c : {0, 1}) {
    std::vector<double> px, py;
    const std::vector<double> flat = x.to_vector<double>(), label = t.to_vector<double>();
    for (std::size_t i = 0; i < label.size(); ++i)
      if (label[i] == c) px.push_back(flat[2 * i]), py.push_back(flat[2 * i + 1]);
    plane.points(fmt::format("y = {}", c), px, py, c ? "lt 2" : "lt 1");
  }
  Panel& descent = picture.panel("Gradient descent from three starts", "step", "cost − cost at the optimum");
  descent.command("set logscale y\nset format y '10^{%L}'\nset yrange [1e-12:10]\nset xrange [0:120]");
  for (std::size_t k = 0; k < costs.size(); ++k) {
    std::vector<double> step, above;
    for (std::size_t i = 0; i < 120; ++i)
      step.push_back(static_cast<double>(i)), above.push_back(costs[k][i] - best);
    descent.lines(fmt::format("start {}", k + 1), step, above);
  }
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
