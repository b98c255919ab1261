// Chains of rules against the row kernels of their rules, one by one: equal bits.

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "autodiff/kernels/elementwise.hpp"
#include "autodiff/ops/rules.hpp"
#include "kernels_support.hpp"
#if WENGERT_SIMD
#include "autodiff/kernels/chain.hpp"
#endif

using namespace wengert;
using namespace kernel_tests;
using namespace wengert::kernels;

#if WENGERT_SIMD

namespace {

namespace rules = ops::WENGERT_ISA::rules;

/// The row kernel of a rule; unary ones leave their second operand alone.
template <class T, class F>
void run_alone(std::byte* const* slots, const RowOp& op, std::int64_t n) {
  using V = Vec<T, Simd>;
  if constexpr (std::is_invocable_v<F, V, V>)
    map_rows<F, T, T, T>(slots, op, 1, n);
  else
    map_rows<F, T, T>(slots, op, 1, n);
}

template <class T, class... F>
struct Rules {
  static constexpr int count = sizeof...(F);
  static constexpr RowKernel chain = chain_rows<T, F...>;
  static constexpr void (*alone[])(std::byte* const*, const RowOp&, std::int64_t) = {run_alone<T, F>...};
  static constexpr bool binary[] = {std::is_invocable_v<F, Vec<T, Simd>, Vec<T, Simd>>...};
};
template <class T, class... F>
Rules<T, F...> rules_of(F...) {
  return {};
}

}  // namespace

TEST_CASE_TEMPLATE("a chain gives the bits of its operators one by one", T, float, double) {
  using All = decltype(rules_of<T>(rules::sum, rules::difference, rules::product, rules::quotient,
                                   rules::safe_product, rules::opposite, rules::squared, rules::exponential,
                                   rules::hyperbolic_tangent, rules::logistic, rules::rectified,
                                   rules::tanh_derivative, rules::sigmoid_derivative));
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
    for (int k = 0; k < length; ++k) {
      const int rule = below(All::count);
      const int position = All::binary[rule] ? below(2) : 0;
      const bool repeated = All::binary[rule] && below(3) == 0;
      const auto other = static_cast<std::uint32_t>(below(operands));
      steps.push_back({chain_codes::rule(rule, position, repeated), other});
      RowOp alone;
      alone.in[position] = last;
      alone.in[1 - position] = other;
      alone.repeated = (k == 0 ? op.repeated << position : 0u) | (repeated ? 2u >> position : 0u);
      alone.out = last = static_cast<std::uint32_t>(operands + k);
      All::alone[rule](slots.data(), alone, n);
      if (below(4) != 0) continue;
      steps.push_back({chain_codes::store, static_cast<std::uint32_t>(operands + longest + k)});
      stored.push_back(k);
    }
    steps.push_back({chain_codes::end, 0});
    op.attributes = steps.data();
    All::chain(slots.data(), op, 1, n);
    const auto equal = [&](std::uint32_t a, std::uint32_t b) {
      return std::memcmp(slots[a], slots[b], static_cast<std::size_t>(n) * sizeof(T)) == 0;
    };
    INFO("round ", round, ", ", n, " elements, ", length, " steps");
    CHECK(equal(op.out, last));
    for (const int k : stored)
      CHECK(equal(static_cast<std::uint32_t>(operands + k),
                  static_cast<std::uint32_t>(operands + longest + k)));
    for (Buffer<T>& b : buffers) CHECK(b.intact());
  }
}

#else

TEST_CASE("without vector registers there are no chains") { CHECK(!vectorised<float>); }

#endif
