#pragma once

#include <memory>
#include <vector>

#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// The recorded nodes between some tensors, the ends, and y, as a flat list in the order of computation
/// (inputs before results): Wengert's list. Nodes that depend on no end are left out.
struct Walk {
  struct Node {
    TensorImpl* impl;
    std::uint32_t first_edge;  ///< of one edge an input
    std::uint32_t wanted;  ///< bit i: input i is in the list (bit 31 speaks for all from 31 on); 0: a leaf
    bool is_end;
    Tensor value;  ///< what is carried along the list: a cotangent or a tangent

    /// The Call that it was made with.
    Call call() const {
      return Call{*impl->op, impl->inputs, impl->input_count, impl->attributes, impl->where, impl, wanted};
    }
  };
  std::vector<Node> nodes;
  /// The position of each input in the list, -1 for those that are not in it; longer than needed.
  std::vector<std::int32_t> edges;
  /// The position of each end, -1 for those that y does not depend on.
  std::vector<std::int32_t> ends;
  /// That of y, -1 when it depends on no end.
  std::int32_t root = -1;

  /// Collects what lies between; with `everything`, all that y was recorded from. The walk does not go beyond
  /// the ends when `stop` is set: they stand first in the list then, whether y depends on them or not. Nor
  /// does it visit `stops`, which are left out. Iterative: a chain of a million nodes needs no deep stack.
  /// Safe while other threads walk the same graph.
  void collect(TensorImpl& y, const Tensor* ends_begin, std::size_t ends_count, bool stop,
               bool everything = false, const Tensors& stops = {});

  /// Walks are kept per thread: small graphs are walked often. Nested walks get their own.
  static std::unique_ptr<Walk> take();
  static void give_back(std::unique_ptr<Walk> walk);

 private:
  struct Frame {
    TensorImpl* node;
    std::uint32_t next_input;
    bool is_end;
  };
  void place(TensorImpl* node, std::uint32_t first_edge, std::uint32_t wanted, bool is_end);
  void finish_leaf(TensorImpl* leaf, bool keep, bool is_end);
  void finish(TensorImpl* node, bool keep, bool is_end);
  std::uint32_t edge_count_ = 0;
  std::vector<Frame> stack_;
};

/// J^T of one call applied to a cotangent: by the operator's rule, its elementwise derivatives, or its
/// composition. Checks what a rule returns. Records when recording is on.
Tensors vjp_of(const Call& call, const Tensor& cotangent);
/// The i-th entry of that for an elementwise operator.
Tensor elementwise_vjp(const Call& call, std::uint32_t i, const Tensor& cotangent);
/// J of one call applied to tangents: by the operator's rule, or as the transpose of its vjp.
Tensor jvp_of(const Call& call, const Tensors& tangents);

}  // namespace wengert::detail
