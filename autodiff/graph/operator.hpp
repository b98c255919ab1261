#pragma once

#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/graph/attributes.hpp"
#include "autodiff/kernels/row.hpp"
#include "autodiff/tensor/creation.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

namespace kernels {
class Interval;
}

/// Element type and shape of a result: what a shape rule computes.
struct Meta {
  DType dtype;
  Shape shape;
};

/// One use of an operator, as its rules see it.
///
/// The shape rule and the kernel read headers (call[0].shape, call[0].as<float>()); derivative rules take
/// tensors (call.input(0), call.output()) and use public operators on them.
struct Call {
  const OperatorDefinition& op;
  detail::TensorImpl* const* inputs;
  std::uint32_t count;
  const void* attributes = nullptr;
  SourceLocation where = {};
  detail::TensorImpl* result = nullptr;  ///< in derivative rules
  std::uint32_t wanted = ~0u;            ///< in vjp rules: bit i, the cotangent of input i is asked for

  std::uint32_t size() const { return count; }
  [[gnu::always_inline]] const detail::TensorImpl& operator[](std::uint32_t i) const { return *inputs[i]; }
  [[gnu::always_inline]] const Shape& shape(std::uint32_t i) const { return inputs[i]->shape; }
  [[gnu::always_inline]] DType dtype(std::uint32_t i) const { return inputs[i]->dtype; }
  template <class A>
  [[gnu::always_inline]] const A& attrs() const {
    return *static_cast<const A*>(attributes);
  }
  /// Whether the vjp rule has to give the cotangent of input i; entries not wanted may stay empty.
  bool wants(std::uint32_t i) const { return wanted >> (i < 31 ? i : 31) & 1; }
  /// An input's value, with its history, so that the derivative can be differentiated again.
  /// Throws GraphError when the operator did not declare that its rule reads it.
  Tensor input(std::uint32_t i) const;
  /// The result's value, under the same condition.
  Tensor output() const;
};

/// Inputs and attributes that an operator can be tried with: the battery of checks runs over them.
struct Sample {
  Tensors inputs;
  std::vector<std::byte> attributes;
  std::string expected_error;  ///< for error cases: text that the message must contain

  const void* attribute_data() const { return attributes.empty() ? nullptr : attributes.data(); }
};

/// The samples of an operator. Samples{a, b} is one call with the inputs a and b; with() adds more.
class Samples {
 public:
  Samples() = default;
  Samples(std::initializer_list<Tensor> inputs) { with(inputs); }

  Samples& with(std::initializer_list<Tensor> inputs) { return with(Tensors(inputs)); }
  Samples& with(Tensors inputs) {
    list_.push_back({std::move(inputs), {}, {}});
    return *this;
  }
  template <Attributes A>
  Samples& with(std::initializer_list<Tensor> inputs, const A& attributes) {
    with(inputs);
    list_.back().attributes.resize(sizeof(A));
    std::memcpy(list_.back().attributes.data(), &attributes, sizeof(A));
    return *this;
  }
  /// For error cases: text that the message of the last added call must contain.
  Samples& fails_with(std::string text) {
    list_.back().expected_error = std::move(text);
    return *this;
  }
  const std::vector<Sample>& list() const { return list_; }

 private:
  std::vector<Sample> list_;
};

using Kernel = void (*)(const Call&, detail::TensorImpl& out);
using ShapeRule = std::function<Meta(const Call&)>;
/// Makes the result of a view: a header on the input's bytes (detail::new_view).
using ViewRule = std::function<detail::TensorImpl*(const Call&, const Meta&)>;
/// The cotangents of the inputs from that of the result, in differentiable operators. One entry an input;
/// entries that call.wants() does not ask for, and inputs that are not floating, stay empty.
using VjpRule = std::function<Tensors(const Call&, const Tensor& cotangent)>;
/// The tangent of the result from those of the inputs (an empty one is zero).
using JvpRule = std::function<Tensor(const Call&, const Tensors& tangents)>;
/// The same function in other differentiable operators; derivatives follow from it when there is no rule.
using Composition = std::function<Tensor(const Call&)>;
using SampleRule = std::function<Samples()>;
/// What a captured program computes instead of one call of the operator: the number of a value that equals
/// its result, or Rewriting::none. See graph/rewriting.hpp.
class Rewriting;
using RewriteRule = std::function<std::uint32_t(Rewriting&)>;
using AtNonzeroRule = std::uint32_t (*)(Rewriting&, std::uint32_t inputs, const OperatorDefinition& by,
                                        std::span<const std::uint32_t> bounded);
/// Where the elements of a result of that shape lie, from where those of the inputs do.
using RangeRule = kernels::Interval (*)(const kernels::Interval* inputs, const Shape& result);
/// The floating-point operations of one call with a result of that shape, counted as program/statistics.hpp
/// says.
using FlopRule = std::int64_t (*)(const Call&, const Shape& result);

/// An elementwise operator's derivative with respect to one input.
struct ElementwiseDerivative {
  /// f'_i(inputs..., output) in tensors, for forward mode and to differentiate again. Entries that it does
  /// not read may be empty.
  std::function<Tensor(std::span<const Tensor> inputs_and_output)> rule;
  /// Which of (inputs..., output) the rule reads: bit i for input i, bit `arity` for the output.
  std::uint32_t reads = 0;
  /// The derivative where it is a constant (reads == 0).
  double constant = 0;
  /// The derivative is the one value that it reads, as it is.
  bool identity = false;
  /// cotangent * f'_i in one pass; its inputs are the cotangent and what the rule reads.
  const OperatorDefinition* fused_vjp = nullptr;
};

/// Everything about one operator. Definitions live as long as the process: nodes point to them.
struct OperatorDefinition {
  std::string name;
  std::string doc;       ///< one line: the formula
  std::string contract;  ///< what holds where mathematics leaves a choice; may be empty
  int min_inputs = 1;
  int max_inputs = 1;
  const AttributeType* attributes = nullptr;

  ShapeRule infer;
  Kernel kernel = nullptr;
  ViewRule view;
  std::function<void(const Call&, detail::TensorImpl& out)> body;  ///< a kernel that carries state
  RowRule row;                 ///< the same arithmetic on rows, with the same bits
  bool checks_values = false;  ///< the kernel can throw because of the values of its inputs
  bool assumes = false;        ///< ... because a captured program has assumed others: detail::OutOfBounds
  bool takes_memory = false;   ///< the kernel has intermediate results, even of contiguous inputs

  bool differentiable = false;
  std::uint32_t reads_inputs = 0;  ///< bit i: the vjp rule reads the value of input i
  bool reads_output = false;
  VjpRule vjp;
  JvpRule jvp;
  Composition compose;
  RewriteRule rewrite;
  /// Of an operator whose result may be zero but for one place in each row: Rewriting::at_nonzero for calls
  /// that have such results as these inputs.
  AtNonzeroRule at_nonzero = nullptr;
  /// Null: anywhere. Elementwise operators have one from their rule.
  RangeRule range = nullptr;
  /// The operator that adds to something what this one computes: its inputs are this one's, what is added to,
  /// and a number to scale by; it has this one's attributes.
  const OperatorDefinition* accumulating = nullptr;
  /// The kernel may be given the memory of this input for its result; -1: of none.
  int overwrites = -1;

  bool draws = false;  ///< takes numbers from a random generator: every call counts, in its order

  bool elementwise = false;     ///< broadcasting shape rule; the result has the inputs' dtype
  bool boolean_result = false;  ///< ... but bool for comparisons
  std::vector<ElementwiseDerivative> derivatives;
  /// The rule on single float64 elements in plain C++: what the vector kernels are compared with.
  std::function<double(const double* inputs)> scalar_reference;

  /// Null: `flops_per_element` for each element of the result.
  FlopRule flops = nullptr;
  int flops_per_element = 0;  ///< of elementwise operators, counted in their rule

  SampleRule samples;
  SampleRule errors;
};

/// A handle of an operator's definition, and the function itself: op(x), op(a, b).
class Operator {
 public:
  explicit Operator(const OperatorDefinition* definition) : definition_(definition) {}
  const OperatorDefinition& definition() const { return *definition_; }
  const std::string& name() const { return definition_->name; }

  Tensor operator()(const Operand& x) const;
  Tensor operator()(const Operand& a, const Operand& b) const;
  Tensor operator()(const Operand& a, const Operand& b, const Operand& c) const;

 private:
  const OperatorDefinition* definition_;
};

/// All built-in operators, and those that the program defined.
std::vector<const OperatorDefinition*> operators();
/// The operator of that name, or null.
const OperatorDefinition* find_operator(std::string_view name);

namespace detail {
/// Puts a definition into the table, for good. Throws ValueError when the name is taken or a rule that it
/// needs is missing: an operator that can't be differentiated has to say so.
OperatorDefinition* register_operator(OperatorDefinition definition);
}  // namespace detail

}  // namespace wengert
