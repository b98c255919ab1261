// How long it takes to record and optimise a program, how much memory that needs, and that both grow in
// proportion to it: chains and random graphs of small tensors, forward and with gradients. An argument is the
// number of operators of a single size.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>

#include "autodiff/autodiff.hpp"
#include "autodiff/program/program.hpp"
#include "autodiff/program/trace.hpp"

using namespace wengert;

namespace {

/// Processor time: the machine need not be idle.
double now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::size_t bytes_in_use() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

using Function = Tensor (*)(const Tensor& x, int operators);

/// x = x * a + b.
Tensor chain(const Tensor& x, int operators) {
  const Tensor a = full({}, 0.999), b = full({}, 0.001);
  Tensor y = x;
  for (int i = 0; i < operators / 2; ++i) y = y * a + b;
  return y;
}

/// Operators on values picked at random, mostly recent ones: deep, wide, and everything is needed.
Tensor random_graph(const Tensor& x, int operators) {
  std::mt19937 random(7);
  std::vector<Tensor> values{x, x * 0.5, sum(x, 0)};
  const auto pick = [&]() -> const Tensor& {
    const std::size_t reach = random() % 8 == 0 ? values.size() : std::min<std::size_t>(values.size(), 40);
    return values[values.size() - 1 - random() % reach];
  };
  while (static_cast<int>(values.size()) < operators * 69 / 100) {
    switch (random() % 9) {
      case 0:
        values.push_back(tanh(pick()));
        break;
      case 1:
        values.push_back(pick() - pick());
        break;
      case 2:
        values.push_back(sum(pick() + x, random() % 2 == 0 ? 0 : 1));
        break;
      case 3:
        values.push_back(transpose(pick() + x));
        break;
      case 4:
        values.push_back(slice(pick() + x, 0, Slice(1, 2)));
        break;
      default:
        values.push_back(pick() * pick());
    }
  }
  Tensor total = sum(values.back());
  for (std::size_t i = values.size() - values.size() / 20; i < values.size(); ++i)
    total = total + sum(values[i]);
  return total;
}

/// The gradient of a chain, x = x * x - b: its backward half is written down as well.
Tensor gradient(const Tensor& x0, int operators) {
  const Tensor x = variable(x0), b = full({}, 0.1);
  Tensor y = x;
  for (int i = 0; i < operators / 5; ++i) y = y * y - b;
  return gradients(sum(y), {x})[0];
}

void measure(const char* name, Function f, int operators) {
  const Tensor x = full({4, 4}, 0.5);
  double recorded = 1e9, optimised = 1e9;
  std::size_t count = 0, bytes = 0, transient = 0;
  for (int round = 0; round < 5; ++round) {
    const std::size_t before = bytes_in_use();
    const double start = now();
    program::Trace trace;
    trace.output(f(trace.argument(x), operators));
    trace.close();
    program::Graph graph = std::move(trace).finish();
    const double middle = now();
    count = graph.size();
    transient = (bytes_in_use() - before) / count;
    const program::Program program(std::move(graph));
    const double end = now();
    recorded = std::min(recorded, middle - start);
    optimised = std::min(optimised, end - middle);
    bytes = (bytes_in_use() - before) / count;
  }
  std::printf("%-9s %8zu  %7.1f ms  %7.1f ms  %7.1f ms  %7.1f ns  %5zu B  %5zu B\n", name, count,
              1e3 * recorded, 1e3 * optimised, 1e3 * (recorded + optimised),
              1e9 * (recorded + optimised) / double(count), transient, bytes);
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("%-9s %8s  %10s  %10s  %10s  %10s  %7s  %7s\n", "program", "recorded", "recording",
              "optimising", "together", "each", "graph", "program");
  std::vector<int> sizes{25'000, 50'000, 100'000, 200'000};
  if (argc > 1) sizes = {std::atoi(argv[1])};
  for (const int operators : sizes) {
    measure("chain", chain, operators);
    measure("gradient", gradient, operators);
    measure("random", random_graph, operators);
  }
}
