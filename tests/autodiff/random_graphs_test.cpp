#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/operator.hpp"

using namespace wengert;

// Graphs of random operators with random shapes, broadcasting, shared subexpressions and repeated inputs:
// eager code, the replayed program and the program with each pass off compute the same.

namespace {

using Engine = std::mt19937_64;

int below(Engine& engine, std::size_t n) { return static_cast<int>(engine() % n); }

/// One operator of a recipe: which, and which earlier values it takes.
struct Step {
  int kind;
  int a, b;
};

/// A function of three tensors as data, so that a failing one can be shortened.
struct Recipe {
  std::int64_t rows, columns;
  std::vector<Step> steps;
};

constexpr int kinds = 26;

/// Keeps values in a range in which no operator overflows.
Tensor tamed(const Tensor& x) { return tanh(x); }

Tensor apply_step(const Recipe& r, const std::vector<Tensor>& v, const Step& s) {
  const Tensor &a = v[static_cast<std::size_t>(s.a)], &b = v[static_cast<std::size_t>(s.b)];
  const auto full = [&](const Tensor& x) { return broadcast_to(x, {r.rows, r.columns}); };
  switch (s.kind) {
    case 0:
      return tamed(a + b);
    case 1:
      return a * b;
    case 2:
      return a - b;
    case 3:
      return a / (2.0 + square(b));
    case 4:
      return tanh(a);
    case 5:
      return sigmoid(a);
    case 6:
      return exp(tamed(a));
    case 7:
      return log1p(square(a));
    case 8:
      return sqrt(1.0 + square(a));
    case 9:
      return maximum(a, b);
    case 10:
      return where(a > b, a, 0.5 * b);
    case 11:
      return relu(a) + 1.0;
    case 12:
      return softplus(a);
    case 13:
      return softmax(full(a), -1);
    case 14:
      return tamed(log_softmax(full(a), -1));
    case 15:
      return mean(full(a), 1, true);
    case 16:
      return mean(full(a), 0);
    case 17:
      return tamed(sum(full(a), 0, true));
    case 18:
      return tamed(sum(a));
    case 19:
      return tamed(matmul(matmul(full(a), transpose(full(b))), full(a)));
    case 20:
      return tamed(logsumexp(full(a), 1, true));
    case 21:
      return reshape(transpose(full(a)), {r.rows, r.columns});
    case 22:
      return a + a * a;
    case 23:
      return cast(a > 0.0, a.dtype()) * b;
    case 24:
      return max(full(a), 1, true);
    default:
      return stop_gradient(a) * b;
  }
}

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
  CaptureOptions all;
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
        if (got[i].shape() != expected[i].shape()) return fmt::format("{}: another shape", name);
        const auto a = cast(got[i], DType::float64).to_vector<double>();
        const auto e = cast(expected[i], DType::float64).to_vector<double>();
        double largest = 1e-3;
        for (const double value : e) largest = std::max(largest, std::abs(value));
        for (std::size_t k = 0; k < e.size(); ++k)
          if (!(std::abs(a[k] - e[k]) <= tolerance * largest) && !(std::isnan(a[k]) && std::isnan(e[k])))
            return fmt::format("{}, result {}: {} instead of {}", name, i, a[k], e[k]);
      }
    }
  }
  return {};
}

Recipe random_recipe(Engine& engine) {
  constexpr std::int64_t lengths[] = {1, 2, 3, 5, 16, 17, 40, 100};
  Recipe r{lengths[below(engine, 8)], lengths[below(engine, 8)], {}};
  const int count = 5 + below(engine, below(engine, 8) == 0 ? 196 : 25);
  for (int i = 0; i < count; ++i) {
    const int known = 3 + i;
    const auto pick = [&] {
      return below(engine, 3) == 0
                 ? below(engine, static_cast<std::size_t>(known))
                 : known - 1 - below(engine, std::min<std::size_t>(static_cast<std::size_t>(known), 5));
    };
    r.steps.push_back({below(engine, kinds), pick(), pick()});
  }
  return r;
}

/// Drops steps from the end and turns steps into copies of their input as long as it still fails.
Recipe shrunk(Recipe r, DType dtype, std::uint64_t seed) {
  for (bool again = true; again;) {
    again = false;
    for (std::size_t i = r.steps.size(); i-- > 0;) {
      Recipe shorter = r;
      shorter.steps.erase(shorter.steps.begin() + static_cast<std::ptrdiff_t>(i));
      const int gone = static_cast<int>(i) + 3;
      for (Step& s : shorter.steps)
        for (int* input : {&s.a, &s.b})
          if (*input >= gone) *input = *input == gone ? r.steps[i].a : *input - 1;
      if (shorter.steps.empty() || disagreement(shorter, dtype, seed).empty()) continue;
      r = shorter;
      again = true;
    }
  }
  return r;
}

std::string describe_recipe(const Recipe& r) {
  std::string text = fmt::format("{} x {}:", r.rows, r.columns);
  for (const Step& s : r.steps) text += fmt::format(" {}({},{})", s.kind, s.a, s.b);
  return text;
}

}  // namespace

TEST_SUITE_BEGIN("random graphs");

TEST_CASE("eager code, the replayed program, and the program with each pass off agree on random graphs") {
#ifdef WENGERT_SANITIZED
  constexpr int graphs = 100;
#else
  constexpr int graphs = 4000;
#endif
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= graphs && failed < 3; ++seed) {
    Engine engine(seed);
    const Recipe r = random_recipe(engine);
    const DType dtype = seed % 4 == 0 ? DType::float32 : DType::float64;
    const std::string problem = disagreement(r, dtype, seed);
    if (problem.empty()) continue;
    ++failed;
    const Recipe small = shrunk(r, dtype, seed);
    FAIL_CHECK("seed " << seed << ": " << problem << "; shortened to " << describe_recipe(small) << ": "
                       << disagreement(small, dtype, seed));
  }
}

TEST_SUITE_END();
