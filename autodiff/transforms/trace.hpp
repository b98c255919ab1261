#pragma once

#include "autodiff/backward/callable.hpp"
#include "autodiff/graph/recording.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert::detail {

/// One application of a function under differentiation. The arguments enter through nodes of their own, so
/// that walks end there although an argument may have a history, or come twice. What leaves is a constant
/// unless it depends on variables of the surroundings: on the arguments' own history, or on variables that
/// the function uses besides its arguments. So transforms nest, and an iteration over them does not pile up
/// a graph.
class Trace {
 public:
  /// Throws DTypeError for an argument that is not floating.
  Trace(const char* name, const Tensors& primals, const SourceLocation& where);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Computes and keeps y = f(arguments), recorded whatever the surroundings do.
  template <class F>
  void run(F& f) {
    EnableGrad record;
    finish(call_with(f, inputs_, name_, where_));
  }

  const SourceLocation& where() const { return where_; }
  const Tensor& input(std::size_t i) const { return inputs_[i]; }
  /// f's value, for the surroundings.
  Tensor value() const { return settled(y_); }
  /// J^T cotangent; an empty cotangent stands for 1, and then y must have a single element (ShapeError).
  Tensors pull(const Tensor& cotangent = {}) const;
  /// J tangents. ShapeError unless they have the shapes and element types of the arguments.
  Tensor push(const Tensors& tangents) const;

 private:
  void finish(Tensor y);
  bool depends_on_surroundings(const Tensor& x) const;
  Tensor settled(const Tensor& x) const;

  const char* name_;
  SourceLocation where_;
  Tensors inputs_;
  Tensor y_;
  bool recording_;        ///< the surroundings record
  bool outside_ = false;  ///< y depends on variables of the surroundings
};

}  // namespace wengert::detail
