#pragma once

#include <vector>

#include "nn/parameter.hpp"

namespace wengert::nn {

/// What all optimizers share: the parameters, the learning rate, and step().
///
///     nn::SGD sgd(net.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
///     sgd.step(gradients(loss, net.parameters()));
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One step against the gradients, one for each parameter in their order. All new values are computed
  /// before the first parameter changes: a step that throws has changed nothing. Nothing is recorded.
  /// Throws ValueError when their number, ShapeError or DTypeError when a shape or element type is not the
  /// parameter's, and GraphError for an empty one.
  void step(const Tensors& gradients, SourceLocation where = SourceLocation::current());

  const Parameters& parameters() const { return parameters_; }
  double learning_rate() const { return learning_rate_; }
  /// Everything that a step reads and changes besides the parameters, under names such as "optimizer.m.0"
  /// (the moment of parameter 0): what save_program() and load_program() take. When load_program() has filled
  /// them in, learning_rate() does not know of it: set_learning_rate().
  NamedStates named_states(const std::string& prefix = "optimizer.") const;
  /// From the next step on. Throws ValueError unless it is finite and at least 0.
  void set_learning_rate(double rate, SourceLocation where = SourceLocation::current());

 protected:
  /// Throws ValueError when there are no parameters, one is empty or comes twice, or the rate is not finite
  /// or negative.
  Optimizer(const char* name, Parameters parameters, double learning_rate, const SourceLocation& where);
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;

  /// Computes every new value into prepared_ (Parameter::prepare) and its own new state with keep(), changing
  /// neither the parameters nor the state that step() would start from again.
  virtual void compute(const Tensors& gradients, const SourceLocation& where) = 0;
  /// Remembers a new value for a part of the optimizer's own state; step() assigns it with the parameters.
  void keep(const State& state, Tensor value) { kept_.push_back({&state, std::move(value)}); }
  /// Adds the states of the derived class; names begin with the prefix.
  virtual void add_states(const std::string& prefix, NamedStates& states) const;
  /// -learning_rate in an element type. A state: a captured step follows set_learning_rate().
  const Tensor& negative_rate(DType dtype) const {
    return (dtype == DType::float64 ? rate64_ : rate32_).value();
  }

  [[noreturn]] void fail_option(const char* problem, double value, const SourceLocation& where) const;
  /// Throws unless the value is finite, at least 0 and, with an upper bound, below it.
  void check_option(const char* name, double value, const SourceLocation& where, double high = 0) const;

  Parameters parameters_;
  std::vector<Tensor> prepared_;

 private:
  void check(const Tensors& gradients, const SourceLocation& where) const;

  double learning_rate_;
  State rate32_, rate64_;
  std::vector<std::pair<const State*, Tensor>> kept_;

  const char* name_;
};

}  // namespace wengert::nn
