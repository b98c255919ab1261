// chain STEPS: x = x * a + b on one element, then its gradient: nanoseconds and bytes per operator. Run under
// `ulimit -s 8192` with a million steps it shows that neither the walk nor the destruction recurses.
#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "benchmarks/common/machine.hpp"

int main(int argc, char** argv) {
  using namespace wengert;
  const long steps = argc > 1 ? std::atol(argv[1]) : 100'000;
  const Tensor start = variable(tensor({0.5})), a = tensor({-1.0}), b = tensor({1.0});
  double bytes = 0, first = 0, lowest[3] = {1e18, 1e18, 1e18};
  for (int run = 0; run < 3; ++run) {
    // processor time, page faults included: the machine need not be idle
    std::clock_t before = std::clock();
    const auto per_operator = [&] {
      const std::clock_t now = std::clock();
      const double ns = static_cast<double>(now - before) * 1e9 / CLOCKS_PER_SEC;
      before = now;
      return ns / static_cast<double>(2 * steps);
    };
    const double resident = bench::resident_bytes();
    Tensor x = start;
    for (long k = 0; k < steps; ++k) x = x * a + b;
    const double forward = per_operator();
    if (run == 0) {  // later runs find the memory of the first
      first = forward;
      bytes = (bench::resident_bytes() - resident) / static_cast<double>(2 * steps);
    }
    lowest[0] = std::min(lowest[0], forward);
    const Tensor gradient = gradients(sum(x), {start})[0];
    lowest[1] = std::min(lowest[1], per_operator());
    x = Tensor();
    lowest[2] = std::min(lowest[2], per_operator());
    // a = -1: after each step the derivative changes sign, and nothing else
    if (gradient.item<float>() != (steps % 2 ? -1.0f : 1.0f)) {
      std::fprintf(stderr, "wrong gradient %g\n", static_cast<double>(gradient.item<float>()));
      return 1;
    }
  }
  std::printf(
      "%ld steps, per operator: forward %.0f ns (%.0f on fresh memory), backward %.0f, release %.0f; %.0f "
      "bytes\n",
      steps, lowest[0], first, lowest[1], lowest[2], bytes);
}
