// Functions of functions: gradients, Hessians and products with them, forward mode, third derivatives.

#include <autodiff/autodiff.hpp>
#include <iostream>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

// (1 - a)^2 + 100 (b - a^2)^2: a bent valley, and everybody's first test of an optimiser.
Tensor rosenbrock(const Tensor& x) {
  const Tensor a = slice(x, {0}), b = slice(x, {1});
  return square(1.0 - a) + 100.0 * square(b - square(a));
}

int body(int, char**) {
  Claims claims;
  const Tensor x = tensor({-1.5, 2.0}, DType::float64), v = tensor({1.0, -2.0}, DType::float64);
  auto [value, g] = value_and_grad(rosenbrock)(x);
  Tensor h = hessian(rosenbrock)(x);
  Tensor hv = hvp(rosenbrock, x, v);
  std::cout << "value " << value << ", gradient " << g << ", Hessian\n" << h << '\n';
  claims.at_most("the gradient on paper", largest_difference(g, tensor({-155.0, -50.0}, DType::float64)),
                 1e-12);
  claims.at_most("the Hessian on paper",
                 largest_difference(h, tensor({{1902.0, 600.0}, {600.0, 200.0}}, DType::float64)), 1e-11);
  claims.at_most("hvp is the Hessian times v", largest_difference(hv, matmul(h, v)), 1e-11);

  auto [slope, tangent] = jvp(grad(rosenbrock), {x}, {v});  // forward over reverse: the same product
  claims.at_most("forward over reverse agrees", largest_difference(tangent, hv), 1e-11);

  // Newton's method needs no more than this; the minimum is at (1, 1). 2 x 2, so the inverse is written down.
  Tensor p = x;
  for (int i = 0; i < 8; ++i) {
    const Tensor m = hessian(rosenbrock)(p), d = grad(rosenbrock)(p);
    const Tensor m00 = slice(m, {0, 0}), m01 = slice(m, {0, 1}), m11 = slice(m, {1, 1});
    const Tensor d0 = slice(d, {0}), d1 = slice(d, {1}), determinant = m00 * m11 - square(m01);
    p = p - stack({m11 * d0 - m01 * d1, m00 * d1 - m01 * d0}) / determinant;
  }
  claims.at_most("eight Newton steps find the minimum", largest_difference(p, ones({2}, DType::float64)),
                 1e-12);

  const auto wave = [](const Tensor& t) { return sin(2.0 * t); };
  const Tensor t = tensor(0.3, DType::float64);
  claims.at_most("the third derivative of sin(2 t) is -8 cos(2 t)",
                 largest_difference(grad(grad(grad(wave)))(t), -8.0 * cos(2.0 * t)), 1e-12);
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
