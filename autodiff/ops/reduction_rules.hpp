#pragma once

/// \file
/// What reductions share: attributes, shape rules, the way back from the result's shape to the input's,
/// samples.

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/tensor/axes.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {

struct ReduceAttributes {
  AxisSet axes;
  bool keepdims;
  template <class V>
  void visit(V&& v) const {
    v("axes", axes);
    v("keepdims", keepdims);
  }
};

inline Shape without(const Shape& shape, AxisSet axes, bool keepdims) {
  Shape result;
  for (int i = 0; i < shape.size(); ++i) {
    if (!axes.contains(i))
      result.push_back(shape[i]);
    else if (keepdims)
      result.push_back(1);
  }
  return result;
}

inline Meta reduced(const Call& call, AxisSet axes, bool keepdims) {
  const Shape& shape = call.shape(0);
  if (axes.bits >> shape.size() != 0) detail::fail_shapes(call, "axes that the tensor does not have");
  return {call.dtype(0), without(shape, axes, keepdims)};
}

inline Meta reduced_floating(const Call& call, AxisSet axes, bool keepdims) {
  if (!is_floating(call.dtype(0))) detail::fail_dtypes(call, "takes float32 and float64");
  return reduced(call, axes, keepdims);
}

/// Number of entries behind each result.
inline double count(const Call& call, AxisSet axes) {
  std::int64_t n = 1;
  for (int i = 0; i < call.shape(0).size(); ++i)
    if (axes.contains(i)) n *= call.shape(0)[i];
  return static_cast<double>(n);
}

/// Whether a set of axes is the first ones: the rest are the columns of a matrix.
constexpr bool leading(unsigned axes) { return (axes & (axes + 1)) == 0; }

/// K::run<T> for the element type of the input; `lowest` is the first type that it takes.
template <class K, DType lowest>
void typed(const Call& call, detail::TensorImpl& out) {
  switch (call.dtype(0)) {
    case DType::float32:
      return K::template run<float>(call, out);
    case DType::float64:
      return K::template run<double>(call, out);
    case DType::int64:
      if constexpr (lowest <= DType::int64) K::template run<std::int64_t>(call, out);
      return;
    case DType::bool_:
      if constexpr (lowest <= DType::bool_) K::template run<bool>(call, out);
      return;
  }
}

/// A row rule fits a reduction over the last axis alone.
template <class A>
bool over_last_axis(const Call& call) {
  const int ndim = call.shape(0).size();
  return ndim > 0 && call.attrs<A>().axes.bits == 1u << (ndim - 1);
}

/// A value of the result's shape with the reduced axes back in place, of length 1. Leading ones come back by
/// broadcasting.
inline Tensor kept(const Call& call, const Tensor& y, AxisSet axes, bool keepdims) {
  if (keepdims || leading(axes.bits)) return y;
  return reshape(y, without(call.shape(0), axes, true), call.where);
}

inline constexpr AxisSet axis_0{1}, axis_1{2}, axis_2{4}, no_axis{0};

template <class A>
Samples reductions(A a) {
  const auto over = [&](AxisSet axes, bool keepdims = false) {
    a.axes = axes;
    a.keepdims = keepdims;
    return a;
  };
  return Samples()
      .with({samples::values({3, 4})}, over({3}))
      .with({samples::values({3, 4}, 1)}, over(axis_0))
      .with({samples::values({3, 4}, 2)}, over(axis_1, true))
      .with({samples::values({3, 2, 4}, 3)}, over({5}))
      .with({samples::values({2, 3, 2}, 4)}, over(axis_1))
      .with({samples::values({3}, 5)}, over({1}, true));
}

/// No elements, a single one, no axes: where a maximum is not defined, or a mean not finite.
template <class A>
Samples with_small(Samples list, A a) {
  const auto over = [&](AxisSet axes) {
    a.axes = axes;
    return a;
  };
  return list.with({samples::values({}, 6)}, over(no_axis))
      .with({samples::values({0, 3}, 7)}, over(axis_0))
      .with({samples::values({2, 0}, 8)}, over(axis_0))
      .with({samples::values({2, 3}, 9)}, over(no_axis));
}

template <class A>
Samples axis_errors(A a) {
  a.axes = axis_2;
  return Samples()
      .with({samples::values({2, 3})}, a)
      .fails_with("axes that the tensor does not have: x is float64[2, 3]");
}

template <class A>
Samples floating_errors(A a) {
  return axis_errors(a).with({tensor({1, 2, 3})}, a).fails_with("takes float32 and float64: x is int64[3]");
}

// ---------------------------------------------------------------------------------------- public functions

/// A set of axes as the argument of a public function.
inline Axes list_of(AxisSet axes) {
  Shape list;
  for (int i = 0; i < max_ndim; ++i)
    if (axes.contains(i)) list.push_back(i);
  return Axes(list);
}

inline AxisSet set_of(const OperatorDefinition& op, const Tensor& x, const Axes& axes,
                      const SourceLocation& where) {
  return {detail::resolve_axes(op.name.c_str(), axes, x.dtype(), x.shape(), where)};
}

/// x summed over its first axes, so that `ndim` are left.
Tensor sum_leading(const Tensor& x, int ndim, const SourceLocation& where);

/// x, and integers and bools as float64.
inline Tensor floating(const Tensor& x, const SourceLocation& where) {
  return is_floating(x.dtype()) ? x : cast(x, DType::float64, where);
}

inline Tensor reduce(const OperatorDefinition& op, const Tensor& x, const Axes& axes, bool keepdims,
                     const SourceLocation& where) {
  const ReduceAttributes a{set_of(op, x, axes, where), keepdims};
  return apply_op(op, {x}, &a, where);
}

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
