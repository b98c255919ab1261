#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "autodiff/graph/operator.hpp"
#include "autodiff/graph/state.hpp"

namespace wengert::program {

/// Number of a value in a graph.
using ValueId = std::uint32_t;
inline constexpr std::uint32_t none = ~0u;

/// Where a value comes from.
enum class Source : std::uint8_t { argument, constant, state, instruction };

struct Value {
  std::uint32_t shape = 0;  ///< position in the graph's table of shapes
  DType dtype = DType::float32;
  Source source = Source::instruction;
  std::uint32_t index = 0;  ///< which argument, constant, state or instruction
};

/// One operator call.
struct Instruction {
  const OperatorDefinition* op = nullptr;
  SourceLocation where;
  std::uint32_t first_input = 0;  ///< position in the graph's list of operands
  std::uint32_t input_count = 0;
  std::uint32_t attributes = none;  ///< offset of the attribute struct, none when there is none
  ValueId output = none;
};

/// A slot that the program reads, and writes when `after` is another value than `before`.
struct StateUse {
  std::shared_ptr<detail::StateSlot> slot;
  ValueId before = none;
  ValueId after = none;
};

/// A program as plain data: arguments, constants, states, and calls of operators of the table in an order in
/// which inputs stand before what is computed from them. Every value is computed once and never changes.
class Graph {
 public:
  std::size_t size() const { return instructions_.size(); }
  const std::vector<Instruction>& instructions() const { return instructions_; }
  const Instruction& operator[](std::size_t i) const { return instructions_[i]; }
  const std::vector<Value>& values() const { return values_; }
  const Value& value(ValueId v) const { return values_[v]; }
  const Shape& shape(ValueId v) const { return shapes_[values_[v].shape]; }
  DType dtype(ValueId v) const { return values_[v].dtype; }
  std::int64_t elements(ValueId v) const { return shape(v).elements(); }
  std::size_t bytes(ValueId v) const { return static_cast<std::size_t>(elements(v)) * item_size(dtype(v)); }
  std::span<const ValueId> inputs(const Instruction& i) const {
    return {operands_.data() + i.first_input, i.input_count};
  }
  const void* attributes(const Instruction& i) const {
    return i.attributes == none ? nullptr : attributes_.data() + i.attributes;
  }
  /// The instruction that computes v, or null.
  const Instruction* producer(ValueId v) const {
    return values_[v].source == Source::instruction ? &instructions_[values_[v].index] : nullptr;
  }
  const std::vector<ValueId>& arguments() const { return arguments_; }
  const std::vector<Tensor>& constants() const { return constants_; }
  /// The constant's elements; null for other values.
  const Tensor* constant(ValueId v) const {
    return values_[v].source == Source::constant ? &constants_[values_[v].index] : nullptr;
  }
  const std::vector<StateUse>& states() const { return states_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }

  ValueId add_argument(DType dtype, const Shape& shape);
  ValueId add_constant(const Tensor& value);
  /// A state that has been met already gives the same value again.
  ValueId add_state(const std::shared_ptr<detail::StateSlot>& slot);
  void assign(const std::shared_ptr<detail::StateSlot>& slot, ValueId value);
  ValueId add(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes,
              const SourceLocation& where, DType dtype, const Shape& shape);
  /// The same with the shape rule asked for the result's type. Throws what the rule throws.
  ValueId add(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes,
              const SourceLocation& where);
  void add_output(ValueId value) { outputs_.push_back(value); }

  /// Gives back room that was made for more.
  void shrink_to_fit();
  /// For passes, on an empty graph: takes over the table of shapes of `from` and makes room for as much as it
  /// has. Then copy() adds one of its instructions with other inputs.
  void begin_like(const Graph& from);
  ValueId copy(const Graph& from, const Instruction& i, std::span<const ValueId> inputs);

  /// The call of an instruction on headers without bytes, for shape rules and questions that look at shapes
  /// only. The headers are reused by the next call of this function in the thread.
  Call describe(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes,
                const SourceLocation& where) const;
  Call describe(const Instruction& i) const { return describe(*i.op, inputs(i), attributes(i), i.where); }

  /// Throws GraphError when the graph breaks a rule: values used before they are computed, types that the
  /// shape rules don't give, states and outputs that don't exist. `after` names who made it.
  void verify(const char* after) const;

  /// "%7 = add(%3, %6) : float32[4, 3] (net.cpp:12) -> %8, %9", one line an instruction.
  std::string text() const;
  /// The graph in Graphviz's language.
  std::string dot() const;

 private:
  ValueId add_value(DType dtype, std::uint32_t shape, Source source, std::size_t index);
  ValueId add_instruction(const OperatorDefinition& op, std::span<const ValueId> inputs,
                          const void* attributes, const SourceLocation& where, DType dtype,
                          std::uint32_t shape);
  std::uint32_t number_of(const Shape& shape);
  /// Whether the instruction has the type that the shape rule of elementwise operators gives, as far as that
  /// can be told by looking at numbers.
  bool plainly_elementwise(const Instruction& i) const;

  std::vector<Shape> shapes_;                 // each once
  std::vector<std::uint32_t> shape_numbers_;  // hash table: positions in shapes_, none where it is empty
  std::vector<Value> values_;
  std::vector<Instruction> instructions_;
  std::vector<ValueId> operands_;
  std::vector<std::byte> attributes_;  // each 8-aligned
  std::vector<ValueId> arguments_;
  std::vector<Tensor> constants_;
  std::vector<StateUse> states_;
  std::unordered_map<const detail::StateSlot*, std::uint32_t> state_numbers_;
  std::vector<ValueId> outputs_;
};

std::ostream& operator<<(std::ostream& out, const Graph& graph);

}  // namespace wengert::program
