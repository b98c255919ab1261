#pragma once

#include <unordered_map>

#include "autodiff/graph/tracer.hpp"
#include "autodiff/program/graph.hpp"

namespace wengert::program {

/// Writes a graph while a function runs: while an object of this type lives, this thread's operators append
/// instructions in place of computing. Tensors that exist become constants, slots of State states.
class Trace final : public detail::Tracer {
 public:
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// A tensor that stands for an argument; with requires_grad, a variable.
  Tensor argument(const Tensor& like);
  void output(const Tensor& value);
  /// Ends the recording; the destructor does it otherwise.
  void close() { detail::recording.tracer = nullptr; }
  /// Whether a variable, or what was computed from one, became a constant.
  bool met_variables() const { return met_variables_; }
  Graph finish() &&;

  detail::TensorImpl* apply(const Call& call) override;
  const Tensor& read(const std::shared_ptr<detail::StateSlot>& slot) override;
  void assign(const std::shared_ptr<detail::StateSlot>& slot, Tensor&& value) override;

 private:
  ValueId value_of(const detail::TensorImpl& x);
  Tensor traced(ValueId v) const;

  struct Current {
    std::shared_ptr<detail::StateSlot> slot;
    Tensor value;
  };

  Graph graph_;
  std::uint32_t number_;  // of this trace in the process
  std::unordered_map<const detail::TensorImpl*, ValueId> constants_;
  std::vector<Tensor> kept_;
  bool met_variables_ = false;
  std::unordered_map<const detail::StateSlot*, Current> states_;
  std::vector<ValueId> inputs_;
};

}  // namespace wengert::program
