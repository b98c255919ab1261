#include "autodiff/backward/gradients.hpp"
#include "autodiff/backward/walk.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/ops.hpp"

namespace wengert::detail {
namespace {

// What a derivative reads of (inputs..., output), in order; in `all`, every place has its entry.
std::vector<Tensor> read_values(const Call& call, const ElementwiseDerivative& derivative) {
  std::vector<Tensor> values(call.size() + 1);
  for (std::uint32_t i = 0; i < call.size(); ++i)
    if (derivative.reads >> i & 1) values[i] = call.input(i);
  if (derivative.reads >> call.size() & 1) values.back() = call.output();
  return values;
}

Tensor scaled(const Tensor& x, double factor, const SourceLocation& where) {
  if (factor == 1) return x;
  return factor == -1 ? negative(x, where) : multiply(Operand(x, where), factor);
}

Tensor elementwise_jvp(const Call& call, const Tensors& tangents) {
  Tensor sum;
  for (std::uint32_t i = 0; i < call.size(); ++i) {
    if (!tangents[i].defined()) continue;
    const ElementwiseDerivative& derivative = call.op.derivatives[i];
    const Tensor part =
        derivative.fused_vjp == nullptr
            ? scaled(tangents[i], derivative.constant, call.where)
            : safe_multiply(Operand(tangents[i], call.where), derivative.rule(read_values(call, derivative)));
    sum = sum.defined() ? add(Operand(sum, call.where), part) : part;
  }
  return sum.shape() == call.result->shape ? sum : broadcast_to(sum, call.result->shape, call.where);
}

// The derivative of a composition. Every input enters through a node of its own (the same tensor may come
// twice, and one input may depend on another), and the walk ends there.
Tensors composed_vjp(const Call& call, const Tensor& cotangent) {
  const bool create_graph = recording.enabled;
  EnableGrad record;
  Tensors inputs;
  Tensors ends, stops;
  std::vector<TensorImpl*> raw;
  for (std::uint32_t i = 0; i < call.size(); ++i) {
    const Tensor x = Tensor::share(call.inputs[i]);
    const bool differentiable = is_floating(x.dtype());
    if (x.requires_grad())
      inputs.push_back(alias(x, call.where));
    else
      inputs.push_back(differentiable && call.wants(i) ? variable(x, call.where) : x);
    if (differentiable) (call.wants(i) ? ends : stops).push_back(inputs[i]);
    raw.push_back(inputs[i].get());
  }
  Call inner = call;
  inner.inputs = raw.data();
  const Tensor y = call.op.compose(inner);
  const Tensors parts =
      gradients_up_to(y, ends, {.cotangent = cotangent, .create_graph = create_graph}, call.where, stops);
  Tensors result(call.size());
  for (std::uint32_t i = 0, next = 0; i < call.size(); ++i)
    if (is_floating(call.dtype(i)) && call.wants(i)) result[i] = parts[next++];
  return result;
}

void check_cotangents(const Call& call, const Tensors& result) {
  if (result.size() != call.size())
    throw GraphError(call.op.name,
                     "its vjp rule returns " + std::to_string(result.size()) + " cotangents for " +
                         std::to_string(call.size()) + " inputs",
                     call.where);
  for (std::uint32_t i = 0; i < call.size(); ++i) {
    const Tensor& part = result[i];
    if (!part.defined() || !call.wants(i)) continue;
    if (part.shape() != call.shape(i) || part.dtype() != call.dtype(i))
      throw GraphError(call.op.name,
                       "its vjp rule returns " + describe(part) + " for input " + std::to_string(i) +
                           ", which is " + describe(call.dtype(i), call.shape(i)),
                       call.where);
  }
}

}  // namespace

Tensor elementwise_vjp(const Call& call, std::uint32_t i, const Tensor& cotangent) {
  const ElementwiseDerivative& derivative = call.op.derivatives[i];
  Tensor part;
  if (derivative.fused_vjp == nullptr) {
    part = scaled(cotangent, derivative.constant, call.where);
  } else {
    TensorImpl* inputs[8] = {cotangent.get()};
    std::uint32_t count = 1;
    for (std::uint32_t j = 0; j < call.size(); ++j)
      if (derivative.reads >> j & 1) inputs[count++] = call.inputs[j];
    if (derivative.reads >> call.size() & 1) inputs[count++] = call.result;
    part = apply_op(*derivative.fused_vjp, inputs, count, nullptr, call.where);
  }
  if (part.shape() != call.shape(i)) part = sum_to(part, call.shape(i), call.where);
  return part;
}

Tensors vjp_of(const Call& call, const Tensor& cotangent) {
  if (!call.op.derivatives.empty()) {
    Tensors result(call.size());
    for (std::uint32_t i = 0; i < call.size(); ++i)
      if (call.wants(i)) result[i] = elementwise_vjp(call, i, cotangent);
    return result;
  }
  Tensors result = call.op.vjp ? call.op.vjp(call, cotangent) : composed_vjp(call, cotangent);
  check_cotangents(call, result);
  return result;
}

Tensor jvp_of(const Call& call, const Tensors& tangents) {
  if (call.op.jvp) return call.op.jvp(call, tangents);
  if (!call.op.derivatives.empty()) return elementwise_jvp(call, tangents);
  // The vjp is linear in its cotangent; its transpose is the jvp.
  const bool create_graph = recording.enabled;
  EnableGrad record;
  const Tensor u = variable(zeros(call.result->shape, call.result->dtype));
  Call transposed = call;
  transposed.wanted = 0;
  // What the rule reads enters through nodes of its own, where the walk from the cotangents to u ends.
  Tensors stops;
  const auto cut = [&](TensorImpl* x) {
    if (!x->requires_grad) return x;
    const Tensor t = Tensor::share(x);
    stops.push_back(create_graph ? alias(t, call.where) : stop_gradient(t, call.where));
    return stops[stops.size() - 1].get();
  };
  std::vector<TensorImpl*> raw(call.inputs, call.inputs + call.size());
  for (std::uint32_t i = 0; i < call.size(); ++i)
    if (call.op.reads_inputs >> std::min(i, 31u) & 1) raw[i] = cut(raw[i]);
  transposed.inputs = raw.data();
  if (call.op.reads_output) transposed.result = cut(call.result);
  for (std::uint32_t i = 0; i < call.size(); ++i)
    if (tangents[i].defined()) transposed.wanted |= 1u << std::min(i, 31u);
  const Tensors parts = vjp_of(transposed, u);
  ScopedFlag recorded(recording.enabled, create_graph);
  Tensor sum = zeros(call.result->shape, call.result->dtype);
  for (std::uint32_t i = 0; i < call.size(); ++i) {
    if (!tangents[i].defined() || !parts[i].defined()) continue;
    const Tensor part = gradients_up_to(
        parts[i], {u}, {.cotangent = tangents[i], .create_graph = create_graph}, call.where, stops)[0];
    sum = add(Operand(sum, call.where), part);
  }
  return sum;
}

}  // namespace wengert::detail
