#pragma once

#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// Throws IndexError unless all elements of an int64 input lie in lowest .. length - 1:
/// "take: position 7 at indices[3, 0] is outside axis 1 of length 5". Axis -1 stands for classes.
/// Out of line and compiled once: kernels call it, which carry no code for errors themselves.
void check_positions(const Call& call, std::uint32_t input, std::int64_t lowest, std::int64_t length,
                     int axis);

}  // namespace wengert::detail
