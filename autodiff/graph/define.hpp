#pragma once

/// \file
/// How an operator is written down: one block with its name, formula, shape rule, kernel, derivative,
/// samples and errors, given to define(). elementwise.hpp has the shorter form for elementwise rules.
///
/// The files of autodiff/ops are compiled once for every instruction set. The baseline registers the whole
/// definition; the others (WENGERT_VARIANT) contribute nothing but their kernels, so every other rule is
/// discarded there: an inline function compiled for AVX-512 must not reach a CPU without it.

#include "autodiff/graph/operator.hpp"
#include "autodiff/graph/rewriting.hpp"
#include "autodiff/kernels/isa.hpp"

namespace wengert {

namespace detail {
/// The kernels of another instruction set for a registered operator.
void set_kernel(const char* name, Kernel kernel, const RowKernel (&rows)[4], const RowKernel (&add_rows)[4],
                const RowKernel (&some_rows)[4]);
bool define_builtin_operators();
}  // namespace detail

#ifndef WENGERT_VARIANT
namespace {
// Whoever links an operator links the whole table, and it stands before any static object of the program
// is made: objects that register themselves would vanish from a static archive.
struct TableAtStart {
  TableAtStart() { detail::define_builtin_operators(); }
};
[[maybe_unused, gnu::init_priority(200)]] const TableAtStart table_at_start;
}  // namespace
#endif

inline namespace WENGERT_ISA {

#ifdef WENGERT_VARIANT
inline constexpr bool is_variant = true;
template <class>
struct Rule {
  Rule() = default;
  template <class F>
  Rule(F&&) {}
};
#else
inline constexpr bool is_variant = false;
template <class Held>
using Rule = Held;
#endif

/// Names the operator's attribute struct: .attributes = attributes_of<SumAttributes>.
struct AttributesOf {
  const AttributeType* type = nullptr;
};
template <Attributes A>
struct AttributesTag {
  operator AttributesOf() const {
    if constexpr (is_variant)
      return {};
    else
      return {attribute_type<A>()};
  }
};
template <Attributes A>
inline constexpr AttributesTag<A> attributes_of{};

/// Which inputs a vjp rule reads: .reads = reads_inputs(0, 1). Values not read are freed early.
template <class... I>
constexpr std::uint32_t reads_inputs(I... i) {
  return (0u | ... | (1u << i));
}

/// .flops = flops_per_input<n>: n floating-point operations for each element of the first input.
template <int n>
[[maybe_unused]] std::int64_t flops_per_input(const Call& call, const Shape&) {
  return n * call.shape(0).elements();
}

/// An operator's RowRule: .row = {.kernel = {...}, .fits = [](const Call& call) { ... }}.
struct RowSpec {
  RowKernel kernel[4] = {};  ///< in the order of DType: bool, int64, float32, float64
  Rule<bool (*)(const Call&)> fits = {};
  std::uint32_t column_inputs = 0;
  bool column_result = false;
  bool in_place = false;
  Rule<bool (*)(const Call&)> sums_rows = {};
  Rule<bool (*)(const Call&, DirectSizes&)> direct = {};
  Rule<std::int64_t (*)(const Call&)> rows_at_once = {};
  RowKernel some_rows[4] = {};
  RowKernel add_rows[4] = {};
  bool elementwise = false;
  std::uint8_t data_input = 0;
};

struct OperatorSpec {
  const char* name;
  const char* doc = "";
  const char* contract = "";
  int inputs = 1;
  int max_inputs = 0;  ///< 0: exactly `inputs`
  AttributesOf attributes = {};
  Rule<ShapeRule> infer = {};
  Kernel kernel = nullptr;
  RowSpec row = {};
  bool checks_values = false;  ///< the kernel can throw because of the values of its inputs
  bool assumes = false;        ///< ... because a captured program has assumed others: detail::OutOfBounds
  bool takes_memory = false;   ///< the kernel has intermediate results, even of contiguous inputs
  Rule<ViewRule> view = {};
  bool differentiable =
      true;            ///< false only where the derivative is zero by definition, stated in `contract`
  bool draws = false;  ///< takes numbers from the random generator
  std::uint32_t reads = 0;
  bool reads_output = false;
  Rule<VjpRule> vjp = {};
  Rule<JvpRule> jvp = {};
  Rule<Composition> compose = {};
  Rule<RewriteRule> rewrite = {};
  Rule<AtNonzeroRule> at_nonzero = {};
  Rule<RangeRule> range = {};
  const OperatorDefinition* accumulating = nullptr;
  int overwrites = -1;
  Rule<FlopRule> flops = {};  ///< none: it moves numbers and computes nothing
  Rule<SampleRule> samples = {};
  Rule<SampleRule> errors = {};
};

/// Registers a built-in operator; in the other instruction sets, adds its kernel.
inline const OperatorDefinition* define([[maybe_unused]] OperatorSpec spec) {
#ifdef WENGERT_VARIANT
  const RowSpec& row = spec.row;
  if (spec.kernel != nullptr)
    detail::set_kernel(spec.name, spec.kernel, row.kernel, row.add_rows, row.some_rows);
  return nullptr;
#else
  OperatorDefinition op;
  op.name = spec.name;
  op.doc = spec.doc;
  op.contract = spec.contract;
  op.min_inputs = spec.inputs;
  op.max_inputs = spec.max_inputs == 0 ? spec.inputs : spec.max_inputs;
  op.attributes = spec.attributes.type;
  op.infer = std::move(spec.infer);
  op.kernel = spec.kernel;
  for (int i = 0; i < 4; ++i) {
    op.row.kernel[i] = spec.row.kernel[i];
    op.row.add_rows[i] = spec.row.add_rows[i];
    op.row.some_rows[i] = spec.row.some_rows[i];
  }
  op.row.elementwise = spec.row.elementwise;
  op.row.data_input = spec.row.data_input;
  op.row.fits = spec.row.fits;
  op.row.column_inputs = spec.row.column_inputs;
  op.row.column_result = spec.row.column_result;
  op.row.in_place = spec.row.in_place;
  op.row.sums_rows = spec.row.sums_rows;
  op.row.direct = spec.row.direct;
  op.row.rows_at_once = spec.row.rows_at_once;
  op.checks_values = spec.checks_values;
  op.assumes = spec.assumes;
  op.takes_memory = spec.takes_memory;
  op.view = std::move(spec.view);
  op.differentiable = spec.differentiable;
  op.draws = spec.draws;
  op.reads_inputs = spec.reads;
  op.reads_output = spec.reads_output;
  op.vjp = std::move(spec.vjp);
  op.jvp = std::move(spec.jvp);
  op.compose = std::move(spec.compose);
  op.rewrite = std::move(spec.rewrite);
  op.at_nonzero = spec.at_nonzero;
  op.range = spec.range;
  op.accumulating = spec.accumulating;
  op.overwrites = spec.overwrites;
  op.flops = spec.flops;
  op.samples = std::move(spec.samples);
  op.errors = std::move(spec.errors);
  return detail::register_operator(std::move(op));
#endif
}

}  // namespace WENGERT_ISA
}  // namespace wengert
