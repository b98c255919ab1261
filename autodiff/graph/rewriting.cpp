#include "autodiff/graph/rewriting.hpp"

#include <bit>

namespace wengert {
namespace {

const OperatorDefinition& negative() {
  static const OperatorDefinition& op = *find_operator("negative");
  return op;
}

}  // namespace

Rewriting::Value Rewriting::without_neutral(int i, double c) const {
  const Value other = inputs[static_cast<std::size_t>(1 - i)];
  return is(inputs[static_cast<std::size_t>(i)], c) && has_type_of_result(other) ? other : none;
}

Rewriting::Value Rewriting::negated(Value v) const { return op(v) == &negative() ? inputs_of(v)[0] : none; }

Rewriting::Value Rewriting::sign_taken_out(int i) {
  const Value v = inputs[static_cast<std::size_t>(i)], x = negated(v);
  if (x == none || !used_here_only(v) || !has_type_of_result(v)) return none;
  std::vector<Value> positive(inputs.begin(), inputs.end());
  positive[static_cast<std::size_t>(i)] = x;
  return make(negative(), {make(call->op, positive, call->attributes)});
}

Rewriting::Value Rewriting::at_nonzero(std::uint32_t which, const OperatorDefinition& by,
                                       std::span<const Value> bounded) {
  const OperatorDefinition* computed_by = op(inputs[static_cast<std::size_t>(std::countr_zero(which))]);
  if (computed_by == nullptr || computed_by->at_nonzero == nullptr) return none;
  return computed_by->at_nonzero(*this, which, by, bounded);
}

Rewriting::Value Rewriting::accumulated(Value into, Value v, Value scale) {
  const OperatorDefinition* computed_by = op(v);
  if (computed_by == nullptr || computed_by->accumulating == nullptr || !used_here_only(v)) return none;
  if (!large() || !has_type_of_result(v) || !has_type_of_result(into)) return none;
  if (scale != none && shape_of(scale).elements() != 1) return none;
  std::vector<Value> all(inputs_of(v).begin(), inputs_of(v).end());
  all.push_back(into);
  all.push_back(scale == none ? number(1.0, dtype) : scale);
  return make(*computed_by->accumulating, all, attributes_of(v));
}

}  // namespace wengert
