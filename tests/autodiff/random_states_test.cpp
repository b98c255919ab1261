#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "tests/autodiff/random_recipes.hpp"
#include "tests/autodiff/side_by_side.hpp"

using namespace wengert;
using namespace recipes;

// Random programs that read and change states between their operators: replayed, they leave the states that
// eager code leaves, and no tensor that somebody holds changes.

namespace {

enum class Update {
  replaced,     // by the value
  descended,    // state - 0.1 value
  averaged,     // 0.9 state + 0.1 value
  accumulated,  // a product is added
  exchanged,    // with the next state of the same shape
};

/// After step `after`, state `state` is updated with the value number `value`.
struct Write {
  int after, state, value;
  Update update;
};

struct Program {
  Recipe recipe;
  std::vector<Write> writes;
  std::vector<int> results;
};

/// Two matrices, a row, a column and a number.
constexpr int states = 5;

struct States {
  std::array<State, states> slots;
  States(const Recipe& r, DType dtype, random::Generator g)
      : slots{State(g.normal({r.rows, r.columns}, dtype)), State(g.normal({r.rows, r.columns}, dtype)),
              State(g.normal({1, r.columns}, dtype)), State(g.normal({r.rows, 1}, dtype)),
              State(g.normal({1, 1}, dtype))} {}
  Tensors values() const {
    Tensors all;
    for (const State& s : slots) all.push_back(s.value());
    return all;
  }
};

/// `x` brought to the shape of a state.
Tensor fitted(const Recipe& r, const Tensor& x, int state) {
  const Tensor full = broadcast_to(x, {r.rows, r.columns});
  if (state < 2) return full;
  if (state == 2) return mean(full, 0, true);
  if (state == 3) return mean(full, 1, true);
  return reshape(mean(full), {1, 1});
}

void write(const Program& p, const Write& w, const Tensor& value, const States& s) {
  const State& state = s.slots[static_cast<std::size_t>(w.state)];
  const Tensor fit = fitted(p.recipe, value, w.state);
  switch (w.update) {
    case Update::replaced:
      return state.set(fit);
    case Update::descended:
      return state.set(state.value() - 0.1 * tanh(fit));
    case Update::averaged:
      return state.set(lerp(state.value(), tanh(fit), 0.1));
    case Update::accumulated: {
      if (w.state >= 2) return state.set(state.value() + tanh(fit));
      const Tensor column = mean(fit, 1, true), row = mean(tanh(fit), 0, true);
      return state.set(state.value() - 0.1 * matmul(column, row));
    }
    case Update::exchanged: {
      const State& other = s.slots[w.state < 2 ? static_cast<std::size_t>(1 - w.state) : 4];
      if (other.value().shape() != state.value().shape()) return;
      const Tensor mine = state.value();
      state.set(other.value());
      other.set(mine);
    }
  }
}

Tensors run(const Program& p, const States& s, const Tensor& x) {
  std::vector<Tensor> v{x, s.slots[0].value(), s.slots[2].value()};
  std::size_t next = 0;
  for (std::size_t i = 0; i < p.recipe.steps.size(); ++i) {
    v.push_back(apply_step(p.recipe, v, p.recipe.steps[i]));
    for (; next < p.writes.size() && p.writes[next].after <= static_cast<int>(i); ++next) {
      const Write& w = p.writes[next];
      write(p, w, v[std::min<std::size_t>(static_cast<std::size_t>(w.value), v.size() - 1)], s);
    }
    // Later steps read states in the place of some values.
    if (i % 5 == 3) v.back() = s.slots[i / 5 % states].value();
  }
  Tensors results{mean(v.back())};
  for (const int i : p.results)
    results.push_back(v[std::min<std::size_t>(static_cast<std::size_t>(i), v.size() - 1)]);
  results.push_back(s.slots[1].value());
  return results;
}

/// A tensor that somebody holds, and what it was.
struct Held {
  Tensor tensor, copy;
  explicit Held(const Tensor& t) : tensor(t), copy(1.0 * t) {}
};

std::string disagreement(const Program& p, const CaptureOptions& options, DType dtype, std::uint64_t seed) {
  random::Generator g(seed);
  const States expected(p.recipe, dtype, g), got(p.recipe, dtype, g);
  auto replay = capture([&](const Tensor& x) { return run(p, got, x); }, options);
  // Four calls feed rounding errors back; what is written to the wrong place is far beyond this.
  const double tolerance = dtype == DType::float64 ? 1e-8 : 5e-2;
  std::vector<Held> held;
  Engine engine(seed);
  for (int call = 0; call < 4; ++call) {
    const Tensor x = g.normal({p.recipe.rows, p.recipe.columns}, dtype);
    for (const Tensor& t : got.values())
      if (below(engine, 4) == 0) held.emplace_back(t);
    const Tensors want = run(p, expected, x), have = replay(x);
    for (std::size_t i = 0; i < want.size(); ++i) {
      const std::string problem = difference(have[i], want[i], tolerance);
      if (!problem.empty()) return fmt::format("call {}, result {}: {}", call, i, problem);
      if (below(engine, 3) == 0) held.emplace_back(have[i]);
    }
    for (int k = 0; k < states; ++k) {
      const std::string problem = difference(got.values()[static_cast<std::size_t>(k)],
                                             expected.values()[static_cast<std::size_t>(k)], tolerance);
      if (!problem.empty()) return fmt::format("call {}, state {}: {}", call, k, problem);
    }
    for (const Held& h : held) {
      const std::string problem = difference(h.tensor, h.copy, 0);
      if (!problem.empty()) return fmt::format("call {} changes a tensor that is held: {}", call, problem);
    }
  }
  return {};
}

Program random_program(Engine& engine) {
  constexpr std::int64_t sizes[][2] = {{1, 1},    {1, 17}, {3, 5},     {16, 16},   {40, 3},
                                       {17, 100}, {5, 1},  {100, 100}, {257, 300}, {3, 30000}};
  const auto& [rows, columns] = sizes[below(engine, below(engine, 8) == 0 ? 10 : 8)];
  Program p{random_recipe(engine, rows, columns), {}, {}};
  // Operators that jump would make rounding errors visible where two values of a state are equal.
  for (Step& step : p.recipe.steps)
    if (step.kind == 10 || step.kind == 23) step.kind = 0;
  const int count = static_cast<int>(p.recipe.steps.size());
  const int writes = 1 + below(engine, 8);
  for (int i = 0; i < writes; ++i)
    p.writes.push_back({below(engine, static_cast<std::size_t>(count)), below(engine, states),
                        below(engine, static_cast<std::size_t>(count) + 3),
                        static_cast<Update>(below(engine, 5))});
  std::stable_sort(p.writes.begin(), p.writes.end(),
                   [](const Write& a, const Write& b) { return a.after < b.after; });
  for (int i = below(engine, 3); i-- > 0;)
    p.results.push_back(below(engine, static_cast<std::size_t>(count) + 3));
  return p;
}

/// All options on, or one of them off.
CaptureOptions random_options(Engine& engine) {
  CaptureOptions o;
  bool* const switches[] = {
      &o.dead_code, &o.fold_constants, &o.simplify, &o.common_subexpressions, &o.rewrite, &o.fuse};
  const int off = below(engine, 12);
  if (off < 6) *switches[off] = false;
  return o;
}

std::string describe_program(const Program& p) {
  std::string text = describe_recipe(p.recipe) + "; writes";
  for (const Write& w : p.writes)
    text += fmt::format(" {}:{}<-{}({})", w.after, w.state, w.value, static_cast<int>(w.update));
  return text;
}

}  // namespace

TEST_SUITE_BEGIN("random programs with states");

TEST_CASE("replayed programs leave the states that eager code leaves, and what is held stays as it is") {
  check_seeds(how_many(1500, 60), [](std::uint64_t seed) -> std::string {
    Engine engine(seed);
    Program p = random_program(engine);
    CaptureOptions options = random_options(engine);
    if (seed % 2 != 0) options = side_by_side(options);
    const DType dtype = seed % 3 == 0 ? DType::float64 : DType::float32;
    const Threads threads(seed % 2 == 0 ? 1 : 3);
    const auto problem = [&](const Program& q) { return disagreement(q, options, dtype, seed); };
    if (problem(p).empty()) return {};
    p.recipe = shrunk(p.recipe, [&](const Recipe& shorter) {
      return !problem({shorter, p.writes, p.results}).empty();
    });
    for (std::size_t i = p.writes.size(); i-- > 0;) {
      Program q{p.recipe, {}, p.results};
      for (std::size_t k = 0; k < p.writes.size(); ++k)
        if (k != i) q.writes.push_back(p.writes[k]);
      if (!problem(q).empty()) p = q;
    }
    return problem(p) + "; " + describe_program(p);
  });
}

TEST_SUITE_END();
