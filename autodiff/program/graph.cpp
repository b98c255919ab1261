#include "autodiff/program/graph.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

namespace wengert::program {
namespace {

std::size_t hash(const Shape& shape) {
  std::size_t h = static_cast<std::size_t>(shape.size());
  for (const std::int64_t d : shape) h = (h ^ static_cast<std::size_t>(d)) * 0x9e3779b97f4a7c15u;
  return h;
}

}  // namespace

std::uint32_t Graph::number_of(const Shape& shape) {
  if (!values_.empty() && shapes_[values_.back().shape] == shape) return values_.back().shape;
  if (shape_numbers_.size() < 2 * (shapes_.size() + 1)) {
    shape_numbers_.assign(std::max<std::size_t>(16, 4 * shape_numbers_.size()), none);
    for (std::uint32_t n = 0; n < shapes_.size(); ++n) {
      std::size_t at = hash(shapes_[n]) % shape_numbers_.size();
      while (shape_numbers_[at] != none) at = (at + 1) % shape_numbers_.size();
      shape_numbers_[at] = n;
    }
  }
  std::size_t at = hash(shape) % shape_numbers_.size();
  for (; shape_numbers_[at] != none; at = (at + 1) % shape_numbers_.size())
    if (shapes_[shape_numbers_[at]] == shape) return shape_numbers_[at];
  shape_numbers_[at] = static_cast<std::uint32_t>(shapes_.size());
  shapes_.push_back(shape);
  return shape_numbers_[at];
}

ValueId Graph::add_value(DType dtype, std::uint32_t shape, Source source, std::size_t index) {
  values_.push_back({shape, dtype, source, static_cast<std::uint32_t>(index)});
  return static_cast<ValueId>(values_.size() - 1);
}

ValueId Graph::add_argument(DType dtype, const Shape& shape) {
  const ValueId v = add_value(dtype, number_of(shape), Source::argument, arguments_.size());
  arguments_.push_back(v);
  return v;
}

ValueId Graph::add_constant(const Tensor& value) {
  const ValueId v = add_value(value.dtype(), number_of(value.shape()), Source::constant, constants_.size());
  constants_.push_back(value);
  return v;
}

ValueId Graph::add_state(const std::shared_ptr<detail::StateSlot>& slot) {
  const auto [at, fresh] = state_numbers_.try_emplace(slot.get(), states_.size());
  if (!fresh) return states_[at->second].before;
  const ValueId v =
      add_value(slot->value.dtype(), number_of(slot->value.shape()), Source::state, states_.size());
  states_.push_back({slot, v, v});
  return v;
}

void Graph::assign(const std::shared_ptr<detail::StateSlot>& slot, ValueId value) {
  add_state(slot);
  states_[state_numbers_.at(slot.get())].after = value;
}

ValueId Graph::add_instruction(const OperatorDefinition& op, std::span<const ValueId> inputs,
                               const void* attributes, const SourceLocation& where, DType dtype,
                               std::uint32_t shape) {
  Instruction i;
  i.op = &op;
  i.where = where;
  i.first_input = static_cast<std::uint32_t>(operands_.size());
  i.input_count = static_cast<std::uint32_t>(inputs.size());
  for (const ValueId v : inputs) operands_.push_back(v);
  if (op.attributes != nullptr && attributes != nullptr) {
    i.attributes = static_cast<std::uint32_t>(attributes_.size());
    // They may be those of another instruction, which the growing table moves.
    const auto* from = static_cast<const std::byte*>(attributes);
    const bool own = std::less_equal<>()(attributes_.data(), from) &&
                     std::less<>()(from, attributes_.data() + attributes_.size());
    const std::ptrdiff_t offset = own ? from - attributes_.data() : 0;
    attributes_.resize(attributes_.size() + (op.attributes->size + 7) / 8 * 8);
    std::memcpy(attributes_.data() + i.attributes, own ? attributes_.data() + offset : from,
                op.attributes->size);
  }
  i.output = add_value(dtype, shape, Source::instruction, instructions_.size());
  instructions_.push_back(i);
  return i.output;
}

ValueId Graph::add(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes,
                   const SourceLocation& where, DType dtype, const Shape& shape) {
  return add_instruction(op, inputs, attributes, where, dtype, number_of(shape));
}

ValueId Graph::add(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes,
                   const SourceLocation& where) {
  const Meta meta = op.infer(describe(op, inputs, attributes, where));
  return add(op, inputs, attributes, where, meta.dtype, meta.shape);
}

void Graph::shrink_to_fit() {
  values_.shrink_to_fit();
  instructions_.shrink_to_fit();
  operands_.shrink_to_fit();
  attributes_.shrink_to_fit();
}

void Graph::begin_like(const Graph& from) {
  shapes_ = from.shapes_;
  shape_numbers_ = from.shape_numbers_;
  values_.reserve(from.values_.size());
  instructions_.reserve(from.instructions_.size());
  operands_.reserve(from.operands_.size());
  attributes_.reserve(from.attributes_.size());
}

ValueId Graph::copy(const Graph& from, const Instruction& i, std::span<const ValueId> inputs) {
  const Value& result = from.values_[i.output];
  return add_instruction(*i.op, inputs, from.attributes(i), i.where, result.dtype, result.shape);
}

bool Graph::plainly_elementwise(const Instruction& i) const {
  if (!i.op->elementwise || i.input_count == 0) return false;
  const Value &out = values_[i.output], &first = values_[operands_[i.first_input]];
  bool seen = false;  // an input with the shape of the result
  for (const ValueId v : inputs(i)) {
    if (values_[v].shape != out.shape && !shapes_[values_[v].shape].empty()) return false;
    seen |= values_[v].shape == out.shape;
  }
  return seen && out.dtype == (i.op->boolean_result ? DType::bool_ : first.dtype);
}

Call Graph::describe(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes,
                     const SourceLocation& where) const {
  // Headers live in blocks that are never given back: one set a thread, as many as the widest call had.
  struct Headers {
    std::vector<Tensor> tensors;
    std::vector<detail::TensorImpl*> raw;
  };
  thread_local Headers headers;
  while (headers.tensors.size() < inputs.size()) {
    headers.tensors.push_back(Tensor::adopt(detail::new_traced(DType::float32, Shape{}, none, 0)));
    headers.raw.push_back(headers.tensors.back().get());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    detail::TensorImpl& x = *headers.raw[i];
    x.dtype = dtype(inputs[i]);
    x.shape = shape(inputs[i]);
    x.strides = contiguous_strides(x.shape);
    x.size = x.shape.elements();
  }
  return Call{op, headers.raw.data(), static_cast<std::uint32_t>(inputs.size()), attributes, where};
}

void Graph::verify(const char* after) const {
  const auto fail = [&](std::size_t at, const std::string& problem) {
    throw GraphError("program", std::string(after) + ": instruction " + std::to_string(at) + ": " + problem,
                     at < instructions_.size() ? instructions_[at].where : SourceLocation{});
  };
  std::vector<bool> known(values_.size(), false);
  for (ValueId v = 0; v < values_.size(); ++v) known[v] = values_[v].source != Source::instruction;
  for (std::size_t n = 0; n < instructions_.size(); ++n) {
    const Instruction& i = instructions_[n];
    for (const ValueId v : inputs(i))
      if (v >= values_.size() || !known[v]) fail(n, i.op->name + " uses a value before it is computed");
    if (i.output >= values_.size() || known[i.output] || values_[i.output].index != n)
      fail(n, i.op->name + " computes a value that exists already");
    known[i.output] = true;
    if (plainly_elementwise(i)) continue;
    const Meta meta = i.op->infer(describe(i));
    if (meta.dtype != dtype(i.output) || meta.shape != shape(i.output))
      fail(n, i.op->name + " is written down as " + wengert::describe(dtype(i.output), shape(i.output)) +
                  ", its shape rule gives " + wengert::describe(meta.dtype, meta.shape));
  }
  const auto check_end = [&](ValueId v, const char* what) {
    if (v >= values_.size() || !known[v]) fail(instructions_.size(), std::string(what) + " is not computed");
  };
  for (const ValueId v : outputs_) check_end(v, "an output");
  for (const StateUse& s : states_) {
    check_end(s.after, "a state's new value");
    if (dtype(s.before) != dtype(s.after) || shape(s.before) != shape(s.after))
      fail(instructions_.size(), "a state changes its type from " +
                                     wengert::describe(dtype(s.before), shape(s.before)) + " to " +
                                     wengert::describe(dtype(s.after), shape(s.after)));
  }
}

}  // namespace wengert::program
