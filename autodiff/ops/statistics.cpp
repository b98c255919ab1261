#include "autodiff/ops/statistics.hpp"

#include <algorithm>

#include "autodiff/kernels/reduce.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/reduction.hpp"
#include "autodiff/ops/reduction_rules.hpp"
#include "autodiff/ops/scratch.hpp"

namespace wengert {
namespace {

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

const OperatorDefinition *var_, *std_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

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

template <class T>
void variance_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  constexpr std::int64_t most = 64;
  alignas(64) T scratch[most];
  T* const out = reinterpret_cast<T*>(slots[op.out]);
  const T* const x = reinterpret_cast<const T*>(slots[op.in[0]]);
  const std::int64_t ddof = static_cast<const VarAttributes*>(op.attributes)->ddof;
  for (std::int64_t r = 0; r < rows; r += most)
    kernels::variance(out + r, scratch, x + r * cols, {rows - r < most ? rows - r : most, cols}, {cols, 1},
                      2u, ddof);
}

template <class T>
void deviation_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  variance_rows<T>(slots, op, rows, cols);
  using V = kernels::Native<T>;
  T* const y = reinterpret_cast<T*>(slots[op.out]);
  for (std::int64_t i = 0; i < rows; i += V::width) sqrt(V::load(y + i)).store(y + i);
}

[[maybe_unused]] Tensors variance_vjp(const Call& call, const Tensor& g) {
  const auto& a = call.attrs<VarAttributes>();
  const Tensor x = call.input(0);
  const double divisor = std::max(count(call, a.axes) - static_cast<double>(a.ddof), 0.0);
  const Tensor centred = subtract(Operand(x, call.where), mean(x, list_of(a.axes), true, call.where));
  const Tensor scale = multiply(Operand(g, call.where), 2.0 / divisor);
  return {multiply(Operand(centred, call.where), kept(call, scale, a.axes, a.keepdims))};
}

[[maybe_unused]] Tensors deviation_vjp(const Call& call, const Tensor& g) {
  const auto& a = call.attrs<VarAttributes>();
  const Tensor x = call.input(0), y = call.output();
  const double divisor = std::max(count(call, a.axes) - static_cast<double>(a.ddof), 0.0);
  const Tensor centred = subtract(Operand(x, call.where), mean(x, list_of(a.axes), true, call.where));
  // The inner choice keeps the branch that is not taken finite, for derivatives of this one.
  const Tensor constant = equal(Operand(y, call.where), 0.0);
  const Tensor slope = divide(Operand(g, call.where), divisor * where(constant, Operand(1.0, call.where), y));
  const Tensor scale = where(constant, Operand(0.0, call.where), slope);
  return {multiply(Operand(centred, call.where), kept(call, scale, a.axes, a.keepdims))};
}

}  // namespace

void statistics() {
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
      .row = {.kernel = {nullptr, nullptr, variance_rows<float>, variance_rows<double>},
              .fits = over_last_axis<VarAttributes>,
              .column_result = true},
      .takes_memory = true,
      .reads = reads_inputs(0),
      .vjp = variance_vjp,
      .flops = flops_per_input<4>,
      .samples =
          [] {
            return with_small(reductions(VarAttributes{{}, false, 0}), VarAttributes{{}, false, 0});
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
      .row = {.kernel = {nullptr, nullptr, deviation_rows<float>, deviation_rows<double>},
              .fits = over_last_axis<VarAttributes>,
              .column_result = true},
      .takes_memory = true,
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = deviation_vjp,
      .flops = flops_per_input<4>,
      .samples =
          [] {
            return with_small(reductions(VarAttributes{{}, false, 1}), VarAttributes{{}, false, 0});
          },
      .errors = [] { return floating_errors(VarAttributes{}); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace {

Tensor deviation(const OperatorDefinition& op, const Tensor& x, const Axes& axes, bool keepdims, int ddof,
                 const SourceLocation& where) {
  const VarAttributes a{ops::set_of(op, x, axes, where), keepdims, ddof};
  return apply_op(op, {ops::floating(x, where)}, &a, where);
}

}  // namespace

Tensor var(const Tensor& x, const Axes& axes, bool keepdims, int ddof, SourceLocation where) {
  return deviation(*var_, x, axes, keepdims, ddof, where);
}
Tensor std(const Tensor& x, const Axes& axes, bool keepdims, int ddof, SourceLocation where) {
  return deviation(*std_, x, axes, keepdims, ddof, where);
}

#endif

}  // namespace wengert
