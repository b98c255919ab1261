#pragma once

/// \file
/// Inputs that many operators can be tried with: float64, away from kinks unless the name says otherwise.

#include "autodiff/graph/operator.hpp"

namespace wengert::samples {

/// One real tensor of each interesting shape.
Samples reals();
/// The same, all above zero.
Samples positives();
/// Two tensors: equal shapes, both broadcast, a scalar, no elements. No zeros, no ties.
Samples pairs();
/// Positive bases with any exponents.
Samples powers();
/// x, low, high with entries on each side of the bounds.
Samples clips();
/// Two, three tensors whose shapes don't broadcast, with the error that is expected.
Samples pair_errors();
Samples triple_errors();
/// A tensor with values that look random, without ties, in (-2, 2): the same for the same shape and seed.
Tensor values(const Shape& shape, int seed = 0);

}  // namespace wengert::samples
