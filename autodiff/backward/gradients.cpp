#include "autodiff/backward/gradients.hpp"

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
                const SourceLocation& where, bool stop) {
  if (!y.defined()) throw GraphError("gradients", "y is an empty tensor", where);
  for (std::size_t i = 0; i < wrt.size(); ++i)
    if (!wrt[i].defined())
      throw GraphError("gradients", "tensor " + std::to_string(i) + " of wrt is empty", where);
  check_cotangent(y, options, where);

  detail::Walk walk = detail::Walk::take();
  walk.collect(y.impl(), wrt.begin(), wrt.size(), stop);
  const std::size_t count = walk.nodes.size();

  // Only nodes between y and wrt take part.
  constexpr unsigned char on_the_way = 1, is_end = 2;
  std::vector<unsigned char> state(count, 0);
  for (std::int32_t end : walk.ends)
    if (end >= 0) state[static_cast<std::size_t>(end)] = on_the_way | is_end;
  for (std::size_t i = 0; i < count; ++i)
    for (std::uint32_t e = walk.first_edge[i]; e < walk.first_edge[i + 1]; ++e)
      if (walk.edges[e] >= 0) state[i] |= state[static_cast<std::size_t>(walk.edges[e])] & on_the_way;

  detail::ScopedFlag recording(detail::recording.enabled, options.create_graph);
  std::vector<Tensor> cotangents(count);
  if (count > 0 && walk.nodes.back() == y.get())
    cotangents.back() = options.cotangent.defined() ? options.cotangent : ones_like(y);
  else if (count > 0 && stop)
    for (std::size_t i = 0; i < count; ++i)
      if (walk.nodes[i] == y.get())
        cotangents[i] = options.cotangent.defined() ? options.cotangent : ones_like(y);

  for (std::size_t i = count; i-- > 0;) {
    const std::uint32_t first = walk.first_edge[i];
    const std::uint32_t last = walk.first_edge[i + 1];
    if (!cotangents[i].defined() || !(state[i] & on_the_way) || first == last) continue;
    const Tensor cotangent = state[i] & is_end ? cotangents[i] : std::move(cotangents[i]);
    Call call = walk.call(i);
    call.wanted = 0;
    const auto wanted = [&](std::uint32_t e) {
      return walk.edges[e] >= 0 && (state[static_cast<std::size_t>(walk.edges[e])] & on_the_way) != 0;
    };
    for (std::uint32_t e = first; e < last; ++e)
      if (wanted(e)) call.wanted |= 1u << std::min(e - first, 31u);
    const auto accumulate = [&](std::uint32_t e, Tensor part) {
      Tensor& sum = cotangents[static_cast<std::size_t>(walk.edges[e])];
      sum = sum.defined() ? add(Operand(sum, call.where), part) : std::move(part);
    };
    if (!call.op.derivatives.empty()) {  // most nodes: without a list of parts
      for (std::uint32_t e = first; e < last; ++e)
        if (wanted(e)) accumulate(e, detail::elementwise_vjp(call, e - first, cotangent));
      continue;
    }
    Tensors parts = detail::vjp_of(call, cotangent);
    for (std::uint32_t e = first; e < last; ++e)
      if (wanted(e) && parts[e - first].defined()) accumulate(e, std::move(parts[e - first]));
  }

  Tensors result;
  result.reserve(wrt.size());
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    const std::int32_t end = walk.ends[i];
    if (end >= 0 && cotangents[static_cast<std::size_t>(end)].defined()) {
      result.push_back(cotangents[static_cast<std::size_t>(end)]);
    } else {
      if (options.unused == Unused::error)
        throw GraphError("gradients",
                         "y does not depend on tensor " + std::to_string(i) + " of wrt, " + describe(wrt[i]),
                         where);
      result.push_back(zeros_like(wrt[i]));
    }
  }
  std::move(walk).give_back();
  return result;
}

}  // namespace

Tensors gradients(const Tensor& y, const Tensors& wrt, const GradientOptions& options, SourceLocation where) {
  return reverse(y, wrt, options, where, false);
}

Tensors detail::gradients_up_to(const Tensor& y, const Tensors& wrt, const GradientOptions& options,
                                const SourceLocation& where) {
  return reverse(y, wrt, options, where, true);
}

}  // namespace wengert
