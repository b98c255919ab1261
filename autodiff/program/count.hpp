#pragma once

#include "autodiff/program/plan.hpp"
#include "autodiff/program/statistics.hpp"

namespace wengert::program {

/// The floating-point operations of one call, as the operator's block says.
std::int64_t flops(const Graph& graph, const Instruction& call);
/// Fills in everything but what was recorded and what the passes did.
void count(const Graph& graph, const Schedule& schedule, const Plan& plan, ProgramStatistics& counts);

}  // namespace wengert::program
