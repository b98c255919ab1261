// log(sum(exp(x))) from a maximum, an exponential and a sum, and its gradient.

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

/// The shift is a constant: its derivative cancels, whatever it is.
Tensor log_sum_exp(const Tensor& x) {
  const Tensor shift = stop_gradient(max(x));
  return log(sum(exp(x - shift))) + shift;
}

gradbench::Prepared prepare(const gradbench::Json& input, bool gradient) {
  return gradbench::repeat(
      [=](const Tensors& x) { return Tensors{gradient ? grad(log_sum_exp)(x[0]) : log_sum_exp(x[0])}; },
      {gradbench::numbers(input["x"])});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "primal", "gradient", prepare); }
