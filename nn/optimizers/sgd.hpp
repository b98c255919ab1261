#pragma once

#include "nn/optimizers/optimizer.hpp"

namespace wengert::nn {

struct SGDOptions {
  double learning_rate = 1e-3;
  double momentum = 0.0;
  double dampening = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
};

/// Stochastic gradient descent, as PyTorch computes it. With g the gradient plus weight_decay * p:
///
///     v <- g in the first step, momentum * v + (1 - dampening) * g afterwards
///     p <- p - learning_rate * (v, or with nesterov g + momentum * v, or without momentum g)
///
/// Throws ValueError for options that are negative or not finite, and for nesterov unless momentum > 0 and
/// dampening = 0.
/// Source: B. Polyak, Some methods of speeding up the convergence of iteration methods, 1964; Y. Nesterov,
/// 1983, in the form of I. Sutskever et al., On the importance of initialization and momentum, ICML 2013.
class SGD : public Optimizer {
 public:
  explicit SGD(Parameters parameters, const SGDOptions& options = {},
               SourceLocation where = SourceLocation::current());

 private:
  void compute(const Tensors& gradients, const SourceLocation& where) override;
  void add_states(const std::string& prefix, NamedStates& states) const override;

  SGDOptions options_;
  std::vector<State> velocity_;  ///< with momentum: zero before the first step
  State gain_;                   ///< with dampening: 1 in the first step, 1 - dampening afterwards
};

}  // namespace wengert::nn
