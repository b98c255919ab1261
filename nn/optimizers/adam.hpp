#pragma once

#include "nn/optimizers/optimizer.hpp"

namespace wengert::nn {

struct AdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
};

/// Adam, as PyTorch computes it. With g the gradient plus weight_decay * p, in step t = 1, 2, ...:
///
///     m <- beta1 m + (1 - beta1) g
///     v <- beta2 v + (1 - beta2) g^2
///     p <- p - learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
///
/// Throws ValueError for options that are negative or not finite, and for a beta of 1 or more.
/// Source: D. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
/// Example: nn::Adam adam(net.parameters(), {.learning_rate = 1e-2});
class Adam : public Optimizer {
 public:
  explicit Adam(Parameters parameters, const AdamOptions& options = {},
                SourceLocation where = SourceLocation::current());

 protected:
  Adam(const char* name, Parameters parameters, const AdamOptions& options, bool decoupled,
       const SourceLocation& where);

 private:
  void compute(const Tensors& gradients, const SourceLocation& where) override;
  void add_states(const std::string& prefix, NamedStates& states) const override;

  struct Moments {
    State m;
    State v;
  };
  AdamOptions options_;
  bool decoupled_;
  State beta1_power_, beta2_power_;  ///< beta^t after t steps
  std::vector<Moments> moments_;
};

struct AdamWOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;
};

/// Adam with decoupled weight decay: p <- (1 - learning_rate * weight_decay) p first, and nothing added to
/// the gradient. Source: I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019.
class AdamW : public Adam {
 public:
  explicit AdamW(Parameters parameters, const AdamWOptions& options = {},
                 SourceLocation where = SourceLocation::current());
};

}  // namespace wengert::nn
