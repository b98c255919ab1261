#pragma once

#include "autodiff/graph/operator.hpp"
#include "autodiff/graph/state.hpp"

namespace wengert::detail {

/// Writes down what a thread does instead of computing it; stands in `recording.tracer` meanwhile.
class Tracer {
 public:
  /// The header of a result that has no bytes (new_traced).
  virtual TensorImpl* apply(const Call& call) = 0;
  /// What a slot holds at this place of the program.
  virtual const Tensor& read(const std::shared_ptr<StateSlot>& slot) = 0;
  virtual void assign(const std::shared_ptr<StateSlot>& slot, Tensor&& value) = 0;

 protected:
  ~Tracer() = default;
};

/// Makes a result that was computed outside of apply_op the node of that call, so that its operator's rules
/// differentiate it.
void record_node(const Call& call, TensorImpl& result);

}  // namespace wengert::detail
