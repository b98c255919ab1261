#include "autodiff/graph/state.hpp"

#include "autodiff/graph/tracer.hpp"

namespace wengert {
namespace detail {

const Tensor& traced_value(const std::shared_ptr<StateSlot>& slot) { return recording.tracer->read(slot); }
void traced_assign(const std::shared_ptr<StateSlot>& slot, Tensor&& value) {
  recording.tracer->assign(slot, std::move(value));
}

}  // namespace detail

void State::throw_empty() { throw GraphError("State", "this handle is empty (default-constructed)"); }

void State::set(Tensor value, SourceLocation where) const {
  const Tensor& old = this->value();
  if (!value.defined()) throw GraphError("State::set", "the value is an empty tensor", where);
  const auto problem = [&] { return "the state is " + describe(old) + ", the value " + describe(value); };
  if (value.shape() != old.shape()) throw ShapeError("State::set", problem(), where);
  if (value.dtype() != old.dtype()) throw DTypeError("State::set", problem(), where);
  replace(std::move(value));
}

}  // namespace wengert
