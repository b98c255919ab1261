#include "autodiff/backward/walk.hpp"

#include <algorithm>
#include <mutex>

namespace wengert::detail {
namespace {

std::mutex walk_mutex;          // guards the scratch fields of all nodes
std::uint64_t walk_number = 0;  // guarded by it

thread_local std::vector<std::unique_ptr<Walk>> spare_walks;

constexpr auto outside = static_cast<std::uint32_t>(-1);

}  // namespace

inline void Walk::place(TensorImpl* node, std::uint32_t first_edge, std::uint32_t wanted, bool is_end) {
  node->slot = static_cast<std::uint32_t>(nodes.size());
  nodes.push_back({node, first_edge, wanted, is_end, {}});
}

// A leaf has its place if it is asked for.
inline void Walk::finish_leaf(TensorImpl* leaf, bool keep, bool is_end) {
  if (leaf->op != nullptr)
    throw GraphError(leaf->op->name,
                     "was computed by a captured function that changes states, draws random numbers or reads "
                     "variables: it has no history, call gradients() inside of the function",
                     leaf->where);
  if (keep)
    place(leaf, 0, 0, is_end);
  else
    leaf->slot = outside;
}

// A node has its place behind its inputs, or outside when none of them leads to an end.
inline void Walk::finish(TensorImpl* node, bool keep, bool is_end) {
  const std::uint32_t first = edge_count_;
  const std::uint32_t count = node->input_count;
  if (edges.size() < first + count) edges.resize(2 * (first + std::size_t{count}));
  std::int32_t* edge = edges.data() + first;
  std::uint32_t wanted = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const TensorImpl* input = node->inputs[i];
    const std::uint32_t slot = input->requires_grad ? input->slot : outside;
    edge[i] = static_cast<std::int32_t>(slot);
    if (slot != outside) wanted |= 1u << std::min(i, 31u);
  }
  if (wanted == 0 && !keep) {
    node->slot = outside;
    return;
  }
  edge_count_ = first + count;
  place(node, first, wanted, is_end);
}

void Walk::collect(TensorImpl& y, const Tensor* ends_begin, std::size_t ends_count, bool stop,
                   bool everything, const Tensors& stops) {
  nodes.clear();
  edge_count_ = 0;
  ends.assign(ends_count, -1);
  stack_.clear();
  root = -1;

  // Nobody else can walk while there is one thread.
  std::unique_lock lock(walk_mutex, std::defer_lock);
  if (!single_threaded()) lock.lock();
  // Scratch fields hold the number of the last walk that came by: `seen`, or before that, for ends, `end`.
  const std::uint64_t end = ++walk_number, seen = ++walk_number;
  for (std::size_t i = 0; i < ends_count; ++i) {
    TensorImpl* impl = ends_begin[i].get();
    if (impl->walk == seen) continue;
    impl->walk = stop ? seen : end;
    if (stop) place(impl, 0, 0, true);
  }
  for (const Tensor& t : stops) {
    TensorImpl* impl = t.get();
    if (impl->walk == seen) continue;
    impl->walk = seen;
    impl->slot = outside;
  }
  const auto enter = [&](TensorImpl* node) {
    const bool is_end = node->walk == end;
    node->walk = seen;
    if (node->input_count == 0)
      finish_leaf(node, is_end || everything, is_end);
    else
      stack_.push_back({node, 0, is_end});
  };
  if (y.requires_grad && y.walk != seen) enter(&y);
  while (!stack_.empty()) {
    Frame& top = stack_.back();
    TensorImpl* const node = top.node;
    TensorImpl* next = nullptr;
    for (std::uint32_t i = top.next_input; i < node->input_count; ++i) {
      TensorImpl* input = node->inputs[i];
      if (!input->requires_grad || input->walk == seen) continue;
      top.next_input = i + 1;
      next = input;
      break;
    }
    if (next != nullptr) {
      enter(next);
    } else {
      finish(node, top.is_end || everything, top.is_end);
      stack_.pop_back();
    }
  }
  for (std::size_t i = 0; i < ends_count; ++i)
    if (const TensorImpl* impl = ends_begin[i].get(); impl->walk == seen)
      ends[i] = static_cast<std::int32_t>(impl->slot);
  if (y.walk == seen) root = static_cast<std::int32_t>(y.slot);
}

std::unique_ptr<Walk> Walk::take() {
  if (spare_walks.empty()) return std::make_unique<Walk>();
  std::unique_ptr<Walk> walk = std::move(spare_walks.back());
  spare_walks.pop_back();
  return walk;
}

void Walk::give_back(std::unique_ptr<Walk> walk) {
  constexpr std::size_t worth_keeping = 1 << 16;
  walk->nodes.clear();
  if (walk->nodes.capacity() <= worth_keeping) spare_walks.push_back(std::move(walk));
}

}  // namespace wengert::detail
