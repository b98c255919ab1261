// y_0' = x_0, y_i' = x_i y_(i-1), y(0) = 0, from 0 to 2 by s steps of the classical Runge-Kutta method: the
// last y, and the gradient of its last element.

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

Tensor solve(const Tensor& x, int steps) {
  const std::int64_t n = x.size();
  const Tensor one = ones({1}, DType::float64);
  const auto slope = [&](const Tensor& y) { return x * concatenate({one, slice(y, {Slice(0, n - 1)})}); };
  const double h = 2.0 / steps;
  Tensor y = zeros({n}, DType::float64);
  for (int i = 0; i < steps; ++i) {
    const Tensor k1 = slope(y);
    const Tensor k2 = slope(y + h / 2 * k1);
    const Tensor k3 = slope(y + h / 2 * k2);
    const Tensor k4 = slope(y + h * k3);
    y = y + h / 6 * (k1 + 2.0 * (k2 + k3) + k4);
  }
  return y;
}

gradbench::Prepared prepare(const gradbench::Json& input, bool gradient) {
  const int steps = input["s"].get<int>();
  const auto last = [=](const Tensor& x) { return slice(solve(x, steps), {-1}); };
  return gradbench::repeat(
      [=](const Tensors& in) { return Tensors{gradient ? grad(last)(in[0]) : solve(in[0], steps)}; },
      {gradbench::numbers(input["x"])});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "primal", "gradient", prepare); }
