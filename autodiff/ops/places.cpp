// Values that are zero but for one place in each row: cotangents of entries that labels chose, and products
// with a one_hot.

#include <algorithm>

#include "autodiff/ops/indexing_rules.hpp"

#ifndef WENGERT_VARIANT

namespace wengert::ops {
namespace {

struct Operators {
  const OperatorDefinition& one_hot = *find_operator("one_hot");
  const OperatorDefinition& product = *find_operator("safe_multiply");
  const OperatorDefinition& take = *find_operator("take_along_axis");
  const OperatorDefinition& transposed = *find_operator("take_along_axis_transposed");
  const OperatorDefinition& expand_dims = *find_operator("expand_dims");
};
const Operators& operators() {
  static const Operators all;
  return all;
}

AxisAttributes last_axis(const Rewriting& r) { return {r.shape.size() - 1}; }

/// One number a row, or a single one.
bool is_narrow(const Rewriting& r, Rewriting::Value v) {
  const Shape& shape = r.shape_of(v);
  return shape.elements() == 1 || (shape.size() == r.shape.size() && shape.back() == 1);
}

/// One number a row as a column.
Rewriting::Value column(Rewriting& r, Rewriting::Value v) {
  if (r.shape_of(v).size() == r.shape.size()) return v;
  const AxisAttributes last = last_axis(r);
  return r.make(operators().expand_dims, {v}, &last);
}

}  // namespace

std::optional<Places> Places::of(const Rewriting& r, Value v) {
  const OperatorDefinition* op = r.op(v);
  if (op == nullptr || r.shape.size() == 0 || !is_floating(r.dtype) || !r.has_type_of_result(v))
    return std::nullopt;
  const auto in = r.inputs_of(v);
  const auto is_one_hot = [&](Value x) { return r.op(x) == &operators().one_hot && r.has_type_of_result(x); };
  if (is_one_hot(v)) return Places(v, true, r.none);
  if (op == &operators().product) {
    if (is_one_hot(in[0]) && is_narrow(r, in[1])) return Places(in[0], true, in[1]);
    if (is_one_hot(in[1]) && is_narrow(r, in[0]) && r.is_finite(in[0])) return Places(in[1], true, in[0]);
  }
  if (op != &operators().transposed) return std::nullopt;
  const auto axis = static_cast<const TransposedAttributes*>(r.attributes_of(v))->axis;
  if (!one_a_row(r.shape, r.shape_of(in[1]), axis)) return std::nullopt;
  return Places(in[1], false, in[0]);
}

Rewriting::Value Places::value(Rewriting& r) const {
  if (value_ == r.none) return r.number(1.0, r.dtype);
  return marked_ ? value_ : column(r, value_);
}

Rewriting::Value Places::take(Rewriting& r, Value x, int depth) const {
  const OperatorDefinition* op = r.op(x);
  if (depth > 0 && op != nullptr && op->row.elementwise && op->attributes == nullptr) {
    // One number a row costs less than to keep the whole of x until it is taken from.
    std::vector<Value> inputs(r.inputs_of(x).begin(), r.inputs_of(x).end());
    if (std::all_of(inputs.begin(), inputs.end(),
                    [&](Value v) { return is_narrow(r, v) || r.shape_of(v) == r.shape; })) {
      for (Value& v : inputs)
        if (!is_narrow(r, v)) v = take(r, v, depth - 1);
      return r.make(*op, inputs);
    }
  }
  const AxisAttributes last = last_axis(r);
  const Value positions = column(r, marked_ ? r.inputs_of(from_)[0] : from_);
  return r.make(operators().take, {x, positions}, &last);
}

Rewriting::Value Places::put(Rewriting& r, Value value) const {
  if (marked_) return r.make(operators().product, {from_, value});
  const TransposedAttributes to{last_axis(r).axis, r.shape};
  return r.make(operators().transposed, {value, column(r, from_)}, &to);
}

std::uint32_t at_places(Rewriting& r, std::uint32_t which, const OperatorDefinition& by) {
  std::optional<Places> places;
  std::vector<std::optional<Places>> found;
  bool wide = false;  // an input of which most numbers will not be looked at
  for (std::size_t i = 0; i < r.inputs.size(); ++i) {
    const auto v = r.inputs[i];
    found.push_back(Places::of(r, v));
    if ((which >> i & 1) != 0) {
      if (!found[i] || (places && *places != *found[i])) return r.none;
      if (!places) places = found[i];
    } else if (!is_narrow(r, v)) {
      if (r.shape_of(v) != r.shape) return r.none;
      wide = true;
    }
  }
  // A product of a one_hot with one number a row is what would come out.
  if (places->marked() && !wide && &by == &operators().product &&
      (r.inputs[0] == places->from() || r.inputs[1] == places->from()))
    return r.none;
  std::vector<Rewriting::Value> inputs;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto v = r.inputs[i];
    if (found[i] && *found[i] == *places)
      inputs.push_back(found[i]->value(r));
    else
      inputs.push_back(is_narrow(r, v) ? v : places->take(r, v));
  }
  return places->put(r, r.make(by, inputs));
}

}  // namespace wengert::ops

#endif
