#include "autodiff/graph/elementwise.hpp"

#include <cmath>

namespace wengert::detail {
namespace {

Kernel elementwise_kernels[4];

void use(OperatorDefinition& op, const ElementwiseKernels& kernels) {
  op.kernel = elementwise_kernels[op.max_inputs <= 3 ? op.max_inputs : 0];
  op.row.elementwise = true;
  for (int i = 0; i < 4; ++i) {
    op.row.kernel[i] = kernels.rows[i];
    op.row.chain[i] = kernels.chains[i];
  }
}

}  // namespace

void set_elementwise_kernels(const Kernel (&by_inputs)[4]) {
  for (int i = 0; i < 4; ++i) elementwise_kernels[i] = by_inputs[i];
}

void set_elementwise(const char* name, const ElementwiseKernels& kernels) {
  use(const_cast<OperatorDefinition&>(*find_operator(name)), kernels);
}

OperatorDefinition* register_elementwise(OperatorDefinition op, const ElementwiseKernels& kernels, int arity,
                                         bool boolean_result) {
  op.elementwise = true;
  op.min_inputs = op.max_inputs = arity;
  op.differentiable = !op.derivatives.empty();
  if (!op.differentiable && op.contract.empty())
    throw ValueError(op.name,
                     "states no derivative; an operator whose derivative is zero by definition says "
                     "so in its contract");
  if (op.differentiable && op.derivatives.size() != static_cast<std::size_t>(arity))
    throw ValueError(op.name, "takes " + std::to_string(arity) + " inputs but states " +
                                  std::to_string(op.derivatives.size()) + " derivatives");
  for (const ElementwiseDerivative& d : op.derivatives) {
    op.reads_inputs |= d.reads & ((1u << arity) - 1);
    op.reads_output |= (d.reads >> arity & 1) != 0;
  }
  op.boolean_result = boolean_result;
  op.infer = infer_elementwise;
  use(op, kernels);
  return register_operator(std::move(op));
}

std::string fused_vjp_name(std::string_view op, int input, int arity) {
  return std::string(op) + "_vjp" + (arity > 1 ? std::to_string(input) : "");
}

void set_fused_vjp(const char* op, int input, int arity, const ElementwiseKernels& kernels) {
  set_elementwise(fused_vjp_name(op, input, arity).c_str(), kernels);
}

void fail_element_type(const Call& call) { fail_dtypes(call, "does not take this element type"); }

namespace {

// What the parent's derivative reads, put back into the order (inputs..., output).
std::vector<Tensor> rule_arguments(const OperatorDefinition& parent, std::uint32_t reads,
                                   const Tensors& read) {
  std::vector<Tensor> all(static_cast<std::size_t>(parent.max_inputs) + 1);
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (reads >> i & 1) all[i] = read[next++];
  return all;
}

// The parent's samples with some cotangent in front, and its result where the derivative reads that.
Samples fused_samples(const OperatorDefinition& parent, std::uint32_t reads) {
  Samples result;
  if (!parent.samples) return result;
  const Samples samples = parent.samples();
  for (const Sample& sample : samples.list()) {
    const Tensor y = apply_op(parent, sample.inputs, nullptr, {});
    std::vector<double> values;
    for (std::int64_t i = 0; i < y.size(); ++i) values.push_back(std::cos(1.0 + static_cast<double>(i)));
    const Tensor cotangent = as_tensor(from_span<double>(values, y.shape()), y.dtype());
    Tensors inputs{cotangent};
    for (int i = 0; i < parent.max_inputs; ++i)
      if (reads >> i & 1) inputs.push_back(sample.inputs[static_cast<std::size_t>(i)]);
    if (reads >> parent.max_inputs & 1) inputs.push_back(y);
    result.with(std::move(inputs));
  }
  return result;
}

}  // namespace

void register_fused_vjp(OperatorDefinition& parent, int input, int flops, const ElementwiseKernels& kernels) {
  ElementwiseDerivative& derivative = parent.derivatives[static_cast<std::size_t>(input)];
  const std::uint32_t reads = derivative.reads;
  OperatorDefinition op;
  op.name = fused_vjp_name(parent.name, input, parent.max_inputs);
  op.doc = "cotangent * d" + parent.name + "/dx" + std::to_string(input);
  op.min_inputs = op.max_inputs = 1 + std::popcount(reads);
  use(op, kernels);
  op.flops_per_element = flops;
  op.elementwise = true;
  op.differentiable = true;
  op.reads_inputs = (1u << op.max_inputs) - 1;
  op.infer = infer_elementwise;
  op.compose = [&parent, input, reads](const Call& call) {
    static const OperatorDefinition& multiply = *find_operator("safe_multiply");
    Tensors read;
    for (std::uint32_t i = 1; i < call.size(); ++i) read.push_back(call.input(i));
    const std::vector<Tensor> arguments = rule_arguments(parent, reads, read);
    const Tensor f = parent.derivatives[static_cast<std::size_t>(input)].rule(arguments);
    return apply_elementwise(multiply, Operand(call.input(0), call.where), f);
  };
  // Linear in the cotangent.
  op.rewrite = [identity = derivative.identity](Rewriting& r) {
    static const OperatorDefinition& multiply = *find_operator("safe_multiply");
    if (const auto v = r.at_nonzero(1, identity ? multiply : r.call->op); v != r.none) return v;
    if (!identity) return r.sign_taken_out(0);
    const Rewriting::Value simpler = multiply.rewrite(r);
    return simpler == r.none ? r.make(multiply, r.inputs) : simpler;
  };
  op.samples = [&parent, reads] { return fused_samples(parent, reads); };
  derivative.fused_vjp = register_operator(std::move(op));
}

}  // namespace wengert::detail
