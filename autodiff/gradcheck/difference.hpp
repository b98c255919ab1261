#pragma once

#include <functional>
#include <vector>

namespace wengert::detail {

/// A derivative by differences.
struct NumericDerivative {
  double value = 0;
  double estimate = 0;  ///< how far the value may be from the truth, by truncation and by rounding
  double noise = 0;     ///< the part that rounding of the function's values can account for
  bool kink = false;    ///< the two sides disagree, or one of them has no finite value
};

/// What is differentiated: sum_i weights[i] * f_i, f evaluated at a moved position of one variable.
struct DifferenceProblem {
  std::function<std::vector<double>(double position)> f;
  const std::vector<double>& base;     ///< f at the position itself
  const std::vector<double>& weights;  ///< entries of weight 0 are not looked at
  double position;
  double tolerance;  ///< relative; the search for a better step ends well below it
  double scale;      ///< derivatives below it count as large as it
  double epsilon;    ///< relative rounding error of f's values
};

/// Central differences with Richardson extrapolation (Ridders' tableau), begun with smaller and smaller steps
/// until the error estimate is good. Outputs are subtracted one by one before they are weighted and added,
/// so that large outputs which don't move add no noise.
NumericDerivative differentiate(const DifferenceProblem& problem);

}  // namespace wengert::detail
