#pragma once

#include "nn/module.hpp"

namespace wengert::nn {

/// \defgroup activations Activations
/// The functions of the same name as modules, for Sequential: nn::Sequential{nn::Linear(2, 3), nn::Tanh()}.

/// (e^x - e^-x) / (e^x + e^-x).
class Tanh : public Module {
 public:
  Tanh() : Module("Tanh") {}
  Tensor forward(const Tensor& x) const override;
};

/// 1 / (1 + e^-x).
class Sigmoid : public Module {
 public:
  Sigmoid() : Module("Sigmoid") {}
  Tensor forward(const Tensor& x) const override;
};

/// max(x, 0).
class ReLU : public Module {
 public:
  ReLU() : Module("ReLU") {}
  Tensor forward(const Tensor& x) const override;
};

/// x above 0, slope * x at 0 and below.
class LeakyReLU : public Module {
 public:
  explicit LeakyReLU(double slope = 0.01);
  Tensor forward(const Tensor& x) const override;

 private:
  double slope_;
};

/// log(1 + e^x).
class Softplus : public Module {
 public:
  Softplus() : Module("Softplus") {}
  Tensor forward(const Tensor& x) const override;
};

/// e^x over its sum along an axis.
class Softmax : public Module {
 public:
  explicit Softmax(int axis = -1);
  Tensor forward(const Tensor& x) const override;

 private:
  int axis_;
};

/// The logarithm of Softmax, computed stably.
class LogSoftmax : public Module {
 public:
  explicit LogSoftmax(int axis = -1);
  Tensor forward(const Tensor& x) const override;

 private:
  int axis_;
};

/// Joins the axes from `first` on into one: [n, 28, 28] becomes [n, 784]. Throws IndexError, applied, when x
/// has no axis `first`.
class Flatten : public Module {
 public:
  explicit Flatten(int first = 1);
  Tensor forward(const Tensor& x) const override;

 private:
  int first_;
};

/// While training, sets entries to 0 with probability p, independently, and divides the others by 1 - p;
/// in eval() mode x itself. The random numbers are the library generator's (random::seed). Throws ValueError
/// unless 0 <= p <= 1. Source: N. Srivastava et al., Dropout, JMLR 15, 2014.
class Dropout : public Module {
 public:
  explicit Dropout(double p = 0.5, SourceLocation where = SourceLocation::current());
  Tensor forward(const Tensor& x) const override;

 private:
  double p_;
};

}  // namespace wengert::nn
