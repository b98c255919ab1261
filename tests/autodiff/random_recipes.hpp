#pragma once

// Random functions of tensors as data, so that a failing one can be shortened.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/ops/updates.hpp"

namespace recipes {

using namespace wengert;

using Engine = std::mt19937_64;

inline int below(Engine& engine, std::size_t n) { return static_cast<int>(engine() % n); }

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

inline constexpr int kinds = 33;

/// Keeps values in a range in which no operator overflows.
inline Tensor tamed(const Tensor& x) { return tanh(x); }

/// One position a row.
inline Tensor labels(const Recipe& r) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < r.rows; ++i) all.push_back((7 * i + 3) % r.columns);
  return from_vector(all);
}

inline Tensor apply_step(const Recipe& r, const std::vector<Tensor>& v, const Step& s) {
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
    case 25:
      return take_along_axis(full(a), expand_dims(labels(r), -1), -1);
    case 26:
      return a * b * one_hot(labels(r), r.columns, a.dtype());
    case 27:
      return tamed(sum(square(1.0 - full(a)) * full(b) * one_hot(labels(r), r.columns, a.dtype()), -1, true));
    case 28:
      return expand_dims(take_along_axis(exp(tamed(full(a))) * b, labels(r), -1), -1);
    case 29:
      return lerp(a, b, 0.25);
    case 30:
      return combine(a, tamed(b), 0.5, tamed(sum(b)));
    case 31:
      return adam_update(a, b, 1.0 + square(a), 0.875, 0.25, tamed(square(mean(b))));
    default:
      return stop_gradient(a) * b;
  }
}

inline Recipe random_recipe(Engine& engine, std::int64_t rows, std::int64_t columns) {
  Recipe r{rows, columns, {}};
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
inline Recipe random_recipe(Engine& engine) {
  constexpr std::int64_t lengths[] = {1, 2, 3, 5, 16, 17, 40, 100};
  const std::int64_t rows = lengths[below(engine, 8)];
  return random_recipe(engine, rows, lengths[below(engine, 8)]);
}

/// Drops steps from the end and turns steps into copies of their input as long as it still fails.
template <class Fails>
Recipe shrunk(Recipe r, Fails&& fails) {
  for (bool again = true; again;) {
    again = false;
    for (std::size_t i = r.steps.size(); i-- > 0;) {
      Recipe shorter = r;
      shorter.steps.erase(shorter.steps.begin() + static_cast<std::ptrdiff_t>(i));
      const int gone = static_cast<int>(i) + 3;
      for (Step& s : shorter.steps)
        for (int* input : {&s.a, &s.b})
          if (*input >= gone) *input = *input == gone ? r.steps[i].a : *input - 1;
      if (shorter.steps.empty() || !fails(shorter)) continue;
      r = std::move(shorter);
      again = true;
    }
  }
  return r;
}

inline std::string describe_recipe(const Recipe& r) {
  std::string text = fmt::format("{} x {}:", r.rows, r.columns);
  for (const Step& s : r.steps) text += fmt::format(" {}({},{})", s.kind, s.a, s.b);
  return text;
}

/// How many a test tries: WENGERT_RANDOM_GRAPHS in the environment, for a long search, or these.
inline std::uint64_t how_many([[maybe_unused]] std::uint64_t usual,
                              [[maybe_unused]] std::uint64_t with_sanitizers) {
  if (const char* wanted = std::getenv("WENGERT_RANDOM_GRAPHS")) return std::strtoull(wanted, nullptr, 10);
#ifdef WENGERT_SANITIZED
  return with_sanitizers;
#else
  return usual;
#endif
}

/// Tries the seeds 1, 2, ...: problem(seed) is empty, or says what is wrong, of a shortened example.
template <class Problem>
void check_seeds(std::uint64_t count, Problem problem) {
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= count && failed < 3; ++seed) {
    const std::string text = problem(seed);
    if (text.empty()) continue;
    ++failed;
    FAIL_CHECK("seed " << seed << ": " << text);
  }
  CHECK(failed == 0);
}

/// Empty when both agree up to `tolerance` times the largest entry; otherwise what differs.
inline std::string difference(const Tensor& got, const Tensor& expected, double tolerance) {
  if (got.shape() != expected.shape()) return "another shape";
  const auto a = cast(got, DType::float64).to_vector<double>();
  const auto e = cast(expected, DType::float64).to_vector<double>();
  double largest = 1e-3;
  for (const double value : e)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  for (std::size_t k = 0; k < e.size(); ++k) {
    const bool equal = a[k] == e[k] || (std::isnan(a[k]) && std::isnan(e[k]));
    if (!equal && !(std::abs(a[k] - e[k]) <= tolerance * largest))
      return fmt::format("{} instead of {} at {}", a[k], e[k], k);
  }
  return {};
}

}  // namespace recipes
