#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autodiff/graph/recording.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

namespace detail {
struct StateSlot {
  Tensor value;
};
const Tensor& traced_value(const std::shared_ptr<StateSlot>& slot);
void traced_assign(const std::shared_ptr<StateSlot>& slot, Tensor&& value);
}  // namespace detail

/// A tensor that changes: parameters, an optimizer's moments, running statistics, counters. A handle of a
/// slot; copies see the same slot. The tensors themselves stay values: what was read from the slot before
/// keeps its elements. A captured function reads and updates the slots that it met while it was recorded.
///
///     State count(zeros({}));
///     auto next = capture([&] { count.set(count.value() + 1.0); return count.value(); });
class State {
 public:
  /// Empty; value() throws GraphError on it.
  State() = default;
  explicit State(Tensor initial) : slot_(std::make_shared<detail::StateSlot>()) {
    slot_->value = std::move(initial);
  }
  /// Another handle of a slot.
  explicit State(std::shared_ptr<detail::StateSlot> slot) : slot_(std::move(slot)) {}

  bool defined() const { return slot_ != nullptr; }
  const Tensor& value() const {
    if (slot_ == nullptr) throw_empty();
    if (detail::recording.tracer != nullptr) [[unlikely]]
      return detail::traced_value(slot_);
    return slot_->value;
  }
  /// Replaces the value by one of the same shape and element type (ShapeError, DTypeError).
  void set(Tensor value, SourceLocation where = SourceLocation::current()) const;
  /// The same without a check, for a value that is known to fit.
  void replace(Tensor&& value) const noexcept {
    if (detail::recording.tracer != nullptr) [[unlikely]]
      return detail::traced_assign(slot_, std::move(value));
    slot_->value.swap(value);
  }

  const std::shared_ptr<detail::StateSlot>& slot() const { return slot_; }
  friend bool operator==(const State& a, const State& b) { return a.slot_ == b.slot_; }

 private:
  [[noreturn]] static void throw_empty();

  std::shared_ptr<detail::StateSlot> slot_;
};

/// A state with a name that means something to others: "0.weight" (nn::Module::named_states).
struct NamedState {
  std::string name;
  State state;
};
using NamedStates = std::vector<NamedState>;

}  // namespace wengert
