#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "autodiff/graph/operator.hpp"

namespace wengert {

struct CheckOptions {
  /// A second way to compute the operator, sharing no code with it. Elementwise operators bring their rule on
  /// plain numbers, fused ones their composition.
  std::function<Tensor(const Tensors& inputs, const void* attributes)> reference = {};
  /// Fail when there is no reference, and when an operator that can be called wrongly has no error cases. The
  /// library's own operators are held to it.
  bool complete = false;
  /// For an operator without a derivative whose result nevertheless moves with its inputs (stop_gradient).
  bool constant_by_definition = false;
  /// For an operator that takes whatever its attributes are (cast): no error cases are missed.
  bool cannot_fail = false;
  /// Only what concerns derivatives at the samples themselves.
  bool derivatives_only = false;
};

/// What the battery found out about one operator.
struct OperatorReport {
  std::string name;
  int checks = 0;
  std::vector<std::string> failures;
  /// Nothing failed, and something was checked.
  explicit operator bool() const { return failures.empty() && checks > 0; }
};
std::string to_string(const OperatorReport& report);
std::ostream& operator<<(std::ostream& out, const OperatorReport& report);

/// The battery of checks over the samples of an operator: forward against the reference; vjp against
/// differences, and its derivative in turn; jvp against both and <u, Jv> = <J^T u, v>; strided views; each
/// wanted cotangent alone; the same tensor passed twice; float32 against float64; inputs unchanged; errors
/// with the documented text, the user's line and nothing changed. Elementwise operators are also tried with
/// every kind of broadcasting, with long arrays, and with NaN, infinities and zeros.
OperatorReport examine_operator(const OperatorDefinition& op, const CheckOptions& options = {});

/// The same, as an assertion: throws ValueError with the report when anything failed.
/// Example: check_operator(soft_clip);
OperatorReport check_operator(const Operator& op, const CheckOptions& options = {},
                              SourceLocation where = SourceLocation::current());

}  // namespace wengert
