// The rows of the hand-written competitor, by file.
#pragma once

#include <vector>

#include "benchmarks/common/harness.hpp"

namespace wengert::bench {

std::vector<Row> classifier_rows();   ///< W2, W3a, W3b, W4, W8
std::vector<Row> elementwise_rows();  ///< W1, W5, W6, W7
std::vector<Row> operator_rows();     ///< W9 and the sgemm rates

}  // namespace wengert::bench
