#include "autodiff/ops/softmax.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "autodiff/kernels/interval.hpp"
#include "autodiff/kernels/reduce.hpp"
#include "autodiff/kernels/softmax.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/indexing_rules.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/math.hpp"
#include "autodiff/ops/reduction.hpp"
#include "autodiff/ops/reduction_rules.hpp"
#include "autodiff/ops/scratch.hpp"
#include "autodiff/ops/softmax_parts.hpp"

namespace wengert {
namespace {

const OperatorDefinition *softmax_, *log_softmax_, *log_softmax_from_p_, *softmax_vjp_, *log_softmax_vjp_,
    *log_softmax_vjp_from_p_, *logsumexp_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

/// All inputs have the result's shape and type.
[[maybe_unused]] Meta same_shape(const Call& call) {
  const std::int64_t axis = call.attrs<AxisAttributes>().axis;
  if (!is_floating(call.dtype(0))) detail::fail_dtypes(call, "takes float32 and float64");
  if (axis < 0 || axis >= call.shape(0).size())
    detail::fail_shapes(call, "an axis that the tensor does not have");
  for (std::uint32_t i = 1; i < call.size(); ++i) {
    if (call.dtype(i) != call.dtype(0)) detail::fail_dtypes(call, "the element types differ");
    if (call.shape(i) != call.shape(0)) detail::fail_shapes(call, "the shapes differ");
  }
  return {call.dtype(0), call.shape(0)};
}

/// The array as [outer, n, inner], with the axis in the middle.
struct Extent {
  std::int64_t outer = 1, n, inner = 1;
  WENGERT_INLINE explicit Extent(const Call& call) {
    const Shape& shape = call.shape(0);
    const int axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    n = shape[axis];
    for (int i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  }
};

template <bool logarithm, class T>
WENGERT_INLINE void forward(const Call& call, detail::TensorImpl& out) {
  const Extent e(call);
  const Contiguous<T> x(call[0]);
  if constexpr (logarithm)
    kernels::log_softmax(out.as<T>(), x.data(), e.outer, e.n, e.inner);
  else
    kernels::softmax(out.as<T>(), x.data(), e.outer, e.n, e.inner);
}

template <class T>
WENGERT_INLINE void forward_from_p(const Call& call, detail::TensorImpl& out) {
  const Extent e(call);
  const Contiguous<T> x(call[0]), p(call[1]);
  kernels::log_softmax_from_p(out.as<T>(), x.data(), p.data(), e.outer, e.n, e.inner);
}
inline void forward_from_p_kernel(const Call& call, detail::TensorImpl& out) {
  call.dtype(0) == DType::float32 ? forward_from_p<float>(call, out) : forward_from_p<double>(call, out);
}

template <bool logarithm, class T>
WENGERT_INLINE void backward(const Call& call, detail::TensorImpl& out) {
  const Extent e(call);
  const Contiguous<T> g(call[0]), y(call[1]);
  if constexpr (logarithm)
    kernels::log_softmax_backward(out.as<T>(), g.data(), y.data(), e.outer, e.n, e.inner);
  else
    kernels::softmax_backward(out.as<T>(), g.data(), y.data(), e.outer, e.n, e.inner);
}

/// With exp(y) at hand.
template <class T>
WENGERT_INLINE void backward_from_p(const Call& call, detail::TensorImpl& out) {
  const Extent e(call);
  const Contiguous<T> g(call[0]), y(call[1]), p(call[2]);
  kernels::log_softmax_backward_from_p(out.as<T>(), g.data(), y.data(), p.data(), e.outer, e.n, e.inner);
}
inline void backward_from_p_kernel(const Call& call, detail::TensorImpl& out) {
  call.dtype(0) == DType::float32 ? backward_from_p<float>(call, out) : backward_from_p<double>(call, out);
}

template <bool logarithm>
void forward_kernel(const Call& call, detail::TensorImpl& out) {
  call.dtype(0) == DType::float32 ? forward<logarithm, float>(call, out)
                                  : forward<logarithm, double>(call, out);
}
template <bool logarithm>
void backward_kernel(const Call& call, detail::TensorImpl& out) {
  call.dtype(0) == DType::float32 ? backward<logarithm, float>(call, out)
                                  : backward<logarithm, double>(call, out);
}

struct LogSumExp {
  template <class T>
  static void run(const Call& call, detail::TensorImpl& out) {
    Scratch scratch(out.dtype, out.shape);
    kernels::logsumexp(out.as<T>(), scratch.as<T>(), call[0].as<T>(), call[0].shape, call[0].strides,
                       call.attrs<ReduceAttributes>().axes.bits);
  }
};

/// out = f(inputs...) of the functions in kernels/softmax.hpp, which take [outer, n, inner].
template <auto f, class T, class... In>
void softmax_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  int i = 0;
  const T* in[sizeof...(In)] = {reinterpret_cast<const In*>(slots[op.in[i++]])...};
  T* const out = reinterpret_cast<T*>(slots[op.out]);
  if constexpr (sizeof...(In) == 1)
    f(out, in[0], rows, cols, 1);
  else if constexpr (sizeof...(In) == 2)
    f(out, in[0], in[1], rows, cols, 1);
  else
    f(out, in[0], in[1], in[2], rows, cols, 1);
}

template <class T>
void logsumexp_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  constexpr std::int64_t most = 64;
  alignas(64) T scratch[most];
  T* out = reinterpret_cast<T*>(slots[op.out]);
  const T* x = reinterpret_cast<const T*>(slots[op.in[0]]);
  for (std::int64_t r = 0; r < rows; r += most) {
    const std::int64_t n = rows - r < most ? rows - r : most;
    kernels::logsumexp(out + r, scratch, x + r * cols, {n, cols}, {cols, 1}, 2u);
  }
}

[[maybe_unused]] bool along_last_axis(const Call& call) {
  return call.attrs<AxisAttributes>().axis == call.shape(0).size() - 1;
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

[[maybe_unused]] Samples logits() {
  return Samples()
      .with({samples::values({3, 4})}, AxisAttributes{1})
      .with({samples::values({3, 4}, 1)}, AxisAttributes{0})
      .with({samples::values({2, 3, 2}, 2)}, AxisAttributes{1})
      .with({samples::values({19}, 3)}, AxisAttributes{0})
      .with({samples::values({1, 1}, 4)}, AxisAttributes{1})
      .with({samples::values({0, 3}, 5)}, AxisAttributes{1});
}

[[maybe_unused]] Samples logit_errors() {
  return Samples()
      .with({samples::values({2, 3})}, AxisAttributes{2})
      .fails_with("an axis that the tensor does not have: x is float64[2, 3]")
      .with({samples::values({})}, AxisAttributes{0})
      .fails_with("an axis that the tensor does not have: x is float64[]")
      .with({tensor({1, 2})}, AxisAttributes{0})
      .fails_with("takes float32 and float64: x is int64[2]");
}

[[maybe_unused]] Tensor log_softmax_vjp(const Call& call, const Tensor& p) {
  const int axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
  const Tensor y = call.input(1);
  const Tensor masked = equal(Operand(y, call.where), -std::numeric_limits<double>::infinity());
  const Tensor g = wengert::where(masked, Operand(0.0, call.where), call.input(0));
  const Tensor total = wengert::sum(g, axis, true, call.where);
  return subtract(Operand(g, call.where), multiply(Operand(p, call.where), total));
}

/// A cotangent and a result for each of the samples above.
[[maybe_unused]] Samples results(const OperatorDefinition& op) {
  Samples list;
  const Samples inputs = logits();
  for (const Sample& sample : inputs.list()) {
    const Tensor y = apply_op(op, sample.inputs, sample.attribute_data(), {});
    AxisAttributes a;
    std::memcpy(&a, sample.attribute_data(), sizeof a);
    list.with({samples::values(y.shape(), 7), y}, a);
  }
  return list;
}

/// x and softmax(x) for each of the samples above.
[[maybe_unused]] Samples logits_and_p() {
  Samples list;
  const Samples inputs = logits();
  for (const Sample& s : inputs.list()) {
    AxisAttributes a;
    std::memcpy(&a, s.attribute_data(), sizeof a);
    list.with({s.inputs[0], apply_op(*softmax_, s.inputs, &a, {})}, a);
  }
  return list;
}

[[maybe_unused]] Samples result_errors() {
  return Samples()
      .with({samples::values({2, 3}), samples::values({3, 2})}, AxisAttributes{1})
      .fails_with("the shapes differ: a is float64[2, 3], b is float64[3, 2]")
      .with({samples::values({}), samples::values({})}, AxisAttributes{0})
      .fails_with("an axis that the tensor does not have");
}

[[maybe_unused]] const OperatorDefinition& named(const char* name) { return *find_operator(name); }

/// Where a program has p = softmax(x), or wants exp of the result, which is the same, the exponentials of
/// log_softmax(x) are there, and with parts for the derivative alone as well. Otherwise that would not pay: a
/// pass that computes exponentials is exchanged for two that read and write. Small results keep the bits of
/// eager code.
[[maybe_unused]] Rewriting::Value share_exponentials(Rewriting& r) {
  static const OperatorDefinition& exp = named("exp");
  if (!r.large()) return r.none;
  const bool parts = along_last_axis(*r.call) && SoftmaxParts::fit(r);
  if (!r.read_by(exp) && !r.input_read_by(0, *softmax_) && !(parts && r.read_by(*log_softmax_vjp_)))
    return r.none;
  const auto x = r.inputs[0];
  Rewriting::Value p, y;
  if (parts) {
    const SoftmaxParts of(r);
    p = of.p();
    y = of.log_p();
  } else {
    p = r.make(*softmax_, {x}, r.call->attributes);
    y = r.make(*log_softmax_from_p_, {x, p}, r.call->attributes);
  }
  r.state(exp, y, p);
  return y;
}

[[maybe_unused]] Rewriting::Value share_with_log_softmax(Rewriting& r) {
  if (along_last_axis(*r.call) && SoftmaxParts::fit(r) && r.input_read_by(0, *log_softmax_))
    return SoftmaxParts(r).p();
  return r.find(*softmax_, {r.inputs[0]}, r.call->attributes);
}

/// log_softmax_vjp of a cotangent g that is zero but for one entry in each row: its sum is that entry.
[[maybe_unused]] Rewriting::Value log_softmax_vjp_of_one(Rewriting& r, Rewriting::Value p) {
  const auto y = r.inputs[1];
  const auto g = r.large() && along_last_axis(*r.call) ? Places::of(r, r.inputs[0]) : std::nullopt;
  if (!g) return r.none;
  static const OperatorDefinition &exp = named("exp"), &equal = named("equal"), &where = named("where"),
                                  &product = named("safe_multiply"), &negative = named("negative");
  const auto masked =
      r.make(equal, {g->take(r, y), r.number(-std::numeric_limits<double>::infinity(), r.dtype)});
  const auto total = r.make(where, {masked, r.number(0.0, r.dtype), g->value(r)});
  if (p == r.none) p = r.make(exp, {y});
  return g->add(r, r.make(product, {p, r.make(negative, {total})}), total);
}

[[maybe_unused]] Tensors vjp_by(const OperatorDefinition& op, const Call& call, const Tensor& g) {
  return {apply_op(op, {g, call.output()}, call.attributes, call.where)};
}

}  // namespace

void softmax() {
  softmax_vjp_ = define({
      .name = "softmax_vjp",
      .doc = "y (g - sum(g y)): the derivative of softmax from its result y and a cotangent g",
      .contract = "0 where y is 0, whatever g is there",
      .inputs = 2,
      .attributes = attributes_of<AxisAttributes>,
      .infer = same_shape,
      .kernel = backward_kernel<false>,
      .row = {.kernel = {nullptr, nullptr,
                         softmax_rows<kernels::softmax_backward<float>, float, float, float>,
                         softmax_rows<kernels::softmax_backward<double>, double, double, double>},
              .fits = along_last_axis},
      .reads = reads_inputs(0, 1),
      .compose =
          [](const Call& call) {
            const int axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
            const Tensor g = call.input(0), y = call.input(1);
            const Tensor total =
                wengert::sum(safe_multiply(Operand(y, call.where), g), axis, true, call.where);
            return safe_multiply(Operand(y, call.where), subtract(Operand(g, call.where), total));
          },
      .flops = flops_per_input<4>,
      .samples = [] { return results(*softmax_); },
      .errors = [] { return result_errors(); },
  });
  log_softmax_vjp_from_p_ = define({
      .name = "log_softmax_vjp_from_p",
      .doc = "g - p sum(g): log_softmax_vjp from a cotangent g, the result y and p = exp(y)",
      .contract = "0 where y is -inf, and g counts for nothing there; by y zero",
      .inputs = 3,
      .attributes = attributes_of<AxisAttributes>,
      .infer = same_shape,
      .kernel = backward_from_p_kernel,
      .row =
          {.kernel =
               {nullptr, nullptr,
                softmax_rows<kernels::log_softmax_backward_from_p<float>, float, float, float, float>,
                softmax_rows<kernels::log_softmax_backward_from_p<double>, double, double, double, double>},
           .fits = along_last_axis},
      .reads = reads_inputs(0, 1, 2),
      .compose = [](const Call& call) { return log_softmax_vjp(call, call.input(2)); },
      .flops = flops_per_input<3>,
      .samples =
          [] {
            Samples list;
            const Samples pairs = results(*log_softmax_);
            for (const Sample& s : pairs.list()) {
              AxisAttributes a;
              std::memcpy(&a, s.attribute_data(), sizeof a);
              list.with({s.inputs[0], s.inputs[1], exp(s.inputs[1])}, a);
            }
            return list;
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3}), samples::values({2, 3}), samples::values({3, 2})},
                      AxisAttributes{1})
                .fails_with("the shapes differ")
                .with({samples::values({}), samples::values({}), samples::values({})}, AxisAttributes{0})
                .fails_with("an axis that the tensor does not have");
          },
  });
  log_softmax_vjp_ = define({
      .name = "log_softmax_vjp",
      .doc = "g - exp(y) sum(g): the derivative of log_softmax from its result y and a cotangent g",
      .contract = "0 where y is -inf, and g counts for nothing there",
      .inputs = 2,
      .attributes = attributes_of<AxisAttributes>,
      .infer = same_shape,
      .kernel = backward_kernel<true>,
      .row = {.kernel = {nullptr, nullptr,
                         softmax_rows<kernels::log_softmax_backward<float>, float, float, float>,
                         softmax_rows<kernels::log_softmax_backward<double>, double, double, double>},
              .fits = along_last_axis},
      .reads = reads_inputs(0, 1),
      .compose = [](const Call& call) { return log_softmax_vjp(call, exp(call.input(1), call.where)); },
      .rewrite =
          [](Rewriting& r) {  // the loss may have computed the exponentials
            static const OperatorDefinition& exp = *find_operator("exp");
            const auto p = r.find(exp, {r.inputs[1]});
            if (const auto dx = log_softmax_vjp_of_one(r, p); dx != r.none) return dx;
            if (p == r.none) return r.none;
            return r.make(*log_softmax_vjp_from_p_, {r.inputs[0], r.inputs[1], p}, r.call->attributes);
          },
      .flops = flops_per_input<4>,
      .samples = [] { return results(*log_softmax_); },
      .errors = [] { return result_errors(); },
  });
  softmax_ = define({
      .name = "softmax",
      .doc = "exp(x) / sum(exp(x)) along an axis",
      .contract = "-inf is a mask: 0, derivative 0; a row of masks is NaN",
      .attributes = attributes_of<AxisAttributes>,
      .infer = same_shape,
      .kernel = forward_kernel<false>,
      .row = {.kernel = {nullptr, nullptr, softmax_rows<kernels::softmax<float>, float, float>,
                         softmax_rows<kernels::softmax<double>, double, double>},
              .fits = along_last_axis},
      .reads_output = true,
      .vjp = [](const Call& call, const Tensor& g) { return vjp_by(*softmax_vjp_, call, g); },
      .rewrite = share_with_log_softmax,
      .range = [](const kernels::Interval* x,
                  const Shape&) { return x->is_finite() ? kernels::Interval(0, 1.00001) : *x; },
      .flops = flops_per_input<5>,
      .samples = [] { return logits(); },
      .errors = [] { return logit_errors(); },
  });
  log_softmax_ = define({
      .name = "log_softmax",
      .doc = "x - log(sum(exp(x))) along an axis",
      .contract = "-inf is a mask: -inf, derivative 0; a row of masks is NaN",
      .attributes = attributes_of<AxisAttributes>,
      .infer = same_shape,
      .kernel = forward_kernel<true>,
      .row = {.kernel = {nullptr, nullptr, softmax_rows<kernels::log_softmax<float>, float, float>,
                         softmax_rows<kernels::log_softmax<double>, double, double>},
              .fits = along_last_axis},
      .reads_output = true,
      .vjp = [](const Call& call, const Tensor& g) { return vjp_by(*log_softmax_vjp_, call, g); },
      .rewrite = share_exponentials,
      .range =
          [](const kernels::Interval* x, const Shape& shape) {
            const double count = static_cast<double>(shape.elements());
            return kernels::Interval(x->low() - x->high() - 1.01 * std::log(count) - 1.0, 1e-5);
          },
      .flops = flops_per_input<5>,
      .samples = [] { return logits(); },
      .errors = [] { return logit_errors(); },
  });
  log_softmax_from_p_ = define({
      .name = "log_softmax_from_p",
      .doc = "x - max(x) + log(max(p)) along an axis: log_softmax(x) from x and p = softmax(x)",
      .contract = "-inf is a mask: -inf, derivative 0; a row of masks is NaN",
      .inputs = 2,
      .attributes = attributes_of<AxisAttributes>,
      .infer = same_shape,
      .kernel = forward_from_p_kernel,
      .row = {.kernel = {nullptr, nullptr,
                         softmax_rows<kernels::log_softmax_from_p<float>, float, float, float>,
                         softmax_rows<kernels::log_softmax_from_p<double>, double, double, double>},
              .fits = along_last_axis},
      .reads = reads_inputs(0, 1),
      .compose =
          [](const Call& call) {
            const int axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
            const Tensor x = call.input(0), p = call.input(1);
            const Tensor shift = wengert::max(x, axis, true, call.where);
            const Tensor total = log(wengert::max(p, axis, true, call.where), call.where);
            return add(subtract(Operand(x, call.where), shift), total);
          },
      .flops = flops_per_input<3>,
      .samples = [] { return logits_and_p(); },
      .errors = [] { return result_errors(); },
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
      .row = {.kernel = {nullptr, nullptr, logsumexp_rows<float>, logsumexp_rows<double>},
              .fits = over_last_axis<ReduceAttributes>,
              .column_result = true},
      .takes_memory = true,
      .reads = reads_inputs(0),
      .reads_output = true,
      .vjp = logsumexp_vjp,
      .flops = flops_per_input<4>,
      .samples = [] { return with_small(reductions(ReduceAttributes{}), ReduceAttributes{}); },
      .errors = [] { return floating_errors(ReduceAttributes{}); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace {

Tensor normalised(const OperatorDefinition& op, const Tensor& x, int axis, const SourceLocation& where) {
  const ops::AxisAttributes a{detail::resolve_axis(op.name.c_str(), axis, x.dtype(), x.shape(), where)};
  return apply_op(op, {ops::floating(x, where)}, &a, where);
}

}  // namespace

Tensor softmax(const Tensor& x, int axis, SourceLocation where) {
  return normalised(*softmax_, x, axis, where);
}
Tensor log_softmax(const Tensor& x, int axis, SourceLocation where) {
  return normalised(*log_softmax_, x, axis, where);
}
Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdims, SourceLocation where) {
  return ops::reduce(*logsumexp_, ops::floating(x, where), axes, keepdims, where);
}

#endif

}  // namespace wengert
