#include "autodiff/ops/reduction.hpp"

#include <algorithm>
#include <limits>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/kernels/argmax.hpp"
#include "autodiff/kernels/columns.hpp"
#include "autodiff/kernels/reduce.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/math.hpp"
#include "autodiff/ops/scratch.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert {
namespace {

struct ReduceAttributes {
  AxisSet axes;
  bool keepdims;
  template <class V>
  void visit(V&& v) const {
    v("axes", axes);
    v("keepdims", keepdims);
  }
};

struct VarAttributes {
  AxisSet axes;
  bool keepdims;
  std::int64_t ddof;
  template <class V>
  void visit(V&& v) const {
    v("axes", axes);
    v("keepdims", keepdims);
    v("ddof", ddof);
  }
};

struct ArgmaxAttributes {
  std::int64_t axis;
  bool keepdims;
  template <class V>
  void visit(V&& v) const {
    v("axis", axis);
    v("keepdims", keepdims);
  }
};

const OperatorDefinition *sum_, *mean_, *max_, *min_, *var_, *std_, *logsumexp_, *argmax_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

// ---------------------------------------------------------------------------------------------- shape rules

[[maybe_unused]] Shape without(const Shape& shape, AxisSet axes, bool keepdims) {
  Shape result;
  for (int i = 0; i < shape.size(); ++i) {
    if (!axes.contains(i))
      result.push_back(shape[i]);
    else if (keepdims)
      result.push_back(1);
  }
  return result;
}

[[maybe_unused]] Meta reduced(const Call& call, AxisSet axes, bool keepdims) {
  const Shape& shape = call.shape(0);
  if (axes.bits >> shape.size() != 0) detail::fail_shapes(call, "axes that the tensor does not have");
  return {call.dtype(0), without(shape, axes, keepdims)};
}

[[maybe_unused]] Meta reduced_floating(const Call& call, AxisSet axes, bool keepdims) {
  if (!is_floating(call.dtype(0))) detail::fail_dtypes(call, "takes float32 and float64");
  return reduced(call, axes, keepdims);
}

[[maybe_unused]] Meta reduced_nonempty(const Call& call) {
  const auto& a = call.attrs<ReduceAttributes>();
  const Meta meta = reduced(call, a.axes, a.keepdims);
  for (int i = 0; i < call.shape(0).size(); ++i)
    if (a.axes.contains(i) && call.shape(0)[i] == 0)
      detail::fail_values(call, "axis " + std::to_string(i) + " has no entries");
  return meta;
}

/// Number of entries behind each result.
[[maybe_unused]] double count(const Call& call, AxisSet axes) {
  std::int64_t n = 1;
  for (int i = 0; i < call.shape(0).size(); ++i)
    if (axes.contains(i)) n *= call.shape(0)[i];
  return static_cast<double>(n);
}

// -------------------------------------------------------------------------------------------------- kernels

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

struct Sum {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    const detail::TensorImpl& x = call[0];
    const unsigned axes = call.attrs<ReduceAttributes>().axes.bits;
    if (x.contiguous && out.size == 1) {
      *out.as<T>() = kernels::reduce_all(kernels::Plus{}, kernels::Identity{}, x.as<T>(), x.size);
      return;
    }
    if (x.contiguous && leading(axes) && out.size > 0 && x.size <= kernels::few_rows * out.size)
      return kernels::sum_columns(out.as<T>(), x.as<T>(), x.size / out.size, out.size);
    kernels::sum(out.as<T>(), x.as<T>(), x.shape, x.strides, axes);
  }
};

struct Mean {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    Sum::run<T>(call, out);
    if (out.size == 0) return;
    T* const y = out.as<T>();
    const T n = static_cast<T>(call[0].size / out.size);
    for (std::int64_t i = 0; i < out.size; ++i) y[i] /= n;
  }
};

struct Max {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    kernels::max(out.as<T>(), call[0].as<T>(), call[0].shape, call[0].strides,
                 call.attrs<ReduceAttributes>().axes.bits);
  }
};

struct Min {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    kernels::min(out.as<T>(), call[0].as<T>(), call[0].shape, call[0].strides,
                 call.attrs<ReduceAttributes>().axes.bits);
  }
};

struct Variance {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    const auto& a = call.attrs<VarAttributes>();
    Scratch scratch(out.dtype, out.shape);
    kernels::variance(out.as<T>(), scratch.as<T>(), call[0].as<T>(), call[0].shape, call[0].strides,
                      a.axes.bits, a.ddof);
  }
};

struct Deviation {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    Variance::run<T>(call, out);
    using V = kernels::Native<T>;
    T* const y = out.as<T>();
    for (std::int64_t i = 0; i < out.size; i += V::width) sqrt(V::load(y + i)).store(y + i);
  }
};

struct LogSumExp {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    Scratch scratch(out.dtype, out.shape);
    kernels::logsumexp(out.as<T>(), scratch.as<T>(), call[0].as<T>(), call[0].shape, call[0].strides,
                       call.attrs<ReduceAttributes>().axes.bits);
  }
};

struct Argmax {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    kernels::argmax(out.as<std::int64_t>(), call[0].as<T>(), call[0].shape, call[0].strides,
                    static_cast<int>(call.attrs<ArgmaxAttributes>().axis));
  }
};

// ---------------------------------------------------------------------------------------------- derivatives

/// A value of the result's shape with the reduced axes back in place, of length 1. Leading ones come back by
/// broadcasting.
[[maybe_unused]] Tensor kept(const Call& call, const Tensor& y, AxisSet axes, bool keepdims) {
  if (keepdims || leading(axes.bits)) return y;
  return reshape(y, without(call.shape(0), axes, true), call.where);
}

[[maybe_unused]] Tensor repeated(const Call& call, const Tensor& y, AxisSet axes, bool keepdims) {
  return broadcast_to(kept(call, y, axes, keepdims), call.shape(0), call.where);
}

[[maybe_unused]] Tensor mean_of(const Call& call, const Tensor& x, AxisSet axes) {
  const ReduceAttributes a{axes, true};
  return apply_op(*mean_, {x}, &a, call.where);
}

/// The cotangent of the largest (smallest) entries, in equal shares where several tie.
[[maybe_unused]] Tensors shared_among_ties(const Call& call, const Tensor& g) {
  const auto& a = call.attrs<ReduceAttributes>();
  const Tensor x = call.input(0);
  const Tensor y = kept(call, call.output(), a.axes, a.keepdims);
  const Tensor tied = equal(Operand(x, call.where), y);
  const ReduceAttributes over{a.axes, true};
  const Tensor ties = apply_op(*sum_, {cast(tied, x.dtype(), call.where)}, &over, call.where);
  const Tensor share = divide(Operand(kept(call, g, a.axes, a.keepdims), call.where), ties);
  // Nothing equals NaN, and zeros there would hide it.
  const Tensor rest = stop_gradient(where(equal(Operand(y, call.where), y), Operand(0.0, call.where), y));
  return {where(tied, Operand(share, call.where), rest)};
}

[[maybe_unused]] Tensors variance_vjp(const Call& call, const Tensor& g) {
  const auto& a = call.attrs<VarAttributes>();
  const Tensor x = call.input(0);
  const double divisor = std::max(count(call, a.axes) - static_cast<double>(a.ddof), 0.0);
  const Tensor centred = subtract(Operand(x, call.where), mean_of(call, x, a.axes));
  const Tensor scale = multiply(Operand(g, call.where), 2.0 / divisor);
  return {multiply(Operand(centred, call.where), kept(call, scale, a.axes, a.keepdims))};
}

[[maybe_unused]] Tensors deviation_vjp(const Call& call, const Tensor& g) {
  const auto& a = call.attrs<VarAttributes>();
  const Tensor x = call.input(0), y = call.output();
  const double divisor = std::max(count(call, a.axes) - static_cast<double>(a.ddof), 0.0);
  const Tensor centred = subtract(Operand(x, call.where), mean_of(call, x, a.axes));
  // The inner choice keeps the branch that is not taken finite, for derivatives of this one.
  const Tensor constant = equal(Operand(y, call.where), 0.0);
  const Tensor slope = divide(Operand(g, call.where), divisor * where(constant, Operand(1.0, call.where), y));
  const Tensor scale = where(constant, Operand(0.0, call.where), slope);
  return {multiply(Operand(centred, call.where), kept(call, scale, a.axes, a.keepdims))};
}

[[maybe_unused]] Tensors logsumexp_vjp(const Call& call, const Tensor& g) {
  const auto& a = call.attrs<ReduceAttributes>();
  const Tensor y = call.output();
  // Where all entries are -inf, x - y would be NaN.
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Tensor shift = where(equal(Operand(y, call.where), -infinity), Operand(0.0, call.where), y);
  const Tensor x = call.input(0);
  const Tensor p = exp(subtract(Operand(x, call.where), kept(call, shift, a.axes, a.keepdims)), call.where);
  return {multiply(Operand(p, call.where), kept(call, g, a.axes, a.keepdims))};
}

// -------------------------------------------------------------------------------------------------- samples

constexpr AxisSet axis_0{1}, axis_1{2}, axis_2{4}, no_axis{0};

template <class A>
[[maybe_unused]] Samples reductions(A a) {
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

/// Shapes on which a maximum is not defined, or a variance not finite.
template <class A>
[[maybe_unused]] Samples with_small(Samples list, A a) {
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
[[maybe_unused]] Samples axis_errors(A a) {
  a.axes = axis_2;
  return Samples()
      .with({samples::values({2, 3})}, a)
      .fails_with("axes that the tensor does not have: x is float64[2, 3]");
}

template <class A>
[[maybe_unused]] Samples floating_errors(A a) {
  return axis_errors(a).with({tensor({1, 2, 3})}, a).fails_with("takes float32 and float64: x is int64[3]");
}

[[maybe_unused]] Samples empty_errors() {
  return axis_errors(ReduceAttributes{})
      .with({zeros({2, 0})}, ReduceAttributes{axis_1, false})
      .fails_with("axis 1 has no entries: x is float32[2, 0]");
}

}  // namespace

void reduction() {
  sum_ = define({
      .name = "sum",
      .doc = "sum of x over axes",
      .contract = "0 over no elements",
      .attributes = attributes_of<ReduceAttributes>,
      .infer =
          [](const Call& call) {
            if (call.dtype(0) == DType::bool_) detail::fail_dtypes(call, "takes numbers");
            const auto& a = call.attrs<ReduceAttributes>();
            return reduced(call, a.axes, a.keepdims);
          },
      .kernel = typed<Sum, DType::int64>,
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto& a = call.attrs<ReduceAttributes>();
            return Tensors{repeated(call, g, a.axes, a.keepdims)};
          },
      .jvp = [](const Call& call,
                const Tensors& t) { return apply_op(call.op, {t[0]}, call.attributes, call.where); },
      .samples = [] { return with_small(reductions(ReduceAttributes{}), ReduceAttributes{}); },
      .errors = [] { return axis_errors(ReduceAttributes{}); },
  });
  mean_ = define({
      .name = "mean",
      .doc = "sum of x over axes, divided by the number of entries",
      .contract = "NaN over no elements",
      .attributes = attributes_of<ReduceAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<ReduceAttributes>();
            return reduced_floating(call, a.axes, a.keepdims);
          },
      .kernel = typed<Mean, DType::float32>,
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto& a = call.attrs<ReduceAttributes>();
            const Tensor share = multiply(Operand(g, call.where), 1.0 / count(call, a.axes));
            return Tensors{repeated(call, share, a.axes, a.keepdims)};
          },
      .jvp = [](const Call& call,
                const Tensors& t) { return apply_op(call.op, {t[0]}, call.attributes, call.where); },
      .samples = [] { return reductions(ReduceAttributes{}); },
      .errors = [] { return floating_errors(ReduceAttributes{}); },
  });
  max_ = define({
      .name = "max",
      .doc = "the largest entry of x over axes",
      .contract = "shared evenly among ties; NaN where the result is NaN",
      .attributes = attributes_of<ReduceAttributes>,
      .infer = reduced_nonempty,
      .kernel = typed<Max, DType::bool_>,
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = shared_among_ties,
      .samples = [] { return reductions(ReduceAttributes{}); },
      .errors = [] { return empty_errors(); },
  });
  min_ = define({
      .name = "min",
      .doc = "the smallest entry of x over axes",
      .contract = "shared evenly among ties; NaN where the result is NaN",
      .attributes = attributes_of<ReduceAttributes>,
      .infer = reduced_nonempty,
      .kernel = typed<Min, DType::bool_>,
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = shared_among_ties,
      .samples = [] { return reductions(ReduceAttributes{}); },
      .errors = [] { return empty_errors(); },
  });
  var_ = define({
      .name = "var",
      .doc = "sum of (x - mean)^2 over axes, divided by n - ddof",
      .contract = "one element with ddof 1: NaN, derivative NaN",
      .attributes = attributes_of<VarAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<VarAttributes>();
            return reduced_floating(call, a.axes, a.keepdims);
          },
      .kernel = typed<Variance, DType::float32>,
      .reads = reads_inputs(0),
      .vjp = variance_vjp,
      .samples =
          [] {
            return reductions(VarAttributes{{}, false, 0});
          },
      .errors = [] { return floating_errors(VarAttributes{}); },
  });
  std_ = define({
      .name = "std",
      .doc = "square root of the variance of x over axes",
      .contract = "a constant vector: 0; one element with ddof 1: NaN",
      .attributes = attributes_of<VarAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<VarAttributes>();
            return reduced_floating(call, a.axes, a.keepdims);
          },
      .kernel = typed<Deviation, DType::float32>,
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = deviation_vjp,
      .samples =
          [] {
            return reductions(VarAttributes{{}, false, 1});
          },
      .errors = [] { return floating_errors(VarAttributes{}); },
  });
  logsumexp_ = define({
      .name = "logsumexp",
      .doc = "log(sum(exp(x))) over axes",
      .contract = "0 at -inf, also where all are -inf; NaN at +inf",
      .attributes = attributes_of<ReduceAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<ReduceAttributes>();
            return reduced_floating(call, a.axes, a.keepdims);
          },
      .kernel = typed<LogSumExp, DType::float32>,
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = logsumexp_vjp,
      .samples = [] { return reductions(ReduceAttributes{}); },
      .errors = [] { return floating_errors(ReduceAttributes{}); },
  });
  argmax_ = define({
      .name = "argmax",
      .doc = "position of the first largest entry of x along an axis",
      .contract = "0 by definition: the result is an integer",
      .attributes = attributes_of<ArgmaxAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<ArgmaxAttributes>();
            if (a.axis < 0 || a.axis >= call.shape(0).size())
              detail::fail_shapes(call, "an axis that the tensor does not have");
            if (call.shape(0)[static_cast<int>(a.axis)] == 0)
              detail::fail_values(call, "axis " + std::to_string(a.axis) + " has no entries");
            const AxisSet axes{static_cast<std::uint8_t>(1u << a.axis)};
            return Meta{DType::int64, without(call.shape(0), axes, a.keepdims)};
          },
      .kernel = typed<Argmax, DType::bool_>,
      .differentiable = false,
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 4})}, ArgmaxAttributes{1, false})
                .with({samples::values({3, 4, 2}, 1)}, ArgmaxAttributes{1, true})
                .with({samples::values({5}, 2)}, ArgmaxAttributes{0, false})
                .with({samples::values({0, 4})}, ArgmaxAttributes{1, false});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({3, 4})}, ArgmaxAttributes{2, false})
                .fails_with("an axis that the tensor does not have: x is float64[3, 4]")
                .with({zeros({2, 0})}, ArgmaxAttributes{1, false})
                .fails_with("axis 1 has no entries: x is float32[2, 0]");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace {

/// x, and integers and bools as float64.
Tensor floating(const Tensor& x, const SourceLocation& where) {
  return is_floating(x.dtype()) ? x : cast(x, DType::float64, where);
}

Tensor reduce(const OperatorDefinition& op, const Tensor& x, const Axes& axes, bool keepdims,
              const SourceLocation& where) {
  const AxisSet bits{detail::resolve_axes(op.name.c_str(), axes, x.dtype(), x.shape(), where)};
  const ReduceAttributes a{bits, keepdims};
  return apply_op(op, {x}, &a, where);
}

Tensor deviation(const OperatorDefinition& op, const Tensor& x, const Axes& axes, bool keepdims, int ddof,
                 const SourceLocation& where) {
  const AxisSet bits{detail::resolve_axes(op.name.c_str(), axes, x.dtype(), x.shape(), where)};
  const VarAttributes a{bits, keepdims, ddof};
  return apply_op(op, {floating(x, where)}, &a, where);
}

}  // namespace

Tensor sum(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  if (x.dtype() == DType::bool_) return reduce(*sum_, cast(x, DType::int64, where), axes, keepdims, where);
  return reduce(*sum_, x, axes, keepdims, where);
}
Tensor mean(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  return reduce(*mean_, floating(x, where), axes, keepdims, where);
}
Tensor max(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  return reduce(*max_, x, axes, keepdims, where);
}
Tensor min(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  return reduce(*min_, x, axes, keepdims, where);
}
Tensor var(const Tensor& x, const Axes& axes, bool keepdims, int ddof, SourceLocation where) {
  return deviation(*var_, x, axes, keepdims, ddof, where);
}
Tensor std(const Tensor& x, const Axes& axes, bool keepdims, int ddof, SourceLocation where) {
  return deviation(*std_, x, axes, keepdims, ddof, where);
}
Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  return reduce(*logsumexp_, floating(x, where), axes, keepdims, where);
}
Tensor argmax(const Tensor& x, SourceLocation where) {
  if (x.size() == 0) throw ValueError("argmax", "there are no entries: x is " + describe(x), where);
  const ArgmaxAttributes a{0, false};
  return apply_op(*argmax_, {reshape(x, {x.size()}, where)}, &a, where);
}
Tensor argmax(const Tensor& x, int axis, bool keepdims, SourceLocation where) {
  const ArgmaxAttributes a{detail::resolve_axis("argmax", axis, x.dtype(), x.shape(), where), keepdims};
  return apply_op(*argmax_, {x}, &a, where);
}

#endif

}  // namespace wengert
