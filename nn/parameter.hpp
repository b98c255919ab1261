#pragma once

#include <string>
#include <vector>

#include "autodiff/graph/state.hpp"
#include "autodiff/tensor/creation.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert::nn {

/// A learnable tensor: a State whose value is a variable(). It is a handle; copies see the same slot. What
/// was computed from an earlier value keeps that value.
///
///     nn::Parameter w(random::normal({2, 3}));
///     Tensor g = gradients(loss(w.value()), {w})[0];
///     w.set(w.value() - 0.1 * g);
class Parameter {
 public:
  /// Empty; value() throws GraphError on it.
  Parameter() = default;
  /// Throws DTypeError when `initial` is not floating.
  explicit Parameter(Tensor initial, SourceLocation where = SourceLocation::current());

  bool defined() const { return state_.defined(); }
  /// The current value, a variable: operators on it are recorded.
  const Tensor& value() const {
    if (!state_.defined()) throw_empty();
    return state_.value();
  }
  operator const Tensor&() const { return value(); }
  const Shape& shape() const { return value().shape(); }
  DType dtype() const { return value().dtype(); }
  std::int64_t size() const { return value().size(); }

  /// Replaces the value; history of `value` is cut off. Throws ShapeError or DTypeError, and changes nothing,
  /// when it does not have the parameter's shape and element type.
  void set(Tensor value, SourceLocation where = SourceLocation::current());
  /// Replaces the value by itself in another element type, float32 or float64 (DTypeError).
  void to(DType dtype, SourceLocation where = SourceLocation::current()) { replace(converted(dtype, where)); }

  /// The slot itself, for programs (named_states).
  const State& state() const { return state_; }
  /// Whether both are handles of the same slot.
  friend bool operator==(const Parameter& a, const Parameter& b) { return a.state_ == b.state_; }

  /// For changes of several parameters that must happen together or not at all: first prepare() every value,
  /// which may throw, then replace() them, which can't.
  static Tensor prepare(Tensor value);
  Tensor converted(DType dtype, SourceLocation where = SourceLocation::current()) const;
  void replace(Tensor&& prepared) const noexcept { state_.replace(std::move(prepared)); }

 private:
  [[noreturn]] static void throw_empty();

  State state_;
};

/// A list of parameters; it goes wherever Tensors are asked for: gradients(loss, net.parameters()).
class Parameters {
 public:
  Parameters() = default;
  Parameters(std::initializer_list<Parameter> list) : list_(list) {}
  explicit Parameters(std::vector<Parameter> list) : list_(std::move(list)) {}

  std::size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  const Parameter& operator[](std::size_t i) const { return list_[i]; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  void push_back(Parameter p) { list_.push_back(std::move(p)); }
  bool contains(const Parameter& p) const;

  /// The current values.
  operator Tensors() const;

 private:
  std::vector<Parameter> list_;
};

/// A parameter with its name within a module, e.g. "0.weight".
struct NamedParameter {
  std::string name;
  Parameter parameter;
};

}  // namespace wengert::nn
