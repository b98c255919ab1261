#pragma once

/// \file
/// Rewrite rules: what an operator's block says about how its calls can be computed with less in a captured
/// program.
///
/// A rule looks at one call, at what its inputs are computed by and at what the program has computed already,
/// and names a value that equals the call's result: one that is there, or one that it makes. It changes
/// nothing that can be seen but, where the operator's documentation says so, the last bits of the result and
/// the sign of a zero.
///
///     .rewrite = [](Rewriting& r) { return r.without_neutral(1, 0.0); }    // x - 0 is x

#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "autodiff/graph/operator.hpp"

namespace wengert {

/// A program that is being written again, as the rule of one of its calls sees it. Values are numbers.
class Rewriting {
 public:
  using Value = std::uint32_t;
  static constexpr Value none = ~0u;

  virtual ~Rewriting() = default;

  // The call at hand.
  const Call* call = nullptr;     ///< its inputs are headers without bytes, there until the first make()
  std::span<const Value> inputs;  ///< in the new program
  DType dtype = DType::float32;   ///< of the result
  Shape shape;

  virtual DType dtype_of(Value v) const = 0;
  virtual const Shape& shape_of(Value v) const = 0;
  /// The operator that computes v; null for arguments, constants and states.
  virtual const OperatorDefinition* op(Value v) const = 0;
  virtual std::span<const Value> inputs_of(Value v) const = 0;
  virtual const void* attributes_of(Value v) const = 0;
  /// Whether v is a constant whose elements are all c.
  virtual bool is(Value v, double c) const = 0;
  /// Whether v is a constant, not too large to be looked at, without infinities and NaN.
  virtual bool is_finite(Value v) const = 0;
  /// If input i of the call at hand is finite wherever no element of some values is NaN or larger than
  /// kernels::Interval::assumed: those values, which have its shape but for the last axis. The program may
  /// then compute as if it were, if it looks whether that holds (the operator `bounded`). Nothing where that
  /// is not known, or where nothing may be assumed.
  virtual std::optional<std::vector<Value>> finite_where_bounded(std::size_t i) const = 0;
  /// Whether v is read once, by the call at hand, and by nobody outside of the program.
  virtual bool used_here_only(Value v) const = 0;

  /// Whether a call of that operator, earlier or later, reads the result of the call at hand, or its input i
  /// with attributes equal to those of the call at hand.
  virtual bool read_by(const OperatorDefinition& op) const = 0;
  virtual bool input_read_by(int i, const OperatorDefinition& op) const = 0;

  /// From here on a call of that operator, which takes one input and no attributes, counts as computed where
  /// the input is v: it has this result.
  virtual void state(const OperatorDefinition& op, Value v, Value result) = 0;
  /// The result of that call if the program computes it already, or none.
  virtual Value find(const OperatorDefinition& op, std::initializer_list<Value> inputs,
                     const void* attributes = nullptr) const = 0;
  /// The result of that call, which the program computes from now on.
  virtual Value make(const OperatorDefinition& op, std::span<const Value> inputs,
                     const void* attributes = nullptr) = 0;
  Value make(const OperatorDefinition& op, std::initializer_list<Value> inputs,
             const void* attributes = nullptr) {
    return make(op, std::span<const Value>(inputs.begin(), inputs.size()), attributes);
  }
  /// A constant without axes.
  virtual Value number(double c, DType dtype) = 0;

  /// Whether the result has so many elements that its last bits may differ from those of eager code.
  bool large() const { return shape.elements() >= 1 << 16; }
  bool has_type_of_result(Value v) const { return dtype_of(v) == dtype && shape_of(v) == shape; }
  /// The other one of two inputs where input i is everywhere c, the neutral element of the operator.
  Value without_neutral(int i, double c) const;
  /// -f(..., x, ...) for f(..., -x, ...): f is odd in input i. Whoever adds or subtracts the result takes the
  /// sign in.
  Value sign_taken_out(int i);
  /// into + scale * v, where `v` is computed for that alone by an operator that can add to something
  /// (OperatorDefinition::accumulating); none where it is not, and for small results, whose bits stay those
  /// of eager code. No scale is 1.
  Value accumulated(Value into, Value v, Value scale = none);
  /// The call at hand, if those inputs (bit i: input i) are zero but for one place in each row, the same one
  /// in all of them (cotangents of entries that labels chose), computed at those places alone; otherwise
  /// none. The call is elementwise and zero where these inputs are, whatever the others hold there.
  Value at_nonzero(std::uint32_t which) { return at_nonzero(which, call->op); }
  /// ... computed by an operator that gives the same where those values are bounded.
  Value at_nonzero(std::uint32_t which, const OperatorDefinition& by, std::span<const Value> bounded = {});
  /// What is negated in v; none if v is anything else.
  Value negated(Value v) const;
};

}  // namespace wengert
