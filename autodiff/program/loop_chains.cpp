#include "autodiff/program/loop_chains.hpp"

#include <algorithm>
#include <unordered_map>

namespace wengert::program {
namespace {

/// Tiles computed in a loop that a chain may keep in the L1 cache as operands until it runs.
constexpr int most_kept = 6;

class ChainFinder {
 public:
  ChainFinder(const LoopRequest& request, const Plan& plan)
      : r_(request),
        g_(request.graph),
        s_(request.schedule),
        instructions_(request.step.instructions),
        notes_(request.notes),
        plan_(plan),
        links_(instructions_.size()) {}

  std::vector<ChainLink> run() && {
    look_around();
    for (std::uint32_t position = 0; position < instructions_.size(); ++position)
      if (rule(instructions_[position]) != nullptr) link(position);
    return std::move(links_);
  }

 private:
  /// What memory is, for the question whether one value is written over another: a state that changes in
  /// place has a buffer before and a buffer after that are the same bytes.
  std::uint64_t memory(ValueId r) const {
    const Buffer& b = plan_.buffers[plan_.buffer_of[r]];
    const bool state = b.home == Home::state || b.home == Home::new_state;
    return state ? std::uint64_t{1} << 32 | b.index : plan_.buffer_of[r];
  }

  /// Null where the operation takes no part in chains.
  const ChainRule* rule(std::uint32_t n) const {
    if (s_.forms[n].kind != Kind::elementwise) return nullptr;
    return g_[n].op->row.chain[static_cast<int>(g_.dtype(g_[n].output))];
  }

  void look_around() {
    std::uint32_t position = 0;
    for (const std::uint32_t n : instructions_) {
      for (const ValueId v : g_.inputs(g_[n])) {
        const ValueId r = r_.root(v);
        if (!r_.inside(r)) continue;
        if (notes_.first[r] == none)
          notes_.first[r] = position;
        else if (notes_.second[r] == none && notes_.first[r] != position)
          notes_.second[r] = position;
      }
      const ValueId out = g_[n].output;
      if (r_.leaves[out] && plan_.buffer_of[out] != none) written_[memory(out)] = position;
      notes_.position[out] = position++;
    }
  }

  void link(std::uint32_t position) {
    ChainLink& own = links_[position];
    const auto inputs = g_.inputs(g_[instructions_[position]]);
    for (const ValueId v : inputs) {
      const ValueId r = r_.root(v);
      if (r_.inside(r)) {
        ++own.kept;
      } else if (const auto w = written_.find(memory(r)); w != written_.end() && w->second >= position) {
        own.end = std::min(own.end, w->second);
      }
    }
    for (std::uint8_t k = 0; k < inputs.size(); ++k)
      if (join(position, k)) return;
  }

  /// Whether the operation goes on with what computes its input k.
  bool join(std::uint32_t position, std::uint8_t k) {
    const std::uint32_t n = instructions_[position];
    const auto inputs = g_.inputs(g_[n]);
    const ValueId r = r_.root(inputs[k]);
    if (!r_.inside(r) || notes_.first[r] != position) return false;
    const std::uint32_t p = notes_.position[r], m = instructions_[p];
    ChainLink &own = links_[position], &before = links_[p];
    const int kept = before.kept + own.kept - 1, steps = before.steps + 2;
    const ChainRule *const one = rule(m), *const next = rule(n);
    if (one == nullptr || one->runner->group_bytes != next->runner->group_bytes ||
        steps > one->runner->most_steps || s_.forms[m].elements != s_.forms[n].elements ||
        g_.dtype(r) != g_.dtype(g_[n].output) || before.end < position || kept > most_kept)
      return false;
    const bool both = inputs.size() == 2 && r_.root(inputs[1 - k]) == r;
    before.stored = both || r_.leaves[r] || notes_.second[r] != none;
    before.after = position;
    own.before = p;
    own.handed_on = k;
    own.kept = static_cast<std::uint8_t>(kept);
    own.steps = static_cast<std::uint16_t>(steps - (before.stored ? 0 : 1));
    own.end = std::min({own.end, before.end, notes_.second[r]});
    return true;
  }

  const LoopRequest& r_;
  const Graph& g_;
  const Schedule& s_;
  const std::vector<std::uint32_t>& instructions_;
  LoopNotes& notes_;
  const Plan& plan_;
  std::vector<ChainLink> links_;
  std::unordered_map<std::uint64_t, std::uint32_t> written_;  // by memory: position of who writes it
};

}  // namespace

std::vector<ChainLink> find_chains(const LoopRequest& request, const Plan& plan) {
  return ChainFinder(request, plan).run();
}

}  // namespace wengert::program
