#include "autodiff/transforms/trace.hpp"

#include <vector>

#include "autodiff/backward/gradients.hpp"
#include "autodiff/backward/walk.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/tensor/creation.hpp"

namespace wengert::detail {

Trace::Trace(const char* name, const Tensors& primals, const SourceLocation& where)
    : name_(name), where_(where), recording_(recording.enabled) {
  EnableGrad record;
  inputs_.reserve(primals.size());
  for (const Tensor& x : primals) {
    if (!is_floating(x.dtype()))
      throw DTypeError(name, "differentiates with respect to floating tensors, got " + describe(x), where);
    inputs_.push_back(recording_ && x.requires_grad() ? alias(x, where) : variable(x, where));
  }
}

Trace::~Trace() {
  // What is left of the graph sees its arguments as the constants that they were.
  for (const Tensor& x : inputs_)
    if (x.made_by() == nullptr) x.impl().requires_grad = false;
}

void Trace::finish(Tensor y) {
  if (!y.defined()) throw GraphError(name_, "f returned an empty tensor", where_);
  y_ = std::move(y);
  outside_ = recording_ && depends_on_surroundings(y_);
}

bool Trace::depends_on_surroundings(const Tensor& x) const {
  if (!x.requires_grad()) return false;
  std::unique_ptr<Walk> walk = Walk::take();
  walk->collect(x.impl(), inputs_.begin(), inputs_.size(), true, true);
  // The arguments come first in the list, whether x depends on them or not. An alias leads on to history.
  const std::size_t own = inputs_.size();
  bool outside = false;
  const auto enters = [&](std::size_t i) { return i < own && walk->nodes[i].impl->op != nullptr; };
  for (std::size_t i = 0; i < walk->nodes.size() && !outside; ++i) {
    const Walk::Node& node = walk->nodes[i];
    outside = (i >= own && node.impl->op == nullptr) || (enters(i) && node.impl == x.get());
    if (node.wanted == 0) continue;
    for (std::uint32_t k = 0; k < node.impl->input_count; ++k)
      if (const std::int32_t from = walk->edges[node.first_edge + k]; from >= 0)
        outside |= enters(static_cast<std::size_t>(from));
  }
  Walk::give_back(std::move(walk));
  return outside;
}

Tensor Trace::settled(const Tensor& x) const {
  if (!x.requires_grad() || (recording_ && depends_on_surroundings(x))) return x;
  return stop_gradient(x, where_);
}

Tensors Trace::pull(const Tensor& cotangent) const {
  const bool create_graph = recording_ && (outside_ || (cotangent.defined() && cotangent.requires_grad()));
  Tensors result =
      gradients_up_to(y_, inputs_, {.cotangent = cotangent, .create_graph = create_graph}, where_);
  if (create_graph)
    for (Tensor& g : result) g = settled(g);
  return result;
}

Tensor Trace::push(const Tensors& tangents) const {
  if (tangents.size() != inputs_.size())
    throw ValueError(
        name_,
        std::to_string(inputs_.size()) + " primals but " + std::to_string(tangents.size()) + " tangents",
        where_);
  bool create_graph = outside_;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor& x = inputs_[i];
    if (x.shape() != tangents[i].shape() || x.dtype() != tangents[i].dtype())
      throw ShapeError(
          name_,
          "tangent " + std::to_string(i) + " is " + describe(tangents[i]) + ", its primal is " + describe(x),
          where_);
    create_graph |= tangents[i].requires_grad();
  }
  ScopedFlag record(recording.enabled, recording_ && create_graph);
  std::unique_ptr<Walk> walk = Walk::take();
  walk->collect(y_.impl(), inputs_.begin(), inputs_.size(), true);
  auto& nodes = walk->nodes;
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    if (walk->ends[i] >= 0) nodes[static_cast<std::size_t>(walk->ends[i])].value = tangents[i];
  for (Walk::Node& node : nodes) {
    if (node.wanted == 0) continue;
    const Call call = node.call();
    Tensors in(call.count);
    bool any = false;
    for (std::uint32_t k = 0; k < call.count; ++k)
      if (const std::int32_t from = walk->edges[node.first_edge + k]; from >= 0) {
        in[k] = nodes[static_cast<std::size_t>(from)].value;
        any |= in[k].defined();
      }
    if (any) node.value = jvp_of(call, in);
  }
  Tensor result;
  if (walk->root >= 0) result = nodes[static_cast<std::size_t>(walk->root)].value;
  Walk::give_back(std::move(walk));
  return result.defined() ? settled(result) : zeros_like(y_);
}

}  // namespace wengert::detail
