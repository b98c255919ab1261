#include "autodiff/gradcheck/gradcheck.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "autodiff/backward/gradients.hpp"
#include "autodiff/gradcheck/entries.hpp"
#include "autodiff/graph/recording.hpp"

namespace wengert::detail {
namespace {

double rounding(DType dtype) {
  return dtype == DType::float64 ? std::numeric_limits<double>::epsilon()
                                 : static_cast<double>(std::numeric_limits<float>::epsilon());
}

std::vector<std::vector<double>> lists(const Tensors& tensors) {
  std::vector<std::vector<double>> result;
  for (const Tensor& t : tensors) result.push_back(elements(t));
  return result;
}

std::vector<double> concatenated(const Tensors& tensors) {
  std::vector<double> all;
  for (const Tensor& t : tensors) {
    const std::vector<double> part = elements(t);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

/// One function to be checked: what it gives for inputs that are variables, and its gradients.
struct Subject {
  TensorFunction f;
  Tensors inputs;
  Tensor cotangent;

  Tensors gradient(const Tensors& variables, bool create_graph) const {
    return gradients(f(variables), differentiable(variables),
                     {.cotangent = cotangent, .create_graph = create_graph});
  }
};

void check_first_order(const Subject& s, const GradcheckOptions& options, GradcheckReport& report) {
  const Tensors analytic = s.gradient(as_variables(s.inputs), false);
  // Variables also where only values are needed: f may itself ask for gradients with respect to its inputs.
  check_entries({.inputs = s.inputs,
                 .evaluate = [&](const Tensors& in) { return elements(s.f(as_variables(in))); },
                 .weights = elements(s.cotangent),
                 .analytic = lists(analytic),
                 .epsilon = rounding(s.cotangent.dtype()),
                 .order = 1},
                options, report);
}

// The gradient function x -> J(x)^T c, weighted in turn. Its own gradients are added up number by number, so
// that no other operators take part.
void check_second_order(const Subject& s, const GradcheckOptions& options, GradcheckReport& report) {
  const Tensors variables = as_variables(s.inputs);
  const Tensors wrt = differentiable(variables);
  const Tensors gradient = s.gradient(variables, true);
  std::vector<std::vector<double>> analytic = lists(wrt);
  for (auto& list : analytic) std::fill(list.begin(), list.end(), 0.0);
  std::vector<double> all_weights;
  for (std::size_t k = 0; k < gradient.size(); ++k) {
    Tensor v = weights(gradient[k].shape(), gradient[k].dtype(), options.seed + 1 + static_cast<int>(k));
    std::vector<double> list = elements(v);
    // Where the gradient itself is infinite there is nothing to differentiate.
    const std::vector<double> values = elements(gradient[k]);
    for (std::size_t i = 0; i < list.size(); ++i)
      if (!std::isfinite(values[i])) list[i] = 0;
    v = from_span<double>(list, gradient[k].shape());
    all_weights.insert(all_weights.end(), list.begin(), list.end());
    const std::vector<std::vector<double>> parts = lists(gradients(gradient[k], wrt, {.cotangent = v}));
    for (std::size_t i = 0; i < parts.size(); ++i)
      for (std::size_t j = 0; j < parts[i].size(); ++j) analytic[i][j] += parts[i][j];
  }
  check_entries(
      {.inputs = s.inputs,
       .evaluate = [&](const Tensors& in) { return concatenated(s.gradient(as_variables(in), false)); },
       .weights = all_weights,
       .analytic = analytic,
       .epsilon = rounding(s.cotangent.dtype()),
       .order = 2},
      options, report);
}

// First the calls of f on their own, then those of its gradient, then the derivatives of single calls at
// order two: a rule that computes with constants is right until it is differentiated.
void explain(const Subject& s, const GradcheckOptions& options, GradcheckReport& report) {
  ScopedFlag keep(recording.keep_values, true);
  const Tensors variables = as_variables(s.inputs);
  const Tensor y = s.f(variables);
  GradcheckOptions local = options;
  local.order = 1;
  report.culprits = find_culprits({y}, local);
  if (report.culprits.empty() && options.order == 2) {
    report.culprits = find_culprits(s.gradient(variables, true), local);
    if (report.culprits.empty()) report.culprits = find_culprits({y}, options);
  }
  if (report.culprits.empty())
    report.notes.push_back(
        "every recorded operator is right on its own: f depends on its input outside of the graph "
        "(stop_gradient, no_grad, item or span), or on more than its inputs");
}

}  // namespace

GradcheckReport gradcheck(TensorFunction f, const Tensors& inputs, const GradcheckOptions& options,
                          const SourceLocation& where) {
  if (options.order != 1 && options.order != 2)
    throw ValueError("gradcheck", "order " + std::to_string(options.order) + ": only 1 and 2 can be checked",
                     where);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined())
      throw GraphError("gradcheck", "input " + std::to_string(i) + " is an empty tensor", where);
  EnableGrad record;
  Subject s{f, as_float64(inputs), {}};
  if (differentiable(s.inputs).empty())
    throw ValueError("gradcheck", "no input is of a floating type: " + describe(inputs), where);
  GradcheckReport report;
  report.order = options.order;
  for (const Tensor& x : inputs) report.shapes.push_back(x.shape());

  const Tensor y = f(as_variables(s.inputs));
  if (!is_floating(y.dtype()))
    throw ValueError("gradcheck", "f returns " + wengert::describe(y) + ", which has no derivative", where);
  const std::vector<double> values = elements(y);
  if (!same_bits(values, elements(f(as_variables(s.inputs)))))
    report.notes.push_back("f gives different results for the same inputs (random numbers? state?)");
  if (y.dtype() == DType::float32)
    report.notes.push_back(
        "f computes in float32: differences tell little, convert its constants to float64");

  std::vector<double> c = weights(values.size(), options.seed);
  std::int64_t left_out = 0;
  for (std::size_t i = 0; i < c.size(); ++i)
    if (!std::isfinite(values[i])) {
      c[i] = 0;
      ++left_out;
    }
  if (left_out > 0)
    report.notes.push_back(std::to_string(left_out) + " of " + std::to_string(c.size()) +
                           " results are infinite or NaN and were left out");
  s.cotangent = y.dtype() == DType::float64
                    ? from_span<double>(c, y.shape())
                    : from_span<float>(std::vector<float>(c.begin(), c.end()), y.shape());

  check_first_order(s, options, report);
  if (options.order == 2) check_second_order(s, options, report);
  if (report.wrong > 0 && options.find_culprit) explain(s, options, report);
  return report;
}

}  // namespace wengert::detail
