#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "autodiff/backward/callable.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// What a numerical check says about one derivative.
enum class Verdict : unsigned char {
  right,
  wrong,
  not_differentiable,  ///< a kink, a jump or the edge of the domain was hit: no derivative to compare with
  inconclusive         ///< the differences are too noisy to tell
};
/// "right", "wrong", "not differentiable here", "inconclusive".
std::string_view name(Verdict verdict);

struct GradcheckOptions {
  int order = 1;                    ///< 2: also the derivative of the gradient
  double tolerance = 1e-6;          ///< relative to the derivative, or to a thousandth of the input's largest
  std::int64_t max_entries = 1000;  ///< of one input; of more, this many are taken evenly. 0: all
  int seed = 0;                     ///< of the cotangent with which outputs of many elements are weighted
  bool find_culprit = true;         ///< after a failure, look for the operator whose rule is wrong
};

/// One derivative: of the (weighted) output with respect to one element of one input.
struct GradcheckEntry {
  int order = 1;
  int input = 0;
  std::int64_t entry = 0;  ///< position in row-major order
  double analytic = 0;     ///< what the library says
  double numeric = 0;      ///< what differences say
  double estimate = 0;     ///< how far `numeric` may be from the truth
  double error = 0;        ///< |analytic - numeric| relative to the derivative
  Verdict verdict = Verdict::right;
};

/// A recorded call whose own derivative rule is wrong.
struct GradcheckCulprit {
  std::string operation;
  SourceLocation where;   ///< the line that called it
  std::string arguments;  ///< "float64[2, 3], float64[3]"
  GradcheckEntry entry;   ///< of the call on its own
};

struct GradcheckReport {
  std::int64_t right = 0;
  std::int64_t wrong = 0;
  std::int64_t not_differentiable = 0;
  std::int64_t inconclusive = 0;
  int order = 1;
  /// The largest relative error among the entries that were judged, and where it is.
  double largest_error = 0;
  GradcheckEntry worst;
  /// The first entries that are not right.
  std::vector<GradcheckEntry> problems;
  std::vector<GradcheckCulprit> culprits;
  /// What else is worth knowing: f is not a function of its inputs alone, it computes in float32, ...
  std::vector<std::string> notes;
  std::vector<Shape> shapes;  ///< of the inputs

  std::int64_t checked() const { return right + wrong + not_differentiable + inconclusive; }
  /// Nothing is wrong or undecided, and unless there is nothing to check, something is right.
  explicit operator bool() const { return wrong == 0 && inconclusive == 0 && (right > 0 || checked() == 0); }
};

std::string to_string(const GradcheckReport& report);
std::ostream& operator<<(std::ostream& out, const GradcheckReport& report);

namespace detail {
/// A reference to any callable Tensor(const Tensors&).
struct TensorFunction {
  const void* object;
  Tensor (*call)(const void* object, const Tensors& inputs);
  Tensor operator()(const Tensors& inputs) const { return call(object, inputs); }
};
GradcheckReport gradcheck(TensorFunction f, const Tensors& inputs, const GradcheckOptions& options,
                          const SourceLocation& where);
}  // namespace detail

/// Compares the derivatives of f at `inputs` with central differences, extrapolated to step 0 by Richardson's
/// scheme with an error estimate, and says of each entry whether it is right, wrong, not differentiable here
/// or inconclusive. When one is wrong, every recorded call of f is checked on its own, and the report names
/// the operators and source lines that are wrong.
///
/// f takes one tensor, two, three, or a Tensors, and returns a floating tensor of any shape; an output of
/// many elements is weighted with a cotangent that looks random. Everything runs in float64: floating inputs
/// are converted, others (labels, masks) are passed on as they are. The elements of the inputs are not
/// changed. With .order = 2 the gradient itself is differentiated and compared in the same way. Errors:
/// ValueError when there is no floating input or .order is not 1 or 2; whatever f throws. Source: C. J. F.
/// Ridders, Accurate computation of F'(x) and F'(x) F''(x), Adv. Eng. Software 4(2), 1982.
///
///     GradcheckReport report = gradcheck([](const Tensor& x) { return tanh(x * x); }, {x}, {.order = 2});
///     if (!report) std::cerr << report;
template <class F>
GradcheckReport gradcheck(F&& f, const Tensors& inputs, const GradcheckOptions& options = {},
                          SourceLocation where = SourceLocation::current()) {
  using Function = std::remove_reference_t<F>;
  const auto call = [](const void* object, const Tensors& in) -> Tensor {
    return detail::call_with(*static_cast<Function*>(const_cast<void*>(object)), in, "gradcheck");
  };
  return detail::gradcheck({static_cast<const void*>(&f), call}, inputs, options, where);
}

}  // namespace wengert
