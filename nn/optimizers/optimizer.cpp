#include "nn/optimizers/optimizer.hpp"

#include <fmt/format.h>

#include <cmath>

#include "autodiff/graph/recording.hpp"

namespace wengert::nn {

Optimizer::Optimizer(const char* name, Parameters parameters, double learning_rate,
                     const SourceLocation& where)
    : parameters_(std::move(parameters)), learning_rate_(learning_rate), name_(name) {
  if (parameters_.empty()) throw ValueError(name_, "there are no parameters to optimize", where);
  Parameters seen;
  for (const Parameter& p : parameters_) {
    if (!p.defined()) throw ValueError(name_, fmt::format("parameter {} is empty", seen.size()), where);
    if (seen.contains(p))
      throw ValueError(name_, fmt::format("parameter {} comes twice", seen.size()), where);
    seen.push_back(p);
  }
  check_option("learning_rate", learning_rate, where);
  rate32_ = State(wengert::detail::scalar(-learning_rate, DType::float32));
  rate64_ = State(wengert::detail::scalar(-learning_rate, DType::float64));
  prepared_.resize(parameters_.size());
}

void Optimizer::set_learning_rate(double rate, SourceLocation where) {
  check_option("learning_rate", rate, where);
  rate32_.set(wengert::detail::scalar(-rate, DType::float32));
  rate64_.set(wengert::detail::scalar(-rate, DType::float64));
  learning_rate_ = rate;
}

NamedStates Optimizer::named_states(const std::string& prefix) const {
  NamedStates states{{prefix + "negative_rate.float32", rate32_},
                     {prefix + "negative_rate.float64", rate64_}};
  add_states(prefix, states);
  return states;
}

void Optimizer::add_states(const std::string&, NamedStates&) const {}

void Optimizer::fail_option(const char* problem, double value, const SourceLocation& where) const {
  throw ValueError(name_, fmt::format("{}, got {}", problem, value), where);
}

void Optimizer::check_option(const char* name, double value, const SourceLocation& where, double high) const {
  if (!std::isfinite(value) || value < 0.0)
    fail_option(fmt::format("{} must be finite and at least 0", name).c_str(), value, where);
  if (high > 0.0 && value >= high)
    fail_option(fmt::format("{} must be below {}", name, high).c_str(), value, where);
}

void Optimizer::check(const Tensors& gradients, const SourceLocation& where) const {
  if (gradients.size() != parameters_.size())
    throw ValueError(
        name_, fmt::format("{} gradients for {} parameters", gradients.size(), parameters_.size()), where);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const wengert::detail::TensorImpl* g = gradients[i].get();
    const wengert::detail::TensorImpl* p = parameters_[i].value().get();
    if (g == nullptr) throw GraphError(name_, fmt::format("gradient {} is an empty tensor", i), where);
    if (g->dtype == p->dtype && g->shape == p->shape) continue;
    const std::string problem = fmt::format("gradient {} is {}, its parameter is {}", i,
                                            describe(gradients[i]), describe(parameters_[i].value()));
    if (g->shape == p->shape) throw DTypeError(name_, problem, where);
    throw ShapeError(name_, problem, where);
  }
}

void Optimizer::step(const Tensors& gradients, SourceLocation where) {
  check(gradients, where);
  kept_.clear();  // of a step that threw
  {
    NoGrad scope;
    compute(gradients, where);
  }
  for (std::size_t i = 0; i < prepared_.size(); ++i) parameters_[i].replace(std::move(prepared_[i]));
  for (auto& [state, value] : kept_) state->replace(std::move(value));
  // The old values went into these and are not needed any more.
  for (Tensor& old : prepared_) old = Tensor();
  kept_.clear();
}

}  // namespace wengert::nn
