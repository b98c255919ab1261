#pragma once

#include <exception>
#include <string>

#include "autodiff/gradcheck/battery.hpp"
#include "autodiff/gradcheck/entries.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/tensor/random.hpp"

namespace wengert::detail {

/// One operator on its way through the battery. `part` and `inputs` name the check that runs.
struct Battery {
  const OperatorDefinition& op;
  const CheckOptions& options;
  OperatorReport report;
  std::string part = {};
  std::string inputs = {};

  void check(bool passed, const std::string& problem) {
    ++report.checks;
    constexpr std::size_t enough = 25;
    if (!passed && report.failures.size() < enough)
      report.failures.push_back(part + (inputs.empty() ? "" : " with " + inputs) + ": " + problem);
  }
  /// Runs one part; an exception that it did not expect is a failure.
  template <class F>
  void run(const char* name, const std::string& with, F&& f) {
    part = name;
    inputs = with;
    try {
      f();
    } catch (const std::exception& e) {
      check(false, std::string("threw ") + e.what());
    }
  }

  /// Two tensors of equal shape agree to `tolerance`, relative to each entry or to a share of the largest.
  void compare(const Tensor& got, const Tensor& expected, double tolerance, const std::string& what);
  void compare(const std::vector<double>& got, const std::vector<double>& expected, double tolerance,
               const std::string& what);
  void compare(const Tensors& got, const Tensors& expected, double tolerance, const std::string& what);

  Tensor apply(const Tensors& tensors, const void* attributes) const {
    if (op.draws) random::set_state(draws_from);
    return apply_op(op, tensors, attributes, {});
  }
  /// Where the generator stands for every call of an operator that draws.
  static constexpr random::State draws_from{20, 3};
  /// The operator by its reference; an empty tensor when there is none.
  Tensor reference(const Tensors& tensors, const void* attributes) const;
  bool has_reference() const;
};

/// A cotangent for y: 0 where y is infinite or NaN.
Tensor cotangent_for(const Tensor& y, int seed);
/// The gradients of <cotangent, op(inputs)> with respect to the floating inputs (made variables here).
Tensors gradients_of(const Battery& b, const Tensors& inputs, const void* attributes,
                     const Tensor& cotangent);
/// Every element of `x` repeated to `shape`, as doubles.
std::vector<double> broadcast_elements(const Tensor& x, const Shape& shape);
/// float32 copies of the floating ones.
Tensors as_float32(const Tensors& inputs);

void check_derivatives(Battery& b, const Tensors& inputs, const void* attributes);
void check_forward_mode(Battery& b, const Tensors& inputs, const void* attributes);
/// Captured and replayed, the operator and its gradients give what eager code gives.
void check_replay(Battery& b, const Tensors& inputs, const void* attributes);
void check_elementwise(Battery& b, const Samples& samples);

}  // namespace wengert::detail
