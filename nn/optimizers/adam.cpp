#include "nn/optimizers/adam.hpp"

#include <cmath>

#include "autodiff/ops/updates.hpp"

namespace wengert::nn {

using wengert::detail::scalar;

Adam::Adam(Parameters parameters, const AdamOptions& options, SourceLocation where)
    : Adam("Adam", std::move(parameters), options, false, where) {}

Adam::Adam(const char* name, Parameters parameters, const AdamOptions& options, bool decoupled,
           const SourceLocation& where)
    : Optimizer(name, std::move(parameters), options.learning_rate, where),
      options_(options),
      decoupled_(decoupled) {
  check_option("beta1", options.beta1, where, 1.0);
  check_option("beta2", options.beta2, where, 1.0);
  check_option("epsilon", options.epsilon, where);
  check_option("weight_decay", options.weight_decay, where);
  moments_.resize(parameters_.size());
  next_.resize(parameters_.size());
}

AdamW::AdamW(Parameters parameters, const AdamWOptions& options, SourceLocation where)
    : Adam("AdamW", std::move(parameters),
           {.learning_rate = options.learning_rate,
            .beta1 = options.beta1,
            .beta2 = options.beta2,
            .epsilon = options.epsilon,
            .weight_decay = options.weight_decay},
           true, where) {}

void Adam::compute(const Tensors& gradients, const SourceLocation& where) {
  // The corrections of the averages go into two scales, so that the update stays one pass:
  // rate * (m / c1) / (sqrt(v / c2) + e) = rate * sqrt(c2) / c1 * m / (sqrt(v) + e * sqrt(c2)).
  const double t = static_cast<double>(steps_ + 1);
  const double c1 = 1.0 - std::pow(options_.beta1, t);
  const double root_c2 = std::sqrt(1.0 - std::pow(options_.beta2, t));
  const bool decayed = options_.weight_decay > 0.0 && !decoupled_;

  Tensor keep, rate, epsilon, decay, weight1, weight2, zero;
  DType dtype = DType::bool_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i].value();
    if (p.dtype() != dtype) {
      dtype = p.dtype();
      keep = scalar(decoupled_ ? 1.0 - learning_rate_ * options_.weight_decay : 1.0, dtype);
      rate = scalar(learning_rate_ * root_c2 / c1, dtype);
      epsilon = scalar(options_.epsilon * root_c2, dtype);
      decay = scalar(options_.weight_decay, dtype);
      weight1 = scalar(1.0 - options_.beta1, dtype);
      weight2 = scalar(1.0 - options_.beta2, dtype);
      zero = scalar(0.0, dtype);
    }
    const Tensor g = decayed ? add_scaled(Operand(gradients[i], where), p, decay) : gradients[i];
    const Moments& before = moments_[i];
    Moments& after = next_[i];
    after.m = lerp(Operand(before.m.defined() ? before.m : zero, where), g, weight1);
    after.v = lerp_square(Operand(before.v.defined() ? before.v : zero, where), g, weight2);
    prepared_[i] = Parameter::prepare(adam_update(Operand(p, where), after.m, after.v, keep, rate, epsilon));
  }
}

void Adam::commit() noexcept {
  ++steps_;
  moments_.swap(next_);
  for (Moments& old : next_) old = {};
}

}  // namespace wengert::nn
