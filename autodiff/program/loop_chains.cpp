#include "autodiff/program/loop_chains.hpp"

#include <algorithm>
#include <functional>
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
        links_(instructions_.size()),
        chain_of_(instructions_.size(), none) {}

  std::vector<ChainLink> run() && {
    look_around();
    for (std::uint32_t position = 0; position < instructions_.size(); ++position)
      if (rule(position) != nullptr) add(position);
    return std::move(links_);
  }

 private:
  struct Sum {
    int kept = 0;   // tiles that the operations read: computed by others, or stored for one of them alone
    int steps = 1;  // without what ends the chain
  };
  /// A chain as far as it goes yet.
  struct Chain {
    std::uint32_t first = 0, last = 0;
    Sum sum;
    /// Positions that must not come before its end unless they are part of it: of readers of its results, of
    /// who writes over what it reads. A heap, the smallest in front. Those that read the last result are not
    /// in it: there is none where the next operation is the only one.
    std::vector<std::uint32_t> limits;
  };

  /// What memory is, for the question whether one value is written over another: a state that changes in
  /// place has a buffer before and a buffer after that are the same bytes.
  std::uint64_t memory(ValueId r) const {
    const Buffer& b = plan_.buffers[plan_.buffer_of[r]];
    const bool state = b.home == Home::state || b.home == Home::new_state;
    return state ? std::uint64_t{1} << 32 | b.index : plan_.buffer_of[r];
  }

  std::span<const ValueId> inputs(std::uint32_t position) const {
    return g_.inputs(g_[instructions_[position]]);
  }
  ValueId output(std::uint32_t position) const { return g_[instructions_[position]].output; }
  const Form& form(std::uint32_t position) const { return s_.forms[instructions_[position]]; }

  /// Null where the operation takes no part in chains.
  const ChainRule* rule(std::uint32_t position) const {
    const Form& f = form(position);
    if (f.kind != Kind::elementwise) return nullptr;
    const ChainRule* const r =
        g_[instructions_[position]].op->row.chain[static_cast<int>(g_.dtype(output(position)))];
    if (r == nullptr || r->operands <= 2) return r;
    for (int k = 0; k < r->operands; ++k) {
      const bool scalar = f.moves[k] == Moves::scalar, full = f.moves[k] == Moves::full;
      if (!(k < r->operands - r->scalars ? full || f.moves[k] == Moves::row : scalar)) return nullptr;
    }
    return r;
  }

  void look_around() {
    readers_begin_.assign(instructions_.size() + 1, 0);
    const auto count = static_cast<std::uint32_t>(instructions_.size());
    for (std::uint32_t position = 0; position < count; ++position) {
      for (const ValueId v : inputs(position))
        if (const ValueId r = r_.root(v); r_.inside(r)) ++readers_begin_[notes_.position[r]];
      const ValueId out = output(position);
      notes_.position[out] = position;
      if (r_.leaves[out] && plan_.buffer_of[out] != none) written_[memory(out)] = position;
    }
    std::uint32_t sum = 0;
    for (std::uint32_t& begin : readers_begin_) sum += std::exchange(begin, sum);
    readers_.resize(sum);
    std::vector<std::uint32_t> at(readers_begin_);
    for (std::uint32_t position = 0; position < count; ++position)
      for (const ValueId v : inputs(position))
        if (const ValueId r = r_.root(v); r_.inside(r)) readers_[at[notes_.position[r]]++] = position;
  }
  /// Positions of all that read the result, in order, twice who reads it twice.
  std::span<const std::uint32_t> readers(std::uint32_t position) const {
    return {readers_.data() + readers_begin_[position], readers_.data() + readers_begin_[position + 1]};
  }

  /// The chain that an operation belongs to now.
  std::uint32_t chain(std::uint32_t position) {
    std::uint32_t c = chain_of_[position];
    if (c == none) return none;
    while (joined_[c] != c) c = joined_[c] = joined_[joined_[c]];
    return chain_of_[position] = c;
  }

  /// A chain of this operation alone.
  Chain alone(std::uint32_t position) const {
    Chain c;
    c.first = c.last = position;
    const auto in = inputs(position);
    for (std::size_t k = 0; k < in.size(); ++k) {
      const ValueId r = r_.root(in[k]);
      if (r_.inside(r))
        ++c.sum.kept;
      else if (const auto w = written_.find(memory(r)); w != written_.end() && w->second > position)
        add_limit(c.limits, w->second);
    }
    return c;
  }
  static void add_limit(std::vector<std::uint32_t>& limits, std::uint32_t position) {
    limits.push_back(position);
    std::push_heap(limits.begin(), limits.end(), std::greater<>());
  }

  void add(std::uint32_t position) {
    const Chain own = alone(position);
    // The chains that compute inputs, the one that ends last first: its result is handed on.
    const auto known = [](const std::vector<std::uint32_t>& all, std::uint32_t c) {
      return std::find(all.begin(), all.end(), c) != all.end();
    };
    candidates_.clear();
    for (const ValueId v : inputs(position))
      if (const ValueId r = r_.root(v); r_.inside(r))
        if (const std::uint32_t c = chain(notes_.position[r]); c != none && !known(candidates_, c))
          candidates_.push_back(c);
    std::sort(candidates_.begin(), candidates_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return chains_[a].last > chains_[b].last; });
    joining_.clear();
    Sum joined;
    for (const std::uint32_t c : candidates_) {
      if (!alike(chains_[c].last, position)) continue;
      joining_.insert(joining_.begin(), c);
      if (Sum sum = sum_of_joining(position, own); fits(sum, position))
        joined = std::move(sum);
      else
        joining_.erase(joining_.begin());
    }
    if (joining_.empty()) {
      chain_of_[position] = static_cast<std::uint32_t>(chains_.size());
      joined_.push_back(chain_of_[position]);
      chains_.push_back(own);
    } else {
      join(position, own, std::move(joined));
    }
  }

  /// Whether one chain may hold both.
  bool alike(std::uint32_t a, std::uint32_t b) const {
    return rule(a)->runner->group_bytes == rule(b)->runner->group_bytes &&
           form(a).elements == form(b).elements && g_.dtype(output(a)) == g_.dtype(output(b));
  }

  /// The input that the operation gets from the one before it, when that is `last`.
  std::uint8_t handed_on(std::uint32_t last, std::uint32_t position) const {
    const auto in = inputs(position);
    for (std::uint8_t k = 0; k < rule(position)->handed_on; ++k)
      if (r_.root(in[k]) == output(last)) return k;
    return ChainLink::nothing;
  }
  /// Whether the last result of a chain is needed in memory when the operation follows it.
  bool stored(std::uint32_t last, std::uint32_t position) const {
    return r_.leaves[output(last)] || readers(last).size() != 1 || readers(last)[0] != position;
  }

  /// The place of a chain among those that join, or -1.
  int place(std::uint32_t c) const {
    const auto at = std::find(joining_.begin(), joining_.end(), c);
    return at == joining_.end() ? -1 : static_cast<int>(at - joining_.begin());
  }

  /// What the chains that join, and then this operation, come to together.
  Sum sum_of_joining(std::uint32_t position, const Chain& own) {
    Sum sum = own.sum;
    for (const ValueId v : inputs(position))
      if (const ValueId r = r_.root(v); r_.inside(r) && place(chain(notes_.position[r])) >= 0) --sum.kept;
    for (const std::uint32_t c : joining_) {
      const Chain& one = chains_[c];
      const bool stores = c != joining_.back() || stored(one.last, position);
      const auto all = readers(one.last);
      const bool for_it_alone = !r_.leaves[output(one.last)] && !all.empty() && all.back() <= position;
      sum.kept += one.sum.kept + (stores && for_it_alone);
      sum.steps += one.sum.steps + (c != joining_.front()) + stores;
    }
    sum.steps += handed_on(chains_[joining_.back()].last, position) == ChainLink::nothing;
    return sum;
  }

  bool fits(const Sum& sum, std::uint32_t position) {
    return sum.kept <= most_kept && sum.steps <= rule(position)->runner->most_steps &&
           std::all_of(joining_.begin(), joining_.end(),
                       [&](std::uint32_t c) { return may_end(chains_[c], place(c), position); });
  }

  /// Whether what a chain waits for allows that it ends here, with the others that join.
  bool may_end(Chain& c, int place_of_c, std::uint32_t position) {
    for (const std::uint32_t reader : readers(c.last))
      if (reader < position && place(chain(reader)) <= place_of_c) return false;
    std::vector<std::uint32_t> looked_at;
    bool may = true;
    while (may && !c.limits.empty() && c.limits.front() < position) {
      const std::uint32_t limit = c.limits.front();
      may = place(chain(limit)) >= place_of_c;
      if (!may) break;
      std::pop_heap(c.limits.begin(), c.limits.end(), std::greater<>());
      c.limits.pop_back();
      if (place(chain(limit)) > place_of_c) looked_at.push_back(limit);  // only when they do join
    }
    for (const std::uint32_t limit : looked_at) add_limit(c.limits, limit);
    return may;
  }

  void join(std::uint32_t position, const Chain& own, Sum sum) {
    const std::uint32_t first = joining_.front();
    links_[position].handed_on = handed_on(chains_[joining_.back()].last, position);
    std::vector<std::uint32_t> limits = own.limits;
    for (std::size_t k = 0; k < joining_.size(); ++k) {
      Chain& c = chains_[joining_[k]];
      const std::uint32_t next = k + 1 < joining_.size() ? chains_[joining_[k + 1]].first : position;
      links_[c.last].after = next;
      links_[next].before = c.last;
      links_[c.last].stored =
          next != position || stored(c.last, position) || links_[position].handed_on == ChainLink::nothing;
      if (c.limits.size() > limits.size()) std::swap(c.limits, limits);
      for (const std::uint32_t limit : c.limits) add_limit(limits, limit);
      c.limits = {};
      for (const std::uint32_t reader : readers(c.last))
        if (reader > position) add_limit(limits, reader);
      joined_[joining_[k]] = first;
    }
    chains_[first].limits = std::move(limits);
    chains_[first].sum = std::move(sum);
    chains_[first].last = position;
    chain_of_[position] = first;
  }

  const LoopRequest& r_;
  const Graph& g_;
  const Schedule& s_;
  const std::vector<std::uint32_t>& instructions_;
  LoopNotes& notes_;
  const Plan& plan_;
  std::vector<ChainLink> links_;
  std::vector<std::uint32_t> readers_begin_, readers_;        // by position of what is read
  std::unordered_map<std::uint64_t, std::uint32_t> written_;  // by memory: position of who writes it
  std::vector<Chain> chains_;
  std::vector<std::uint32_t> chain_of_, joined_;  // by position: its chain then; by chain: what it is now
  std::vector<std::uint32_t> candidates_, joining_;
};

}  // namespace

std::vector<ChainLink> find_chains(const LoopRequest& request, const Plan& plan) {
  return ChainFinder(request, plan).run();
}

}  // namespace wengert::program
