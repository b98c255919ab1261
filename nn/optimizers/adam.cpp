#include "nn/optimizers/adam.hpp"

#include "autodiff/ops/ops.hpp"
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
  beta1_power_ = State(scalar(1.0, DType::float64));
  beta2_power_ = State(scalar(1.0, DType::float64));
  for (const Parameter& p : parameters_)
    moments_.push_back({State(zeros(p.shape(), p.dtype())), State(zeros(p.shape(), p.dtype()))});
}

AdamW::AdamW(Parameters parameters, const AdamWOptions& options, SourceLocation where)
    : Adam("AdamW", std::move(parameters),
           {.learning_rate = options.learning_rate,
            .beta1 = options.beta1,
            .beta2 = options.beta2,
            .epsilon = options.epsilon,
            .weight_decay = options.weight_decay},
           true, where) {}

void Adam::add_states(const std::string& prefix, NamedStates& states) const {
  states.push_back({prefix + "beta1_power", beta1_power_});
  states.push_back({prefix + "beta2_power", beta2_power_});
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    states.push_back({prefix + "m." + std::to_string(i), moments_[i].m});
    states.push_back({prefix + "v." + std::to_string(i), moments_[i].v});
  }
}

void Adam::compute(const Tensors& gradients, const SourceLocation& where) {
  // The corrections of the averages go into two scales, so that the update stays one pass:
  // rate * (m / c1) / (sqrt(v / c2) + e) = rate * sqrt(c2) / c1 * m / (sqrt(v) + e * sqrt(c2)).
  const auto at = [&](const Tensor& x) { return Operand(x, where); };
  const Tensor power1 = multiply(at(beta1_power_.value()), options_.beta1);
  const Tensor power2 = multiply(at(beta2_power_.value()), options_.beta2);
  keep(beta1_power_, power1);
  keep(beta2_power_, power2);
  const Tensor root_c2 = sqrt(subtract(Operand(1.0, where), power2), where);
  const Tensor& negative = negative_rate(DType::float64);
  const Tensor scale = divide(at(multiply(at(negative), root_c2)), subtract(at(power1), 1.0));
  const Tensor offset = multiply(at(root_c2), options_.epsilon);
  const bool decayed = options_.weight_decay > 0.0 && !decoupled_;

  Tensor kept, rate, epsilon, decay, weight1, weight2;
  DType dtype = DType::bool_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& p = parameters_[i].value();
    if (p.dtype() != dtype) {
      dtype = p.dtype();
      kept = decoupled_ ? cast(add_scaled(Operand(1.0, where), negative, options_.weight_decay), dtype, where)
                        : scalar(1.0, dtype);
      rate = cast(scale, dtype, where);
      epsilon = cast(offset, dtype, where);
      decay = scalar(options_.weight_decay, dtype);
      weight1 = scalar(1.0 - options_.beta1, dtype);
      weight2 = scalar(1.0 - options_.beta2, dtype);
    }
    const Tensor g = decayed ? add_scaled(at(gradients[i]), p, decay) : gradients[i];
    const Tensor m = lerp(at(moments_[i].m.value()), g, weight1);
    const Tensor v = lerp_square(at(moments_[i].v.value()), g, weight2);
    keep(moments_[i].m, m);
    keep(moments_[i].v, v);
    prepared_[i] = Parameter::prepare(adam_update(at(p), m, v, kept, rate, epsilon));
  }
}

}  // namespace wengert::nn
