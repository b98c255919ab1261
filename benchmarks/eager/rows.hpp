// The library's own rows, eager: every operator computes at once and records itself.
#pragma once

#include <autodiff/autodiff.hpp>
#include <initializer_list>
#include <vector>

#include "benchmarks/common/harness.hpp"

namespace wengert::bench {

std::vector<Row> training_rows();     ///< W1 to W4, W8
std::vector<Row> elementwise_rows();  ///< W5, W6, W7
std::vector<Row> operator_rows();     ///< W9

inline Tensor to_tensor(const std::vector<float>& values, const Shape& shape) {
  return from_span<float>(values, shape);
}

/// The loss or, of anything larger, its projection, and the gradients' checksum.
Result compare(const Tensor& output, const Tensors& gradients);

}  // namespace wengert::bench
