#pragma once

#include <initializer_list>

#include "autodiff/tensor/shape.hpp"

namespace wengert {

/// The axes that a reduction runs over: one, several, or (default) all of them. Negative ones count from
/// the end: sum(x), sum(x, -1), sum(x, {0, 2}).
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : all_(false), list_{axis} {}
  Axes(std::initializer_list<int> axes) : all_(false) {
    for (int a : axes) list_.push_back(a);
  }
  explicit Axes(const Shape& axes) : all_(false), list_(axes) {}

  bool all() const { return all_; }
  const Shape& list() const { return list_; }

 private:
  bool all_ = true;
  Shape list_;
};

}  // namespace wengert
