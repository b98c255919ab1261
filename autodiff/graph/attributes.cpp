#include "autodiff/graph/attributes.hpp"

#include <fmt/format.h>

namespace wengert::detail {

std::string print_value(bool v) { return v ? "true" : "false"; }
std::string print_value(std::int64_t v) { return std::to_string(v); }
std::string print_value(double v) { return fmt::format("{}", v); }  // the shortest text that reads back equal
std::string print_value(DType v) { return std::string(name(v)); }
std::string print_value(const Shape& v) { return to_string(v); }
std::string print_value(const AxisSet& v) {
  Shape axes;
  for (int axis = 0; axis < max_ndim; ++axis)
    if (v.contains(axis)) axes.push_back(axis);
  return to_string(axes);
}

}  // namespace wengert::detail
