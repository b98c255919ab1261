#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "tests/autodiff/random_recipes.hpp"
#include "tests/autodiff/side_by_side.hpp"

using namespace wengert;
using namespace recipes;

// Graphs of random operators with random shapes, broadcasting, shared subexpressions and repeated inputs:
// eager code, the replayed program and the program with each pass off compute the same.

namespace {

Tensors evaluate(const Recipe& r, const Tensor& x0, const Tensor& y0, const Tensor& z0) {
  std::vector<Tensor> v{variable(x0), variable(y0), variable(z0)};
  const Tensors leaves{v[0], v[1], v[2]};
  for (const Step& s : r.steps) v.push_back(apply_step(r, v, s));
  Tensor loss = mean(v.back());
  for (std::size_t i = v.size(); i-- > 3 && i + 4 > v.size();) loss = loss + 0.1 * mean(v[i]);
  Tensors results{loss, v.back()};
  for (const Tensor& g : gradients(loss, leaves)) results.push_back(g);
  return results;
}

/// Empty when all ways agree; otherwise what differs.
std::string disagreement(const Recipe& r, DType dtype, std::uint64_t seed) {
  random::Generator g(seed);
  const Tensor x = g.normal({r.rows, r.columns}, dtype), y = g.normal({r.columns}, dtype),
               z = g.normal({r.rows, 1}, dtype);
  const auto f = [&r](const Tensor& a, const Tensor& b, const Tensor& c) { return evaluate(r, a, b, c); };
  const Tensors expected = f(x, y, z);
  const double tolerance = dtype == DType::float64 ? 1e-9 : 2e-3;
  const CaptureOptions all = num_threads() > 1 ? side_by_side() : CaptureOptions{};
  std::vector<std::pair<const char*, CaptureOptions>> ways{{"all passes", all}};
  ways.push_back({"no dead code", all}), ways.back().second.dead_code = false;
  ways.push_back({"no folding", all}), ways.back().second.fold_constants = false;
  ways.push_back({"no simplification", all}), ways.back().second.simplify = false;
  ways.push_back({"no sharing", all}), ways.back().second.common_subexpressions = false;
  ways.push_back({"no rewriting", all}), ways.back().second.rewrite = false;
  ways.push_back({"no fusion", all}), ways.back().second.fuse = false;
  for (const auto& [name, options] : ways) {
    auto replay = capture(f, options);
    for (int time = 0; time < 2; ++time) {
      const Tensors got = replay(x, y, z);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::string difference = recipes::difference(got[i], expected[i], tolerance);
        if (!difference.empty()) return fmt::format("{}, result {}: {}", name, i, difference);
      }
    }
  }
  return {};
}

}  // namespace

TEST_SUITE_BEGIN("random graphs");

TEST_CASE("eager code, the replayed program, and the program with each pass off agree on random graphs") {
  check_seeds(how_many(4000, 100), [](std::uint64_t seed) -> std::string {
    Engine engine(seed);
    const Recipe r = random_recipe(engine);
    const DType dtype = seed % 4 == 0 ? DType::float32 : DType::float64;
    const Threads threads(seed % 2 == 0 ? 1 : 3);
    const std::string problem = disagreement(r, dtype, seed);
    if (problem.empty()) return problem;
    const Recipe small =
        shrunk(r, [&](const Recipe& shorter) { return !disagreement(shorter, dtype, seed).empty(); });
    return problem + "; shortened to " + describe_recipe(small) + ": " + disagreement(small, dtype, seed);
  });
}

TEST_SUITE_END();
