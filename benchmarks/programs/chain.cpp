// chain STEPS: x = x * a + b on one element, then its gradient: nanoseconds and bytes per operator. Run under
// `ulimit -s 8192` with a million steps it shows that neither the walk nor the destruction recurses.
#include <autodiff/autodiff.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "benchmarks/common/machine.hpp"

int main(int argc, char** argv) {
  using namespace wengert;
  const long steps = argc > 1 ? std::atol(argv[1]) : 100'000;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto per_operator = [&](auto from, auto to) {
    return std::chrono::duration<double, std::nano>(to - from).count() / static_cast<double>(2 * steps);
  };
  const Tensor start = variable(tensor({0.5})), a = tensor({-1.0}), b = tensor({1.0});
  const double before = bench::resident_bytes();
  const auto t0 = now();
  Tensor x = start;
  for (long k = 0; k < steps; ++k) x = x * a + b;
  const auto t1 = now();
  const double bytes = (bench::resident_bytes() - before) / static_cast<double>(2 * steps);
  const Tensor gradient = gradients(sum(x), {start})[0];
  const auto t2 = now();
  x = Tensor();
  const auto t3 = now();
  // a = -1: after each step the derivative changes sign, and nothing else
  const float expected = steps % 2 ? -1.0f : 1.0f;
  if (gradient.item<float>() != expected) {
    std::fprintf(stderr, "wrong gradient %g\n", static_cast<double>(gradient.item<float>()));
    return 1;
  }
  std::printf("%ld steps, per operator: forward %.0f ns, backward %.0f ns, release %.0f ns, %.0f bytes\n",
              steps, per_operator(t0, t1), per_operator(t1, t2), per_operator(t2, t3), bytes);
}
