#include "autodiff/backward/walk.hpp"

#include <mutex>

namespace wengert::detail {
namespace {

struct Frame {
  TensorImpl* node;
  std::uint32_t next_input;
};

std::mutex walk_mutex;          // guards the scratch fields of all nodes
std::uint64_t walk_number = 0;  // guarded by it

thread_local std::vector<Walk> spare_walks;
thread_local std::vector<Frame> stack;

}  // namespace

void Walk::collect(TensorImpl& y, const Tensor* ends_begin, std::size_t ends_count, bool stop) {
  nodes.clear();
  first_edge.clear();
  edges.clear();
  ends.assign(ends_count, -1);
  stack.clear();

  std::lock_guard lock(walk_mutex);
  const std::uint64_t number = ++walk_number;
  const auto finish = [&](TensorImpl* node, bool with_edges) {
    node->slot = static_cast<std::uint32_t>(nodes.size());
    nodes.push_back(node);
    first_edge.push_back(static_cast<std::uint32_t>(edges.size()));
    if (!with_edges) return;
    if (node->op != nullptr && node->input_count == 0)
      throw GraphError(node->op->name,
                       "was computed by a captured function and has no history: call gradients() inside of "
                       "the function",
                       node->where);
    for (std::uint32_t i = 0; i < node->input_count; ++i) {
      const TensorImpl* input = node->inputs[i];
      edges.push_back(input->requires_grad ? static_cast<std::int32_t>(input->slot) : -1);
    }
  };
  if (stop)
    for (std::size_t i = 0; i < ends_count; ++i) {
      TensorImpl* end = ends_begin[i].get();
      if (end->walk == number) continue;
      end->walk = number;
      finish(end, false);
    }
  if (y.requires_grad && y.walk != number) {
    y.walk = number;
    stack.push_back({&y, 0});
  }
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (top.next_input == top.node->input_count) {
      finish(top.node, true);
      stack.pop_back();
      continue;
    }
    TensorImpl* input = top.node->inputs[top.next_input++];
    if (!input->requires_grad || input->walk == number) continue;
    input->walk = number;
    stack.push_back({input, 0});
  }
  first_edge.push_back(static_cast<std::uint32_t>(edges.size()));
  for (std::size_t i = 0; i < ends_count; ++i)
    if (ends_begin[i].get()->walk == number) ends[i] = static_cast<std::int32_t>(ends_begin[i].get()->slot);
}

Walk Walk::take() {
  if (spare_walks.empty()) return {};
  Walk walk = std::move(spare_walks.back());
  spare_walks.pop_back();
  return walk;
}

void Walk::give_back() && {
  constexpr std::size_t worth_keeping = 1 << 16;
  if (nodes.capacity() <= worth_keeping) spare_walks.push_back(std::move(*this));
}

}  // namespace wengert::detail
