#pragma once

#include "autodiff/program/graph.hpp"

namespace wengert::program {

/// Calls the operators of a graph one after the other, as eager code, or as a function that is being
/// captured, would. Nothing is recorded for derivatives. States are updated at the end.
void interpret(const Graph& graph, const Tensor* arguments, Tensor* results);

/// What that would compute for one value, from the present values of states. An empty tensor where it can't
/// be computed apart from everything else: from random numbers, by functions of the user's.
Tensor interpret(const Graph& graph, const Tensor* arguments, ValueId v);

}  // namespace wengert::program
