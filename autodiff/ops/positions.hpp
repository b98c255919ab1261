#pragma once

#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// Throws IndexError unless all elements of an int64 input lie in lowest .. length - 1:
/// "take: position 7 at indices[3, 0] is outside axis 1 of length 5". Axis -1 stands for classes.
/// Out of line and compiled once: kernels call it, which carry no code for errors themselves.
void check_positions(const Call& call, std::uint32_t input, std::int64_t lowest, std::int64_t length,
                     int axis);
/// The same for a row kernel, which knows no place in an array and no source line.
void check_row_positions(const char* op, const std::int64_t* positions, std::int64_t count,
                         std::int64_t lowest, std::int64_t length, std::int64_t axis);

}  // namespace wengert::detail
