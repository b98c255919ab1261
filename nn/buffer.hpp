#pragma once

#include <string>

#include "autodiff/graph/state.hpp"

namespace wengert::nn {

/// A tensor that belongs to a module and is saved with it but is not learned, such as running statistics. As
/// a Parameter, it is a handle of a slot: copies see the same one. Its values are
/// constants. A captured function reads and updates it at every call.
class Buffer {
 public:
  /// Empty; value() throws GraphError on it.
  Buffer() = default;
  explicit Buffer(const Tensor& initial);

  bool defined() const { return state_.defined(); }
  const Tensor& value() const { return state_.value(); }
  /// Replaces the value; history of `value` is cut off. Throws ShapeError or DTypeError, and changes nothing,
  /// when it does not have the buffer's shape and element type.
  void set(const Tensor& value, SourceLocation where = SourceLocation::current()) const;

  /// The slot itself, for programs (named_states).
  const State& state() const { return state_; }
  /// Whether both are handles of the same slot.
  friend bool operator==(const Buffer& a, const Buffer& b) { return a.state_ == b.state_; }

  /// For changes of several that must happen together or not at all, as Parameter's.
  static Tensor prepare(const Tensor& value);
  void replace(Tensor&& prepared) const noexcept { state_.replace(std::move(prepared)); }

 private:
  State state_;
};

/// A buffer with its name within a module, e.g. "1.running_mean".
struct NamedBuffer {
  std::string name;
  Buffer buffer;
};

}  // namespace wengert::nn
