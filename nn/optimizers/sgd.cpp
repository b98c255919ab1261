#include "nn/optimizers/sgd.hpp"

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
  if (options.momentum > 0.0) {
    velocity_.resize(parameters_.size());
    next_.resize(parameters_.size());
  }
}

void SGD::compute(const Tensors& gradients, const SourceLocation& where) {
  Tensor rate, decay, momentum, gain;  // of the element type of the parameters, made when that changes
  DType dtype = DType::bool_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i].value();
    if (p.dtype() != dtype) {
      dtype = p.dtype();
      rate = scalar(-learning_rate_, dtype);
      if (options_.weight_decay > 0.0) decay = scalar(options_.weight_decay, dtype);
      if (options_.momentum > 0.0) {
        momentum = scalar(options_.momentum, dtype);
        gain = scalar(1.0 - options_.dampening, dtype);
      }
    }
    Tensor g = gradients[i];
    if (options_.weight_decay > 0.0) g = add_scaled(Operand(g, where), p, decay);
    if (options_.momentum > 0.0) {
      next_[i] = velocity_[i].defined() ? combine(Operand(velocity_[i], where), g, momentum, gain)
                                        : stop_gradient(g, where);
      g = options_.nesterov ? add_scaled(Operand(g, where), next_[i], momentum) : next_[i];
    }
    prepared_[i] = Parameter::prepare(add_scaled(Operand(p, where), g, rate));
  }
}

void SGD::commit() noexcept {
  velocity_.swap(next_);
  for (Tensor& old : next_) old = Tensor();
}

}  // namespace wengert::nn
