#include "autodiff/program/groups.hpp"

#include <algorithm>

#include "autodiff/kernels/workers.hpp"
#include "autodiff/program/count.hpp"
#include "autodiff/program/loop_maker.hpp"

namespace wengert::program {
namespace {

// Rough figures of one core, which only decide whether something is worth a thread.
constexpr std::int64_t flops_per_ns = 100;    // of products
constexpr std::int64_t elements_per_ns = 20;  // of one operation of a loop
constexpr std::int64_t bytes_per_ns = 16;     // of calls that are no products
constexpr std::int64_t hand_over_ns = 1500;   // to call a thread

class GroupFinder {
 public:
  GroupFinder(const Graph& g, const Schedule& s)
      : g_(g),
        s_(s),
        update_of_(find_updates(g)),
        reader_(g.states().size(), none),
        writer_(g.states().size(), none) {}

  Groups run(std::int64_t least_gain) && {
    const auto count = static_cast<std::uint32_t>(s_.steps.size());
    groups_.end.resize(count);
    groups_.durations.resize(count);
    for (std::uint32_t step = 0; step < count; ++step) {
      groups_.end[step] = step;
      groups_.durations[step] = duration(s_.steps[step]);
    }
    for (std::uint32_t first = 0, next; first < count; first = next) {
      next = first + 1;
      if (!fits(s_.steps[first])) continue;
      note_states(first, first);
      while (next < count && s_.steps[next].stage == s_.steps[first].stage && fits(s_.steps[next]) &&
             note_states(next, first))
        ++next;
      if (next - first > 1 && gain(first, next) >= least_gain)
        for (std::uint32_t step = first; step < next; ++step) groups_.end[step] = next - 1;
    }
    return std::move(groups_);
  }

 private:
  static std::int64_t elements(const Step& step) { return step.rows * step.columns; }
  static std::int64_t work(const Step& step) {
    return elements(step) * static_cast<std::int64_t>(step.instructions.size());
  }

  std::int64_t duration(const Step& step) const {
    if (step.loop) {
      const std::int64_t product = step.product == none ? 0 : flops(g_, g_[step.product]);
      return work(step) / elements_per_ns + product / flops_per_ns;
    }
    const Instruction& i = g_[step.instructions.front()];
    std::size_t bytes = g_.bytes(i.output);
    for (const ValueId v : g_.inputs(i)) bytes += g_.bytes(v);
    return std::max(flops(g_, i) / flops_per_ns, static_cast<std::int64_t>(bytes) / bytes_per_ns);
  }

  bool fits(const Step& step) const {
    for (const std::uint32_t n : step.instructions)
      if (const OperatorDefinition& op = *g_[n].op; op.checks_values || op.draws || op.body) return false;
    const std::uint32_t product = step.loop ? step.product : step.instructions.front();
    return product == none || flops(g_, g_[product]) < kernels::cut_flops;
  }

  /// Notes which states a step reads and updates; false when it may not run beside those of its group, which
  /// begins at `first`.
  bool note_states(std::uint32_t step, std::uint32_t first) {
    const auto other = [&](std::uint32_t noted) { return noted != none && noted >= first && noted != step; };
    for (const std::uint32_t n : s_.steps[step].instructions) {
      if (const std::uint32_t k = update_of_[n]; k != none) {
        if (other(reader_[k])) return false;
        writer_[k] = step;
      }
      for (const ValueId v : g_.inputs(g_[n])) {
        const Value& root = g_.value(s_.layouts[v].root);
        if (root.source != Source::state) continue;
        if (other(writer_[root.index])) return false;
        if (!other(reader_[root.index])) reader_[root.index] = step;
      }
    }
    return true;
  }

  /// What two threads gain when these steps run side by side, in nanoseconds, against one after the other,
  /// large loops on both.
  std::int64_t gain(std::uint32_t first, std::uint32_t end) const {
    std::int64_t total = 0, longest = 0, before = 0;
    for (std::uint32_t step = first; step < end; ++step) {
      const std::int64_t own = groups_.durations[step];
      total += own;
      const Step& s = s_.steps[step];
      if (s.loop && s.product == none && elements(s) >= parallel_elements(s)) {
        before += own / 2 + hand_over_ns;
      } else {
        before += own;
        longest = std::max(longest, own);
      }
    }
    return before - std::max(total / 2, longest) - hand_over_ns;
  }

  const Graph& g_;
  const Schedule& s_;
  Groups groups_;
  std::vector<std::uint32_t> update_of_;        // by instruction: the state that gets its result
  std::vector<std::uint32_t> reader_, writer_;  // by state: a step that reads, updates it
};

}  // namespace

Groups find_groups(const Graph& graph, const Schedule& schedule, std::int64_t least_gain) {
  return GroupFinder(graph, schedule).run(least_gain);
}

}  // namespace wengert::program
