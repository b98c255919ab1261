#include "nn/optimizers/sgd.hpp"

#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/ops/updates.hpp"

namespace wengert::nn {

using wengert::detail::scalar;

SGD::SGD(Parameters parameters, const SGDOptions& options, SourceLocation where)
    : Optimizer("SGD", std::move(parameters), options.learning_rate, where), options_(options) {
  check_option("momentum", options.momentum, where);
  check_option("weight_decay", options.weight_decay, where);
  if (options.nesterov && !(options.momentum > 0.0 && options.dampening == 0.0))
    fail_option("nesterov needs a momentum above 0 and no dampening; momentum", options.momentum, where);
  if (options.momentum > 0.0)
    for (const Parameter& p : parameters_) velocity_.emplace_back(zeros(p.shape(), p.dtype()));
  if (options.dampening != 0.0) gain_ = State(scalar(1.0, DType::float64));
}

void SGD::add_states(const std::string& prefix, NamedStates& states) const {
  for (std::size_t i = 0; i < velocity_.size(); ++i)
    states.push_back({prefix + "velocity." + std::to_string(i), velocity_[i]});
  if (gain_.defined()) states.push_back({prefix + "gain", gain_});
}

void SGD::compute(const Tensors& gradients, const SourceLocation& where) {
  if (options_.weight_decay == 0.0 && options_.momentum == 0.0) {
    // step() has seen that everything fits: straight to the operator, which is most of a small network's
    // step.
    static const OperatorDefinition& op = *find_operator("add_scaled");
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& p = parameters_[i].value();
      wengert::detail::TensorImpl* const inputs[] = {p.get(), gradients[i].get(),
                                                     negative_rate(p.dtype()).get()};
      prepared_[i] = Parameter::prepare(apply_op(op, inputs, 3, nullptr, where));
    }
    return;
  }
  Tensor decay, momentum, gain;  // of the element type of the parameters, made when that changes
  DType dtype = DType::bool_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i].value();
    if (p.dtype() != dtype) {
      dtype = p.dtype();
      if (options_.weight_decay > 0.0) decay = scalar(options_.weight_decay, dtype);
      if (options_.momentum > 0.0) {
        momentum = scalar(options_.momentum, dtype);
        gain = gain_.defined() ? cast(gain_.value(), dtype, where) : scalar(1.0, dtype);
      }
    }
    Tensor g = gradients[i];
    if (options_.weight_decay > 0.0) g = add_scaled(Operand(g, where), p, decay);
    if (options_.momentum > 0.0) {
      const Tensor velocity = combine(Operand(velocity_[i].value(), where), g, momentum, gain);
      keep(velocity_[i], velocity);
      g = options_.nesterov ? add_scaled(Operand(g, where), velocity, momentum) : velocity;
    }
    prepared_[i] = Parameter::prepare(add_scaled(Operand(p, where), g, negative_rate(dtype)));
  }
  if (gain_.defined()) keep(gain_, scalar(1.0 - options_.dampening, DType::float64));
}

}  // namespace wengert::nn
