#pragma once

#include <optional>
#include <vector>

#include "autodiff/program/graph.hpp"

namespace wengert::program {

/// Elements of a constant that is looked at, at most.
inline constexpr std::int64_t most_looked_at = 1 << 14;

/// Whether v is finite wherever no element of some values is NaN or larger than kernels::Interval::assumed:
/// those values, which have the shape of v but for the last axis. Nothing where the operators that compute v
/// don't tell (OperatorDefinition::range).
std::optional<std::vector<ValueId>> finite_where_bounded(const Graph& graph, ValueId v);

}  // namespace wengert::program
