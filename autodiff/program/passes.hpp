#pragma once

#include <optional>

#include "autodiff/program/schedule.hpp"

namespace wengert::program {

/// What a pass makes of a graph; nothing where there is nothing to change.
using Changed = std::optional<Graph>;

/// Drops what no output, no state and no random draw needs.
Changed remove_dead_code(const Graph& graph);
/// Computes what depends on constants only, when the result is small.
Changed fold_constants(const Graph& graph);
/// Exact simplifications: views that change nothing disappear, and elementwise operators broadcast by
/// themselves what was broadcast for them.
Changed simplify(const Graph& graph);
/// Computes equal calls once.
Changed share_common(const Graph& graph);
/// Lets the operators' own rules write their calls again (OperatorDefinition::rewrite).
Changed rewrite(const Graph& graph);
/// The same with rules that may assume that numbers are bounded. What is assumed the new graph looks at, by
/// operators that throw detail::OutOfBounds when it does not hold (OperatorDefinition::assumes).
Changed rewrite_assuming(const Graph& graph);
/// How many values the graph assumes to be bounded.
std::size_t assumptions(const Graph& graph);
/// What every program needs to be run: views look at contiguous values.
Changed legalise(const Graph& graph);

/// Where the result of a view lies, seen from its input, which is contiguous.
Layout layout_of_view(const Graph& graph, const Instruction& view);

/// Builds a graph from another one: arguments, constants and states are there from the start, instructions
/// follow one by one, changed or not.
class Rewrite {
 public:
  explicit Rewrite(const Graph& from);

  /// The new value of an old one.
  ValueId operator[](ValueId old) const { return map_[old]; }
  /// The old instruction with new inputs.
  ValueId copy(const Instruction& i);
  void replace(ValueId old, ValueId by) {
    map_[old] = by;
    changed_ = true;
  }
  /// Whether any value was replaced.
  bool changed() const { return changed_; }
  Graph finish() &&;
  /// Nothing when no value was replaced.
  Changed finish_if_changed() &&;

  Graph to;

 private:
  const Graph& from_;
  bool changed_ = false;
  std::vector<ValueId> map_;
  std::vector<ValueId> inputs_;
};

}  // namespace wengert::program
