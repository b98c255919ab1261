#include "autodiff/backward/gradients.hpp"
#include "autodiff/gradcheck/battery_impl.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/program.hpp"
#include "autodiff/program/trace.hpp"

namespace wengert::detail {
namespace {

/// The operator and, with a cotangent behind the inputs, its gradients as a program.
std::shared_ptr<program::Program> recorded(const Battery& b, const Tensors& inputs, const void* attributes,
                                           const Tensor& cotangent, const CaptureOptions& options) {
  program::Trace trace;
  Tensors symbols;
  for (const Tensor& x : inputs) symbols.push_back(trace.argument(x));
  const Tensors variables = cotangent.defined() ? as_variables(symbols) : symbols;
  const Tensor y = apply_op(b.op, variables, attributes, {});
  trace.output(y);
  if (cotangent.defined())
    for (const Tensor& g : gradients(y, differentiable(variables), {.cotangent = trace.argument(cotangent)}))
      trace.output(g);
  trace.close();
  return std::make_shared<program::Program>(std::move(trace).finish(), options);
}

}  // namespace

void check_replay(Battery& b, const Tensors& inputs, const void* attributes) {
  for (const bool low : {false, true}) {
    const Tensors in = low ? as_float32(inputs) : inputs;
    const Tensor y = b.apply(in, attributes);
    const bool has_gradient = b.op.differentiable && is_floating(y.dtype()) && !differentiable(in).empty();
    const Tensor c = has_gradient ? cotangent_for(y, 5) : Tensor();
    const Tensors gradient = has_gradient ? gradients_of(b, in, attributes, c) : Tensors();
    std::vector<Tensor> arguments;
    for (const Tensor& x : in) arguments.push_back(contiguous(x));
    if (has_gradient) arguments.push_back(c);
    arguments.emplace_back();
    for (const bool fuse : {true, false}) {
      const std::string how =
          std::string(low ? "float32 " : "float64 ") + (fuse ? "replayed" : "replayed, not fused");
      const auto program = recorded(b, in, attributes, c, {.fuse = fuse});
      std::vector<Tensor> results(program->graph().outputs().size());
      for (int time = 0; time < 2; ++time) {  // what a run leaves behind must not disturb the next
        if (b.op.draws) random::set_state(b.draws_from);
        program->run(arguments.data(), results.data());
        b.compare(results[0], y, low ? 1e-6 : 1e-13, how + ": the result");
        b.check(results[0].dtype() == y.dtype(), how + ": the result has another element type");
        for (std::size_t i = 0; i < gradient.size(); ++i)
          b.compare(results[i + 1], gradient[i], low ? 1e-5 : 1e-12,
                    how + ": the gradient of floating input " + std::to_string(i));
      }
    }
  }
}

}  // namespace wengert::detail
