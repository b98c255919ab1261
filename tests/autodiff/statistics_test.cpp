#include <doctest/doctest.h>

#include <set>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/operator.hpp"

using namespace wengert;

TEST_SUITE_BEGIN("programs in numbers");

TEST_CASE("operations, bytes and memory of a layer are those that one counts by hand") {
  const Tensor x = random::normal({64, 32}), w = random::normal({32, 16}), b = random::normal({16});
  for (const bool fuse : {true, false}) {
    auto f = capture(
        [](const Tensor& in, const Tensor& matrix, const Tensor& bias) {
          const Tensor y = tanh(matmul(in, matrix) + bias);
          return Tensors{sum(y), transpose(matrix)};
        },
        {.fuse = fuse});
    CHECK_THROWS_AS(f.statistics(), GraphError);
    f(x, w, b);
    const ProgramStatistics s = f.statistics();
    const std::int64_t m = 64, k = 32, n = 16, item = 4;
    CHECK(s.flops == 2 * m * k * n + 3 * m * n);  // the product; add, tanh, sum
    const std::int64_t product = item * (m * k + k * n + m * n);
    const std::int64_t rest =
        fuse ? item * (m * n + n + 1) : item * ((2 * m * n + n) + 2 * m * n + (m * n + 1));
    CHECK(s.bytes_moved == product + rest);
    CHECK(s.argument_bytes == static_cast<std::size_t>(item * (m * k + k * n + n)));
    CHECK(s.result_bytes == 4);
    CHECK(s.new_state_bytes == 0);
    CHECK(s.loops == (fuse ? 1 : 0));
    CHECK(s.steps == (fuse ? 2 : 4));
    CHECK(s.arena_bytes >= static_cast<std::size_t>(item * m * n * (fuse ? 1 : 2)));
    CHECK(s.peak_bytes() == s.arena_bytes + s.frame_bytes + 4);
    CHECK(f.report().find("flop") != std::string::npos);
  }
}

TEST_CASE("the report lists the passes that ran and what each removed") {
  auto f = [](const Tensor& x) {
    [[maybe_unused]] const Tensor unused = exp(x);
    return tanh(x) * tanh(x) + sum(tensor({1.0, 2.0}));
  };
  auto all = capture(f);
  all(ones({3}));
  const ProgramStatistics s = all.statistics();
  CHECK(s.recorded == 6);
  CHECK(s.instructions == 3);
  REQUIRE(s.passes.size() >= 4);
  CHECK(s.passes.front().name == "dead code");
  CHECK(s.passes.front().before == 6);
  std::size_t last = s.recorded;
  for (const PassStatistics& pass : s.passes) {
    CHECK(pass.before == last);
    last = pass.after;
    const std::size_t removed = pass.before - pass.after;
    if (pass.name == "constant folding" || pass.name == "common subexpressions") CHECK(removed == 1);
  }
  CHECK(last == s.instructions);
  auto none = capture(f, {.dead_code = false,
                          .fold_constants = false,
                          .simplify = false,
                          .common_subexpressions = false,
                          .rewrite = false});
  none(ones({3}));
  CHECK(none.statistics().instructions == 6);
  CHECK(none.statistics().passes.size() < s.passes.size());
}

TEST_CASE("states that can't be changed in place count as memory of a run") {
  State total(zeros({100})), table(zeros({10, 10}));
  auto f = capture([&](const Tensor& x) {
    total.set(total.value() + x);                     // written over the old value
    table.set(matmul(table.value(), table.value()));  // reads all of the old value
    return sum(x);
  });
  f(ones({100}));
  CHECK(f.statistics().state_bytes == 800);
  CHECK(f.statistics().new_state_bytes == 400);
  CHECK(f.statistics().result_bytes == 4);
}

TEST_CASE("every operator that computes says how much; these only move, choose, compare or draw") {
  const std::set<std::string> none{
      "abs",         "bernoulli",       "bounded",  "cast",       "cast_to_discrete",
      "concatenate", "contiguous",      "equal",    "greater",    "greater_equal",
      "integers",    "labelled",        "less",     "less_equal", "logical_and",
      "logical_not", "logical_or",      "negative", "normal",     "not_equal",
      "one_hot",     "permutation",     "sign",     "slice_to",   "stack",
      "take",        "take_along_axis", "uniform",  "where"};
  std::set<std::string> silent;
  for (const OperatorDefinition* op : operators())
    if (!op->view && op->flops == nullptr && op->flops_per_element == 0 && !op->body) silent.insert(op->name);
  CHECK_MESSAGE(silent == none, [&] {
    std::string all;
    for (const std::string& name : silent) all += '"' + name + "\", ";
    return all;
  }());
  const auto per_element = [](const char* name) { return find_operator(name)->flops_per_element; };
  CHECK(per_element("add") == 1);
  CHECK(per_element("tanh") == 1);
  CHECK(per_element("relu") == 1);
  CHECK(per_element("lerp") == 3);
  CHECK(per_element("adam_update") == 6);  // keep * p - rate * m / (sqrt(v) + epsilon)
  CHECK(per_element("tanh_vjp") == 4);     // g * ((1 - y) * (1 + y))
}

TEST_SUITE_END();
