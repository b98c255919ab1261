#include "autodiff/gradcheck/battery.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <string>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "references.hpp"

using namespace wengert;

namespace {

// Taken before main(): the operators that the tests of this program define are not among them.
const std::vector<const OperatorDefinition*> built_in = [] {
  detail::define_builtin_operators();
  return operators();
}();

OperatorDefinition copy_of(const char* name) {
  OperatorDefinition op = *find_operator(name);
  op.name = "mutant of " + op.name;
  return op;
}

OperatorReport complete_check(const OperatorDefinition& op) {
  return examine_operator(op, {.complete = true});
}

bool contains(const OperatorReport& report, const std::string& text) {
  return to_string(report).find(text) != std::string::npos;
}

void scale(detail::TensorImpl& x, double factor) {
  for (std::int64_t i = 0; i < x.size; ++i) {
    if (x.dtype == DType::float64) x.as<double>()[i] *= factor;
    if (x.dtype == DType::float32) x.as<float>()[i] *= static_cast<float>(factor);
  }
}

/// A copy whose derivative by `input` is off by a tenth of a percent; false when there is nothing to break.
bool break_derivative(const OperatorDefinition& op, std::size_t input, OperatorDefinition& mutant,
                      std::deque<OperatorDefinition>& parts) {
  constexpr double factor = 1.001;
  mutant = op;
  mutant.name = "mutant of " + op.name;
  if (!op.derivatives.empty()) {
    ElementwiseDerivative& d = mutant.derivatives[input];
    if (d.fused_vjp == nullptr) {
      d.constant *= factor;
      return d.constant != 0;
    }
    OperatorDefinition& fused = parts.emplace_back(*d.fused_vjp);
    fused.kernel = nullptr;
    fused.body = [kernel = d.fused_vjp->kernel](const Call& call, detail::TensorImpl& out) {
      kernel(call, out);
      scale(out, factor);
    };
    d.fused_vjp = &fused;
    return true;
  }
  if (!op.vjp) return false;
  mutant.vjp = [vjp = op.vjp, input](const Call& call, const Tensor& g) {
    Tensors result = vjp(call, g);
    if (result.size() > input && result[input].defined()) result[input] = result[input] * factor;
    return result;
  };
  return true;
}

bool takes_floating(const OperatorDefinition& op, std::size_t input) {
  const Samples samples = op.samples();
  for (const Sample& s : samples.list())
    if (s.inputs.size() > input && is_floating(s.inputs[input].dtype())) return true;
  return false;
}

}  // namespace

TEST_CASE("every operator passes the battery") {
  REQUIRE(built_in.size() > 30);
  for (const OperatorDefinition* op : built_in) {
    SUBCASE(op->name.c_str()) {
      CheckOptions options = reference_options(op->name);
      options.complete = true;
      const OperatorReport report = examine_operator(*op, options);
      INFO(report);
      CHECK(report);
    }
  }
}

TEST_CASE("every reference belongs to an operator") {
  for (const std::string& name : referenced_operators()) {
    CAPTURE(name);
    CHECK(find_operator(name) != nullptr);
  }
}

TEST_CASE("breaking any derivative of any operator makes the battery fail and name it") {
  int broken = 0;
  for (const OperatorDefinition* op : built_in) {
    if (!op->differentiable || !op->samples) continue;
    const auto inputs = static_cast<std::size_t>(std::min(op->max_inputs, 3));
    for (std::size_t i = 0; i < inputs; ++i) {
      OperatorDefinition mutant;
      std::deque<OperatorDefinition> parts;
      if (!takes_floating(*op, i) || !break_derivative(*op, i, mutant, parts)) continue;
      CAPTURE(op->name);
      CAPTURE(i);
      CheckOptions options = reference_options(op->name);
      options.derivatives_only = true;
      const OperatorReport report = examine_operator(mutant, options);
      CHECK_FALSE(report);
      CHECK(contains(report, "mutant of " + op->name));
      CHECK(contains(report, "derivative"));
      ++broken;
    }
  }
  CHECK(broken > 30);
}

TEST_CASE("the battery sees a wrong forward kernel") {
  OperatorDefinition op = copy_of("exp");
  op.row = find_operator("expm1")->row;
  const OperatorReport report = complete_check(op);
  CHECK_FALSE(report);
  CHECK(contains(report, "differs from the reference"));
}

TEST_CASE("the battery sees a kernel that ignores strides") {
  OperatorDefinition op = copy_of("negative");
  op.kernel = [](const Call& call, detail::TensorImpl& out) {
    for (std::int64_t i = 0; i < out.size; ++i) {
      const std::int64_t at = call[0].contiguous ? i : 0;  // wrong, without reading what is not ours
      if (out.dtype == DType::float64) out.as<double>()[i] = -call[0].as<double>()[at];
      if (out.dtype == DType::float32) out.as<float>()[i] = -call[0].as<float>()[at];
    }
  };
  const OperatorReport report = complete_check(op);
  CHECK_FALSE(report);
  CHECK(contains(report, "views with"));
  CHECK_FALSE(contains(report, "derivative with"));
}

TEST_CASE("the battery sees a wrong forward-mode rule when the reverse is right") {
  OperatorDefinition op = copy_of("tanh");
  op.jvp = [](const Call&, const Tensors& t) { return 1.5 * t[0]; };
  const OperatorReport report = complete_check(op);
  CHECK_FALSE(report);
  CHECK(contains(report, "<u, Jv> and <J^T u, v> differ"));
  CHECK_FALSE(contains(report, "derivative with"));
}

TEST_CASE("the battery sees a rule that can't be differentiated again") {
  OperatorDefinition op = copy_of("square");
  op.derivatives.clear();
  op.reads_inputs = 1;
  op.vjp = [](const Call& call, const Tensor& g) { return Tensors{g * 2.0 * stop_gradient(call.input(0))}; };
  const OperatorReport report = complete_check(op);
  CHECK_FALSE(report);
  CHECK(contains(report, "(order 2)"));
}

TEST_CASE("the battery sees a rule that reads what it did not declare") {
  OperatorDefinition op = copy_of("square");
  op.derivatives.clear();
  op.reads_inputs = 0;
  op.vjp = [](const Call& call, const Tensor& g) { return Tensors{g * 2.0 * call.input(0)}; };
  CHECK(contains(complete_check(op), "without declaring it"));
}

TEST_CASE("the battery sees a wrong float32 kernel") {
  OperatorDefinition op = copy_of("exp");
  op.kernel = [](const Call& call, detail::TensorImpl& out) {
    find_operator("exp")->kernel(call, out);
    if (out.dtype == DType::float32) scale(out, 1.001);
  };
  const OperatorReport report = complete_check(op);
  CHECK(contains(report, "float32 differs from float64"));
}

TEST_CASE("the battery sees an error case that raises nothing, or another text") {
  OperatorDefinition op = copy_of("add");
  op.errors = [] { return Samples{samples::values({2}), samples::values({2})}.fails_with("shapes"); };
  CHECK(contains(complete_check(op), "no error, expected \"shapes\""));
  op.errors = [] {
    return Samples{samples::values({2}), samples::values({3})}.fails_with("inner dimensions");
  };
  CHECK(contains(complete_check(op), "the message lacks \"inner dimensions\""));
}

TEST_CASE("silence is not a pass: no samples, no reference, no error cases, no stated contract") {
  OperatorDefinition op = copy_of("where");
  op.errors = nullptr;
  OperatorReport report = complete_check(op);
  CHECK(contains(report, "no error cases"));
  CHECK(contains(report, "no reference"));
  op.samples = nullptr;
  CHECK(contains(complete_check(op), "no samples"));
  op = copy_of("sign");
  op.contract = "";
  CHECK(contains(complete_check(op), "its contract does not say why"));
}

TEST_CASE("the battery sees a derivative that is missing where the function is not flat") {
  OperatorDefinition op = copy_of("tanh");
  op.derivatives.clear();
  op.differentiable = false;
  op.contract = "0 by definition";
  CHECK(contains(complete_check(op), "not flat"));
}
