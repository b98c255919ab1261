// A particle in the field of two charges, one of which moves with a parameter w: the w for which the
// particle's path, integrated by Euler's method, crosses the axis y = 0 at the origin. The force is a
// derivative, and the search needs the derivative of the path by w: a derivative inside a derivative.

#include "benchmarks/gradbench/descent.hpp"

using namespace wengert;
using gradbench::Mode;

namespace {

Tensor f64(const Nested& v) { return tensor(v, DType::float64); }

/// Squared distance from the origin at which the path crosses the axis. Its length depends on w: the loop
/// reads values, so the whole is no captured program.
Tensor miss(Mode mode, const Tensor& w) {
  const double step = 0.1;
  const Tensor charges = f64({{10.0, 10.0}, {10.0, 0.0}}) - w * f64({{0.0, 1.0}, {0.0, 0.0}});
  const auto potential = [&](const Tensor& at) { return sum(1.0 / sqrt(sum(square(at - charges), 1))); };
  Tensor x = f64({0.0, 8.0}), velocity = f64({0.75, 0.0});
  while (true) {
    const Tensor force = -gradbench::gradient(mode, potential, x);
    x = x + step * velocity;
    const Tensor height = slice(x, {1});
    if (height.item<double>() <= 0) {
      const Tensor time = -height / slice(velocity, {1});
      return square(slice(x, {0}) + time * slice(velocity, {0}));
    }
    velocity = velocity + step * force;
  }
}

Tensor search(const gradbench::Json& input, Mode outer, Mode inner) {
  return gradbench::argmin(
      outer, [=](const Tensor& w) { return miss(inner, w); }, gradbench::numbers(input["w"]));
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run_modes(argc, argv, search); }
