#pragma once

#include <memory>

#include "autodiff/program/capture.hpp"
#include "autodiff/program/graph.hpp"

namespace wengert::program {

/// The operator that stands as the origin of a captured function's results. Its inputs are the call's
/// arguments and the values of the graph's states; it is differentiated by running the function again,
/// eagerly, on them. It keeps nothing alive: when the function or a state is gone, to differentiate throws
/// GraphError.
const OperatorDefinition& make_history(const Graph& graph, detail::ErasedFunction function,
                                       const std::shared_ptr<void>& object);

/// Gives result number `number` of a call that history.
void attach_history(const OperatorDefinition& history, const Graph& graph, const Tensor* arguments,
                    std::size_t number, const SourceLocation& where, detail::TensorImpl& result);

}  // namespace wengert::program
