// Logistic regression: the engine's derivatives against their closed forms.
//
//   p = sigmoid(X w + b),  J = -mean(t log p + (1 - t) log(1 - p)) + (lambda / 2) ||w||^2
//   dJ/dw = X^T (p - t) / m + lambda w,  dJ/db = mean(p - t)
//   d2J/dw2 = X^T diag(p (1 - p)) X / m + lambda I

#include <autodiff/autodiff.hpp>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

constexpr double lambda = 0.01;

Tensor probability(const Tensor& x, const Tensor& w, const Tensor& b) { return sigmoid(matmul(x, w) + b); }

// As it is written on paper: no derivative, no rearrangement.
Tensor cost(const Tensor& x, const Tensor& t, const Tensor& w, const Tensor& b) {
  const Tensor p = probability(x, w, b);
  return -mean(t * log(p) + (1.0 - t) * log(1.0 - p)) + 0.5 * lambda * sum(square(w));
}

int body(int, char**) {
  random::seed(2);
  Claims claims;
  const std::int64_t m = 200, n = 6;
  const Tensor x = random::normal({m, n}, DType::float64);
  const Tensor truth = random::normal({n}, DType::float64);
  const Tensor noise = random::uniform({m}, DType::float64);
  const Tensor t = cast(noise < sigmoid(matmul(x, truth) - 0.5), DType::float64);

  Tensor w = variable(random::normal({n}, DType::float64)), b = variable(zeros({}, DType::float64));
  {
    auto [dw, db] = gradients<2>(cost(x, t, w, b), {w, b}, {.create_graph = true});
    const Tensor p = stop_gradient(probability(x, w, b));
    claims.at_most("dJ/dw is X^T (p - t) / m + lambda w",
                   largest_difference(dw, matmul(transpose(x), p - t) / double(m) + lambda * w), 1e-12);
    claims.at_most("dJ/db is the mean of p - t", largest_difference(db, mean(p - t)), 1e-12);

    // Row i of the Hessian is the gradient of entry i of the gradient.
    Tensors rows;
    for (int i = 0; i < n; ++i) rows.push_back(gradients(slice(dw, {Slice(i)}), {w})[0]);
    const Tensor weight = expand_dims(p * (1.0 - p), 1);
    const Tensor closed = matmul(transpose(x), weight * x) / double(m) + lambda * eye(n, DType::float64);
    claims.at_most("d2J/dw2, gradients of the gradient, is X^T diag(p (1 - p)) X / m + lambda I",
                   largest_difference(stack(rows), closed), 1e-12);
  }

  // The cost is convex: gradient descent ends where the closed form is zero.
  double before = cost(x, t, w, b).item<double>();
  for (int step = 0; step < 3000; ++step) {
    auto [dw, db] = gradients<2>(cost(x, t, w, b), {w, b});
    w = variable(w - 1.0 * dw);
    b = variable(b - 1.0 * db);
  }
  const Tensor p = stop_gradient(probability(x, w, b));
  const Tensor rest = matmul(transpose(x), p - t) / double(m) + lambda * w;
  claims.at_most("after 3000 steps of gradient descent the closed-form gradient is zero",
                 largest_difference(rest, zeros({n}, DType::float64)), 1e-10);
  const double after = cost(x, t, w, b).item<double>();
  claims.check("descent lowers the cost", fmt::format("{:.3f} -> {:.3f}", before, after), "lower",
               after < before);
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
