#include "autodiff/backward/gradients.hpp"

#include "autodiff/backward/callable.hpp"
#include "autodiff/backward/walk.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/ops.hpp"

namespace wengert {
namespace {

void check_cotangent(const Tensor& y, const GradientOptions& options, const SourceLocation& where) {
  const Tensor& c = options.cotangent;
  if (!c.defined()) {
    if (y.size() != 1)
      throw ShapeError("gradients",
                       "y has " + std::to_string(y.size()) + " elements (" + describe(y) +
                           "): pass a cotangent, or reduce it first",
                       where);
  } else if (c.shape() != y.shape() || c.dtype() != y.dtype()) {
    throw ShapeError("gradients", "the cotangent is " + describe(c) + ", y is " + describe(y), where);
  }
}

Tensors reverse(const Tensor& y, const Tensors& wrt, const GradientOptions& options,
                const SourceLocation& where, bool stop, const Tensors& stops = {}) {
  if (!y.defined()) throw GraphError("gradients", "y is an empty tensor", where);
  for (std::size_t i = 0; i < wrt.size(); ++i)
    if (!wrt[i].defined())
      throw GraphError("gradients", "tensor " + std::to_string(i) + " of wrt is empty", where);
  check_cotangent(y, options, where);

  std::unique_ptr<detail::Walk> walk = detail::Walk::take();
  walk->collect(y.impl(), wrt.begin(), wrt.size(), stop, false, stops);
  auto& nodes = walk->nodes;

  detail::ScopedFlag recording(detail::recording.enabled, options.create_graph);
  if (walk->root >= 0)
    nodes[static_cast<std::size_t>(walk->root)].value = options.cotangent.defined() ? options.cotangent
                                                        : y.ndim() == 0 ? detail::scalar(1.0, y.dtype())
                                                                        : ones_like(y);
  for (std::size_t i = nodes.size(); i-- > 0;) {
    detail::Walk::Node& node = nodes[i];
    if (node.wanted == 0 || !node.value.defined()) continue;
    const Tensor cotangent = node.is_end ? node.value : std::move(node.value);
    const Call call = node.call();
    const std::int32_t* edges = walk->edges.data() + node.first_edge;
    const auto accumulate = [&](std::uint32_t input, Tensor&& part) {
      Tensor& sum = nodes[static_cast<std::size_t>(edges[input])].value;
      sum = sum.defined() ? add(Operand(sum, call.where), part) : std::move(part);
    };
    if (!call.op.derivatives.empty()) {  // most nodes: without a list of parts
      for (std::uint32_t k = 0; k < call.count; ++k)
        if (edges[k] >= 0) accumulate(k, detail::elementwise_vjp(call, k, cotangent));
      continue;
    }
    Tensors parts = detail::vjp_of(call, cotangent);
    for (std::uint32_t k = 0; k < call.count; ++k)
      if (edges[k] >= 0 && parts[k].defined()) accumulate(k, std::move(parts[k]));
  }

  Tensors result;
  result.reserve(wrt.size());
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    const std::int32_t end = walk->ends[i];
    const Tensor* sum = end < 0 ? nullptr : &nodes[static_cast<std::size_t>(end)].value;
    if (sum != nullptr && sum->defined()) {
      result.push_back(*sum);
      continue;
    }
    if (options.unused == Unused::error)
      throw GraphError("gradients",
                       "y does not depend on tensor " + std::to_string(i) + " of wrt, " + describe(wrt[i]),
                       where);
    result.push_back(zeros_like(wrt[i]));
  }
  detail::Walk::give_back(std::move(walk));
  return result;
}

}  // namespace

Tensors gradients(const Tensor& y, const Tensors& wrt, const GradientOptions& options, SourceLocation where) {
  return reverse(y, wrt, options, where, false);
}

Tensors detail::gradients_up_to(const Tensor& y, const Tensors& wrt, const GradientOptions& options,
                                const SourceLocation& where, const Tensors& stops) {
  return reverse(y, wrt, options, where, true, stops);
}

void detail::fail_gradient_count(std::size_t asked, std::size_t tensors, const SourceLocation& where) {
  throw ValueError(
      "gradients",
      "asked for " + std::to_string(asked) + " gradients of " + std::to_string(tensors) + " tensors", where);
}

void detail::fail_argument_count(const char* caller, int expected, std::size_t inputs,
                                 const SourceLocation& where) {
  throw ValueError(
      caller,
      "f takes " + std::to_string(expected) + " tensors but there are " + std::to_string(inputs) + " inputs",
      where);
}

}  // namespace wengert
