#pragma once

#include <cstdint>

#include "autodiff/kernels/isa.hpp"
#include "autodiff/tensor/axes.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {

/// The attributes of an operator that works along one axis.
struct AxisAttributes {
  std::int64_t axis;
  template <class V>
  void visit(V&& v) const {
    v("axis", axis);
  }
};
/// ... along several, where nothing else has to be said.
struct AxesAttributes {
  AxisSet axes;
  template <class V>
  void visit(V&& v) const {
    v("axes", axes);
  }
};

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
