#pragma once

#include <functional>
#include <vector>

#include "autodiff/gradcheck/gradcheck.hpp"
#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// The elements of a tensor of any type and layout, in row-major order.
std::vector<double> elements(const Tensor& x);
/// Floating tensors as new float64 constants; others as they are.
Tensor as_float64(const Tensor& x);
Tensors as_float64(const Tensors& inputs);
/// Floating tensors as variables; others as they are.
Tensors as_variables(const Tensors& inputs);
/// The floating ones.
Tensors differentiable(const Tensors& inputs);
/// Numbers in +-[0.5, 1.5] without a pattern, the same for the same seed.
std::vector<double> weights(std::size_t count, int seed);
/// The same as a tensor.
Tensor weights(const Shape& shape, DType dtype, int seed);
/// "float64[2, 3], int64[4]".
std::string describe(const Tensors& inputs);

/// Derivatives of sum_k weights[k] * evaluate(inputs)[k], to be compared entry by entry.
struct EntryCheck {
  Tensors inputs;  ///< floating ones in float64
  std::function<std::vector<double>(const Tensors&)> evaluate;
  std::vector<double> weights;
  std::vector<std::vector<double>> analytic;  ///< for each floating input, in order
  double epsilon;                             ///< relative rounding error of what evaluate() returns
  int order = 1;
};
/// Adds the verdicts to the report.
void check_entries(const EntryCheck& check, const GradcheckOptions& options, GradcheckReport& report);

/// gradcheck of one operator with these attributes.
GradcheckReport check_call(const OperatorDefinition& op, const Tensors& inputs, const void* attributes,
                           const GradcheckOptions& options);

/// Every recorded call below the roots whose own rule is wrong, checked in the order of `options`. The graphs
/// must have been recorded with recording.keep_values, because the calls are computed again.
std::vector<GradcheckCulprit> find_culprits(const Tensors& roots, const GradcheckOptions& options);

}  // namespace wengert::detail
