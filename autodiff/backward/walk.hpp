#pragma once

#include <vector>

#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// The recorded nodes that a tensor depends on, as a flat list in the order of computation (inputs before
/// results): Wengert's list. Edges are positions in the list, -1 for inputs that are constants.
struct Walk {
  std::vector<TensorImpl*> nodes;
  std::vector<std::uint32_t> first_edge;  ///< one more entry than nodes
  std::vector<std::int32_t> edges;
  /// Position of each `ends` tensor in the list, -1 for those that `y` does not depend on.
  std::vector<std::int32_t> ends;

  /// Collects what `y` depends on. The walk does not go beyond the tensors of `ends` when `stop` is set.
  /// Iterative: a chain of a million nodes needs no deep stack. Safe while other threads walk the same graph.
  void collect(TensorImpl& y, const Tensor* ends_begin, std::size_t ends_count, bool stop);

  /// The Call that node i was made with.
  Call call(std::size_t i) const {
    const TensorImpl& n = *nodes[i];
    return Call{*n.op, n.inputs, n.input_count, n.attributes, n.where, nodes[i]};
  }

  /// Lists are kept per thread: small graphs are walked often. Nested walks get their own.
  static Walk take();
  void give_back() &&;
};

/// J^T of one call applied to a cotangent: by the operator's rule, its elementwise derivatives, or its
/// composition. Checks what a rule returns. Records when recording is on.
Tensors vjp_of(const Call& call, const Tensor& cotangent);
/// The i-th entry of that for an elementwise operator.
Tensor elementwise_vjp(const Call& call, std::uint32_t i, const Tensor& cotangent);
/// J of one call applied to tangents: by the operator's rule, or as the transpose of its vjp.
Tensor jvp_of(const Call& call, const Tensors& tangents);

}  // namespace wengert::detail
