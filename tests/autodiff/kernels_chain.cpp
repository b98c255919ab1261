// Chains of rules against the row kernels of their rules, one by one: equal bits.

#include <doctest/doctest.h>
#include <pthread.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "autodiff/kernels/chain.hpp"
#include "kernels_support.hpp"

using namespace wengert;
using namespace kernel_tests;
using namespace wengert::kernels;

#if WENGERT_SIMD && defined(__OPTIMIZE__)

namespace {

template <class T>
struct Rule {
  const ChainRule* chain;
  RowKernel alone;
};

/// The last `scalars` of three operands and more are single elements.
template <class T, int scalars = 0, class F>
Rule<T> rule(F) {
  using V = Vec<T, Simd>;
  if constexpr (std::is_invocable_v<F, V>)
    return {chain_rule<F, T, 1>(), map_rows<F, T, T>};
  else if constexpr (std::is_invocable_v<F, V, V>)
    return {chain_rule<F, T, 2>(), map_rows<F, T, T, T>};
  else if constexpr (std::is_invocable_v<F, V, V, V>)
    return {chain_rule<F, T, 3, scalars>(), map_rows<F, T, T, T, T>};
  else
    return {chain_rule<F, T, 5, scalars>(), map_rows<F, T, T, T, T, T, T>};
}

// What rules are made of: arithmetic, choices, short and long code.
template <class T>
std::vector<Rule<T>> rules() {
  return {
      rule<T>([](auto a, auto b) { return a + b; }),
      rule<T>([](auto a, auto b) { return a - b; }),
      rule<T>([](auto a, auto b) { return a * b; }),
      rule<T>([](auto a, auto b) { return a / b; }),
      rule<T>([](auto a, auto b) { return where(a == 0.0, zeros_like(a), a * b); }),
      rule<T>([](auto a, auto b) { return a * ((1.0 - b) * (1.0 + b)); }),
      rule<T>([](auto a, auto b) { return where(a > b, 0.5 * a, b); }),
      rule<T>([](auto a, auto b) { return maximum(a, b); }),
      rule<T>([](auto x) { return -x; }),
      rule<T>([](auto x) { return x * x; }),
      rule<T>([](auto x) { return sqrt(abs(x)); }),
      rule<T>([](auto x) { return exp(x); }),
      rule<T>([](auto x) { return tanh(x); }),
      rule<T>([](auto x) { return sin(x); }),
      rule<T>([](auto x) { return log1p(square(x)); }),
      rule<T>([](auto a, auto b, auto c) { return a + b * c; }),
      rule<T>([](auto a, auto b, auto c) { return where(a > b, c, a); }),
      rule<T, 1>([](auto a, auto b, auto scale) { return a - scale * (b - a); }),
      rule<T, 2>([](auto a, auto low, auto high) { return minimum(maximum(a, low), high); }),
      rule<T>([](auto a, auto b, auto c, auto d, auto e) { return a / (1.0 + b * b) + c * d * e; }),
      rule<T, 2>([](auto a, auto b, auto c, auto d, auto e) { return d * a - e * b / (abs(c) + 1.0); }),
  };
}

/// NaN equals NaN: which one of two an operation hands on is left open.
template <class T>
bool equal_elements(const std::byte* a, const std::byte* b, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    T x, y;
    std::memcpy(&x, a + i * std::int64_t{sizeof(T)}, sizeof(T));
    std::memcpy(&y, b + i * std::int64_t{sizeof(T)}, sizeof(T));
    if (std::memcmp(&x, &y, sizeof(T)) != 0 && (x == x || y == y)) return false;
  }
  return true;
}

/// Calls f on a thread with a stack of 512 KB, the smallest that a system makes by itself.
void on_small_stack(std::function<void()> f) {
  pthread_attr_t attributes;
  pthread_t thread;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 512 * 1024) == 0);
  const auto run = [](void* call) -> void* {
    (*static_cast<std::function<void()>*>(call))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &f) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE_TEMPLATE("a chain gives the bits of its operators one by one", T, float, double) {
  const std::vector<Rule<T>> all = rules<T>();
  const ChainRunner& runner = *all[0].chain->runner;
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  constexpr int operands = 4, longest = 9;
  for (int round = 0; round < 600; ++round) {
    const std::int64_t n = 1 + below(20 * Vec<T, Simd>::width);
    // Operands; then what is expected after each step, and what the chain stores there; then its result.
    std::vector<Buffer<T>> buffers(operands + 2 * longest + 1, Buffer<T>(n));
    for (int k = 0; k < operands; ++k)
      for (std::int64_t i = 0; i < n; ++i)
        buffers[k][i] = static_cast<T>((i * 37 + k * 11) % 101 - 50) / static_cast<T>(16 + k);
    std::vector<std::byte*> slots;
    for (Buffer<T>& b : buffers) slots.push_back(reinterpret_cast<std::byte*>(b.data()));
    RowOp op;
    op.in[0] = static_cast<std::uint32_t>(below(operands));
    op.repeated = static_cast<std::uint32_t>(below(2));
    op.out = static_cast<std::uint32_t>(slots.size() - 1);
    std::vector<ChainStep> steps;
    std::vector<int> stored;
    const int length = 1 + below(longest);
    std::uint32_t last = op.in[0];
    bool single = op.repeated != 0;  // what is handed on is one element, used for all
    for (int k = 0; k < length; ++k) {
      const Rule<T>& rule = all[static_cast<std::size_t>(below(static_cast<int>(all.size())))];
      if (k > 0 && below(4) == 0) {  // begins anew, with an operand
        last = static_cast<std::uint32_t>(below(operands));
        single = below(2) == 0;
        steps.push_back({runner.load[single], last});
      }
      const ChainRule& chain = *rule.chain;
      const auto position = static_cast<std::uint32_t>(below(chain.handed_on));
      RowOp alone;
      alone.in[position] = last;
      if (single) alone.repeated = 1u << position;
      if (chain.operands == 1) steps.push_back({chain.step(0, false)});
      for (std::uint32_t j = 0, others = 0; j < chain.operands; ++j) {
        if (j == position) continue;
        const bool repeated = chain.operands == 2 ? below(3) == 0 : j + chain.scalars >= chain.operands;
        alone.in[j] = static_cast<std::uint32_t>(below(operands));
        if (repeated) alone.repeated |= 1u << j;
        steps.push_back({others++ == 0 ? chain.step(position, repeated) : nullptr, alone.in[j]});
      }
      alone.out = last = static_cast<std::uint32_t>(operands + k);
      single = false;
      rule.alone(slots.data(), alone, 1, n);
      if (below(4) != 0) continue;
      steps.push_back({runner.store, static_cast<std::uint32_t>(operands + longest + k)});
      stored.push_back(k);
    }
    steps.push_back({runner.end, op.out});
    op.attributes = steps.data();
    if (round % 2 != 0) op.repeated |= streaming_chain;
    runner.kernel(slots.data(), op, 1, n);
    const auto equal = [&](std::uint32_t a, std::uint32_t b) {
      return equal_elements<T>(slots[a], slots[b], n);
    };
    INFO("round ", round, ", ", n, " elements, ", length, " steps");
    CHECK(equal(op.out, last));
    for (const int k : stored)
      CHECK(equal(static_cast<std::uint32_t>(operands + k),
                  static_cast<std::uint32_t>(operands + longest + k)));
    for (Buffer<T>& b : buffers) CHECK(b.intact());
  }
}

TEST_CASE("rules that take no part in chains: other results, long code for several operands") {
  const auto of = []<int n, class F>(std::integral_constant<int, n>, F) { return chain_rule<F, float, n>(); };
  constexpr std::integral_constant<int, 2> two;
  CHECK(of(two, [](auto a, auto b) { return a * b; }) != nullptr);
  CHECK(of(two, [](auto a, auto b) { return a < b; }) == nullptr);
  CHECK(of(two, [](auto a, auto b) { return a * cos(b); }) == nullptr);
  CHECK(of(std::integral_constant<int, 1>{}, [](auto a) { return cos(a); }) != nullptr);
  constexpr std::integral_constant<int, 3> three;
  CHECK(of(three, [](auto a, auto b, auto c) { return a * b + c; }) != nullptr);
  CHECK(of(three, [](auto a, auto b, auto c) { return a * b < c; }) == nullptr);
  CHECK(of(three, [](auto a, auto b, auto c) { return a * b + exp(c); }) == nullptr);
}

// As long as programs make them (program/loop_chains.cpp), also where each step takes a frame of the stack.
TEST_CASE_TEMPLATE("a long chain fits into a small stack", T, float, double) {
  const std::vector<Rule<T>> all = rules<T>();
  Buffer<T> x(200), y(200), result(200);
  for (std::int64_t i = 0; i < 200; ++i) x[i] = static_cast<T>(i), y[i] = 0;
  std::byte* slots[] = {reinterpret_cast<std::byte*>(x.data()), reinterpret_cast<std::byte*>(y.data()),
                        reinterpret_cast<std::byte*>(result.data())};
  std::vector<ChainStep> steps;
  double expected = 1;  // of x[1]: tanh again and again, and sums with 0
  for (int k = 1; k < all[0].chain->runner->most_steps; ++k) {
    steps.push_back({all[k % 2 == 0 ? 12 : 0].chain->step(0, false), 1});
    if (k % 2 == 0) expected = std::tanh(expected);
  }
  steps.push_back({all[0].chain->runner->end, 2});
  RowOp op;
  op.out = 2;
  op.attributes = steps.data();
  on_small_stack([&] { all[0].chain->runner->kernel(slots, op, 1, 200); });
  CHECK(result.intact());
  CHECK(result[0] == 0);
  CHECK(static_cast<double>(result[1]) == doctest::Approx(expected).epsilon(1e-5));
}

#else

TEST_CASE("without vector registers, or without optimisation, there are no chains") {
  const auto of = []<class F>(F) { return chain_rule<F, float, 1>(); };
  CHECK(of([](auto x) { return -x; }) == nullptr);
}

#endif
