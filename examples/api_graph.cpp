// A graph built by hand: a network without modules, its gradients, the recorded graph, and a check of the
// derivatives that names the operator and the source line when one is wrong.

#include <autodiff/autodiff.hpp>
#include <iostream>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

int body(int, char**) {
  random::seed(5);
  Claims claims;
  const Tensor x = random::normal({4, 2}), y = random::normal({4, 3});

  Tensor w = variable(random::normal({2, 3})), b = variable(zeros({3}));
  Tensor loss = mean(square(tanh(matmul(x, w) + b) - y));
  auto [dw, db] = gradients<2>(loss, {w, b});
  std::cout << graph(loss);

  // The same by the chain rule on paper.
  const Tensor a = stop_gradient(tanh(matmul(x, w) + b));
  const Tensor delta = 2.0 / 12.0 * (a - y) * (1.0 - square(a));
  claims.at_most("dw is X^T delta", largest_difference(dw, matmul(transpose(x), delta)), 1e-6);
  claims.at_most("db is the sum of delta over the examples", largest_difference(db, sum(delta, 0)), 1e-6);

  GradcheckReport report =
      gradcheck([&](const Tensor& z) { return mean(square(tanh(matmul(x, z)) - y)); }, {w}, {.order = 2});
  if (!report) std::cerr << report;  // names the operator and the source line that is wrong
  claims.check("gradcheck agrees, order 1 and 2", bool(report) ? "right" : "wrong", "right", bool(report));
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
