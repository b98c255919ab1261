#include "autodiff/ops/reduction.hpp"

#include "autodiff/kernels/argmax.hpp"
#include "autodiff/kernels/columns.hpp"
#include "autodiff/kernels/reduce.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/indexing_rules.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/reduction_rules.hpp"

namespace wengert {
namespace {

struct ArgmaxAttributes {
  std::int64_t axis;
  bool keepdims;
  template <class V>
  void visit(V&& v) const {
    v("axis", axis);
    v("keepdims", keepdims);
  }
};

const OperatorDefinition *sum_, *mean_, *max_, *min_, *argmax_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

[[maybe_unused]] Meta reduced_nonempty(const Call& call) {
  const auto& a = call.attrs<ReduceAttributes>();
  const Meta meta = reduced(call, a.axes, a.keepdims);
  for (int i = 0; i < call.shape(0).size(); ++i)
    if (a.axes.contains(i) && call.shape(0)[i] == 0)
      detail::fail_values(call, "axis " + std::to_string(i) + " has no entries");
  return meta;
}

// -------------------------------------------------------------------------------------------------- kernels

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

struct Argmax {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    kernels::argmax(out.as<std::int64_t>(), call[0].as<T>(), call[0].shape, call[0].strides,
                    static_cast<int>(call.attrs<ArgmaxAttributes>().axis));
  }
};

// Over the last axis, row by row: the same steps as reduce() takes there.

template <class Op, class T>
void reduce_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  T* const out = reinterpret_cast<T*>(slots[op.out]);
  const T* const x = reinterpret_cast<const T*>(slots[op.in[0]]);
  for (std::int64_t r = 0; r < rows; ++r)
    out[r] = kernels::reduce_all(Op{}, kernels::Identity{}, x + r * cols, cols);
}

/// Few rows in the order in which the operator adds them.
template <class T>
void add_tile_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  kernels::add_rows(reinterpret_cast<T*>(slots[op.out]), reinterpret_cast<const T*>(slots[op.in[0]]), rows,
                    cols, *static_cast<const std::int64_t*>(op.attributes) <= kernels::few_rows);
}

/// mean = sum / n, a division and no product with 1 / n: the bits are those of dividing the sum.
template <class T>
void mean_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  reduce_rows<kernels::Plus, T>(slots, op, rows, cols);
  T* const out = reinterpret_cast<T*>(slots[op.out]);
  for (std::int64_t r = 0; r < rows; ++r) out[r] /= static_cast<T>(cols);
}

template <class T>
void argmax_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  kernels::argmax(reinterpret_cast<std::int64_t*>(slots[op.out]), reinterpret_cast<const T*>(slots[op.in[0]]),
                  {rows, cols}, {cols, 1}, 1);
}

[[maybe_unused]] bool sums_rows(const Call& call) {
  const unsigned axes = call.attrs<ReduceAttributes>().axes.bits;
  return axes != 0 && leading(axes);
}

// ---------------------------------------------------------------------------------------------- derivatives

[[maybe_unused]] Tensor repeated(const Call& call, const Tensor& y, AxisSet axes, bool keepdims) {
  return broadcast_to(kept(call, y, axes, keepdims), call.shape(0), call.where);
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

// -------------------------------------------------------------------------------------------------- samples

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
      .row = {.kernel = {nullptr, reduce_rows<kernels::Plus, std::int64_t>, reduce_rows<kernels::Plus, float>,
                         reduce_rows<kernels::Plus, double>},
              .fits = over_last_axis<ReduceAttributes>,
              .column_result = true,
              .sums_rows = sums_rows,
              .add_rows = {nullptr, nullptr, add_tile_rows<float>, add_tile_rows<double>}},
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto& a = call.attrs<ReduceAttributes>();
            return Tensors{repeated(call, g, a.axes, a.keepdims)};
          },
      .jvp = [](const Call& call,
                const Tensors& t) { return apply_op(call.op, {t[0]}, call.attributes, call.where); },
      .rewrite =
          [](Rewriting& r) {  // of what is zero but for one entry a row
            static const OperatorDefinition& squeeze = *find_operator("squeeze");
            const auto& a = r.call->attrs<ReduceAttributes>();
            const auto places =
                over_last_axis<ReduceAttributes>(*r.call) ? Places::of(r, r.inputs[0]) : std::nullopt;
            const auto entry = places ? places->sum(r) : r.none;
            if (entry == r.none || a.keepdims) return entry;
            const AxesAttributes last{a.axes};
            return r.make(squeeze, {entry}, &last);
          },
      .flops = flops_per_input<1>,
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
      .row = {.kernel = {nullptr, nullptr, mean_rows<float>, mean_rows<double>},
              .fits = over_last_axis<ReduceAttributes>,
              .column_result = true},
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto& a = call.attrs<ReduceAttributes>();
            const Tensor share = multiply(Operand(g, call.where), 1.0 / count(call, a.axes));
            return Tensors{repeated(call, share, a.axes, a.keepdims)};
          },
      .jvp = [](const Call& call,
                const Tensors& t) { return apply_op(call.op, {t[0]}, call.attributes, call.where); },
      .rewrite =
          [](Rewriting& r) {  // a sum joins the loop of what it adds up
            static const OperatorDefinition& divide = *find_operator("divide");
            if (!sums_rows(*r.call)) return r.none;
            const double n = count(*r.call, r.call->attrs<ReduceAttributes>().axes);
            const auto total = r.make(*sum_, r.inputs, r.call->attributes);
            return r.make(divide, {total, r.number(n, r.dtype)});
          },
      .flops = flops_per_input<1>,
      .samples = [] { return with_small(reductions(ReduceAttributes{}), ReduceAttributes{}); },
      .errors = [] { return floating_errors(ReduceAttributes{}); },
  });
  max_ = define({
      .name = "max",
      .doc = "the largest entry of x over axes",
      .contract = "shared evenly among ties; NaN where the result is NaN",
      .attributes = attributes_of<ReduceAttributes>,
      .infer = reduced_nonempty,
      .kernel = typed<Max, DType::bool_>,
      .row = {.kernel = {reduce_rows<kernels::Max, bool>, reduce_rows<kernels::Max, std::int64_t>,
                         reduce_rows<kernels::Max, float>, reduce_rows<kernels::Max, double>},
              .fits = over_last_axis<ReduceAttributes>,
              .column_result = true},
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = shared_among_ties,
      .flops = flops_per_input<1>,
      .samples =
          [] { return reductions(ReduceAttributes{}).with({samples::values({}, 6)}, ReduceAttributes{}); },
      .errors = [] { return empty_errors(); },
  });
  min_ = define({
      .name = "min",
      .doc = "the smallest entry of x over axes",
      .contract = "shared evenly among ties; NaN where the result is NaN",
      .attributes = attributes_of<ReduceAttributes>,
      .infer = reduced_nonempty,
      .kernel = typed<Min, DType::bool_>,
      .row = {.kernel = {reduce_rows<kernels::Min, bool>, reduce_rows<kernels::Min, std::int64_t>,
                         reduce_rows<kernels::Min, float>, reduce_rows<kernels::Min, double>},
              .fits = over_last_axis<ReduceAttributes>,
              .column_result = true},
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = shared_among_ties,
      .flops = flops_per_input<1>,
      .samples =
          [] { return reductions(ReduceAttributes{}).with({samples::values({}, 6)}, ReduceAttributes{}); },
      .errors = [] { return empty_errors(); },
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
      .row = {.kernel = {argmax_rows<bool>, argmax_rows<std::int64_t>, argmax_rows<float>,
                         argmax_rows<double>},
              .fits =
                  [](const Call& call) {
                    return call.attrs<ArgmaxAttributes>().axis == call.shape(0).size() - 1;
                  },
              .column_result = true},
      .differentiable = false,
      .flops = flops_per_input<1>,
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
                .with({samples::values({})}, ArgmaxAttributes{0, false})
                .fails_with("an axis that the tensor does not have: x is float64[]")
                .with({zeros({2, 0})}, ArgmaxAttributes{1, false})
                .fails_with("axis 1 has no entries: x is float32[2, 0]");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

using ops::floating;
using ops::reduce;

Tensor sum(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  if (x.dtype() == DType::bool_) return reduce(*sum_, cast(x, DType::int64, where), axes, keepdims, where);
  return reduce(*sum_, x, axes, keepdims, where);
}
Tensor ops::sum_leading(const Tensor& x, int ndim, const SourceLocation& where) {
  const ops::ReduceAttributes a{{static_cast<std::uint8_t>((1u << (x.ndim() - ndim)) - 1)}, false};
  detail::TensorImpl* const input = x.get();
  return apply_op(*sum_, &input, 1, &a, where);
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
