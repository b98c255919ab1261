#include "autodiff/program/context.hpp"

#include <algorithm>

namespace wengert::program {
namespace {

/// Tasks of a group that are not worth the way to another core's cache.
constexpr std::int64_t short_task_ns = 500;

}  // namespace

Context::Worker::Worker(const Plan& plan) : frame(detail::allocate_storage(plan.frame_bytes + 64)) {
  for (const Loop& loop : plan.loops) {
    std::vector<std::byte*>& own = slots.emplace_back(loop.slots);
    for (const auto& [slot, offset] : loop.temporaries) own[slot] = frame->bytes() + offset;
  }
}

Context::Context(const Graph& graph, const Schedule& schedule, const Plan& plan)
    : arena(detail::allocate_storage(plan.arena_bytes + 64)) {
  workers.emplace_back(plan);
  for (const Buffer& b : plan.buffers)
    bases.push_back(b.home == Home::arena      ? arena->bytes() + b.offset
                    : b.home == Home::constant ? graph.constants()[b.index].impl().data
                    : b.home == Home::frame    ? workers.front().frame->bytes() + b.offset
                                               : nullptr);
  set_parts(plan);
  for (std::uint32_t h = 0; h < plan.headers.size(); ++h) {
    const Header& header = plan.headers[h];
    detail::TensorImpl& x = headers.emplace_back(graph.dtype(header.value), graph.shape(header.value));
    const Layout layout = schedule.layout(header.value);
    x.size = x.shape.elements();
    x.contiguous = layout.contiguous;
    x.strides = layout.strides_of(x.shape);
    if (bases[header.place.buffer] != nullptr)
      x.data = bases[header.place.buffer] + header.place.offset;
    else
      moving.push_back(h);
  }
  for (const CallStep& call : plan.calls) {
    std::vector<detail::TensorImpl*>& in = inputs.emplace_back();
    for (const std::uint32_t h : call.inputs) in.push_back(&headers[h]);
    const Instruction& i = graph[call.instruction];
    calls.push_back(Call{*i.op, in.data(), i.input_count, graph.attributes(i), i.where});
  }
  fresh.resize(plan.fresh.size());
  new_states.resize(graph.states().size());
}

void Context::use_threads(int count, const Plan& plan) {
  threads = count;
  while (workers.size() < static_cast<std::size_t>(threads)) workers.emplace_back(plan);
  if (threads != shared_by) share_out(plan);
}

/// Gives every thread its part of each group: the same chunks of a loop as when the loop runs by itself, and
/// the rest, longest first, to whoever has least.
void Context::share_out(const Plan& plan) {
  const auto count = static_cast<std::size_t>(threads);
  std::vector<Share> all;
  for (const Group& group : plan.groups) {
    Share& share = all.emplace_back();
    std::vector<std::vector<Share::Piece>> parts(count);
    std::vector<std::int64_t> loads(count, 0);
    std::vector<const GroupTask*> whole;
    for (const GroupTask& task : group.tasks) {
      if (task.chunks == 1) {
        whole.push_back(&task);
        continue;
      }
      for (std::size_t t = 0; t < count; ++t) {
        const auto part = [&](std::size_t k) { return task.chunks * static_cast<std::int64_t>(k) / threads; };
        for (std::int64_t chunk = part(t); chunk < part(t + 1); ++chunk) parts[t].push_back({&task, chunk});
        loads[t] += (part(t + 1) - part(t)) * task.duration;
      }
    }
    std::stable_sort(whole.begin(), whole.end(), [](auto* a, auto* b) { return a->duration > b->duration; });
    for (const GroupTask* task : whole) {
      // What is short stays with the caller, who needs it next.
      const auto least = std::min_element(loads.begin(), loads.end());
      const std::size_t t =
          task->duration < short_task_ns ? 0 : static_cast<std::size_t>(least - loads.begin());
      parts[t].push_back({task, 0});
      loads[t] += task->duration;
    }
    for (const auto& part : parts) {
      share.pieces.insert(share.pieces.end(), part.begin(), part.end());
      share.ends.push_back(static_cast<std::int64_t>(share.pieces.size()));
    }
  }
  shares = std::move(all);
  shared_by = threads;
}

}  // namespace wengert::program
