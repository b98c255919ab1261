#include "autodiff/program/plan.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "autodiff/program/groups.hpp"
#include "autodiff/program/loop_maker.hpp"

namespace wengert::program {
namespace {

/// Flat operations of a group that follow one another are one task until they take so long.
constexpr std::int64_t task_ns = 2000;

constexpr std::int64_t alignment = static_cast<std::int64_t>(detail::buffer_alignment);

/// Room for a buffer: whole vectors, and one to spare.
std::int64_t room(std::size_t bytes) {
  return (static_cast<std::int64_t>(bytes) + alignment - 1) / alignment * alignment + alignment;
}

/// Places in one arena: the smallest hole that fits, else the end.
class Arena {
 public:
  std::int64_t take(std::int64_t bytes) {
    const auto hole = by_size_.lower_bound(bytes);
    if (hole == by_size_.end()) {
      // A hole at the very end grows.
      std::int64_t at = end_;
      if (!holes_.empty() && holes_.rbegin()->first + holes_.rbegin()->second == end_) {
        at = holes_.rbegin()->first;
        forget(at);
      }
      end_ = at + bytes;
      return at;
    }
    const std::int64_t at = hole->second, size = hole->first;
    forget(at);
    if (size > bytes) remember(at + bytes, size - bytes);
    return at;
  }
  void give_back(std::int64_t at, std::int64_t bytes) {
    const auto after = holes_.lower_bound(at);
    if (after != holes_.end() && after->first == at + bytes) {
      bytes += after->second;
      forget(at + bytes - after->second);
    }
    const auto next = holes_.lower_bound(at);
    if (next != holes_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == at) {
        at = before->first;
        bytes += before->second;
        forget(at);
      }
    }
    remember(at, bytes);
  }
  std::int64_t size() const { return end_; }

 private:
  void remember(std::int64_t at, std::int64_t bytes) {
    holes_.emplace(at, bytes);
    by_size_.emplace(bytes, at);
  }
  void forget(std::int64_t at) {
    const auto hole = holes_.find(at);
    const std::int64_t bytes = hole->second;
    holes_.erase(hole);
    for (auto [i, last] = by_size_.equal_range(bytes); i != last; ++i)
      if (i->second == at) {
        by_size_.erase(i);
        return;
      }
  }

  std::map<std::int64_t, std::int64_t> holes_;
  std::multimap<std::int64_t, std::int64_t> by_size_;
  std::int64_t end_ = 0;
};

class Planner {
 public:
  Planner(const Graph& g, const Schedule& s, const PlanOptions& options)
      : g_(g), s_(s), calls_(options.calls), notes_(g.values().size()) {
    if (!calls_) groups_ = find_groups(g_, s_, options.least_gain);
  }

  Plan run() && {
    inherited_.assign(g_.values().size(), false);
    find_lifetimes();
    find_homes();
    find_in_place();
    for (std::uint32_t step = 0; step < s_.steps.size(); ++step) {
      flat_begin_ = static_cast<std::uint32_t>(plan_.flat.size());
      if (!calls_ && groups_.begins(step)) begin_group(step);
      for (const std::uint32_t n : s_.steps[step].instructions) place_result(n);
      if (s_.steps[step].loop)
        add_loop(step);
      else if (!add_direct(step))
        add_call(step);
      if (step == last_beside(step)) {
        if (in_group(step)) end_group();
        for (const std::uint32_t b : work_space_) release(b);
        work_space_.clear();
      }
      for (const ValueId v : dying_[step])
        if (plan_.buffer_of[v] != none && !inherited_[v]) release(plan_.buffer_of[v]);
    }
    plan_.flat.shrink_to_fit();
    plan_.arena_bytes = static_cast<std::size_t>(arena_.size());
    return std::move(plan_);
  }

 private:
  ValueId root(ValueId v) const { return s_.layouts[v].root; }
  std::uint32_t step_of_value(ValueId v) const {
    const Value& value = g_.value(v);
    return value.source == Source::instruction ? s_.step_of[value.index] : none;
  }

  // -------------------------------------------------------------------------------------- what runs together

  std::uint32_t last_beside(std::uint32_t step) const { return calls_ ? step : groups_.end[step]; }
  bool in_group(std::uint32_t step) const { return !calls_ && groups_.any(step); }

  void begin_group(std::uint32_t step) {
    plan_.steps.push_back(
        {PlannedStep::Kind::side_by_side, static_cast<std::uint32_t>(plan_.groups.size()), 0, step});
    plan_.groups.push_back({{}, step, last_beside(step)});
    group_step_ = plan_.steps.size() - 1;
    plan_.parallel = true;
  }
  void end_group() {
    plan_.steps[group_step_].end = static_cast<std::uint32_t>(plan_.steps.size());
    plan_.groups.back().tasks.shrink_to_fit();
  }

  /// Notes what a planned step is in its group, if it has one.
  void add_task(PlannedStep::Kind kind, std::uint32_t index, std::uint32_t end, std::int64_t chunks,
                std::uint32_t step) {
    if (!in_group(step)) return;
    std::vector<GroupTask>& tasks = plan_.groups.back().tasks;
    const std::int64_t duration = groups_.durations[step] / chunks;
    if (kind == PlannedStep::Kind::flat && !tasks.empty() && tasks.back().kind == kind &&
        tasks.back().end == index && tasks.back().duration + duration <= task_ns) {
      tasks.back().end = end;
      tasks.back().duration += duration;
    } else {
      tasks.push_back({kind, index, end, chunks, duration});
    }
  }

  // ----------------------------------------------------------------------------------- who lives how long

  void find_lifetimes() {
    const std::size_t count = g_.values().size();
    last_reader_.assign(count, 0);
    shared_.assign(count, false);
    leaves_.assign(count, false);
    escapes_.assign(count, false);
    for (std::uint32_t n = 0; n < g_.size(); ++n) {
      const std::uint32_t step = s_.step_of[n];
      if (step == none) continue;
      for (const ValueId v : g_.inputs(g_[n])) {
        const ValueId r = root(v);
        last_reader_[r] = std::max(last_reader_[r], step);
        if (step_of_value(r) != step) leaves_[r] = true;
      }
      const ValueId out = root(g_[n].output);
      last_reader_[out] = std::max(last_reader_[out], step);
      if (!s_.steps[step].loop || s_.forms[n].kind == Kind::sums_rows) leaves_[out] = true;
    }
    for (std::uint32_t n = 0; n < g_.size(); ++n)
      for (const ValueId v : g_.inputs(g_[n])) {
        const std::uint32_t step = s_.step_of[n], last = last_reader_[root(v)];
        if (step != none && step != last && last_beside(step) == last_beside(last)) shared_[root(v)] = true;
      }
    const auto escape = [&](ValueId v) { leaves_[root(v)] = escapes_[root(v)] = true; };
    for (const ValueId v : g_.outputs()) escape(v);
    for (const StateUse& state : g_.states())
      if (state.after != state.before) escape(state.after);
    dying_.resize(s_.steps.size());
    for (ValueId v = 0; v < count; ++v)
      if (step_of_value(v) != none && leaves_[v] && !escapes_[v])
        dying_[last_beside(last_reader_[v])].push_back(v);
  }

  std::uint32_t add_buffer(Home home, std::size_t index, ValueId v) {
    plan_.buffers.push_back({home, static_cast<std::uint32_t>(index), 0, g_.bytes(v), v});
    return static_cast<std::uint32_t>(plan_.buffers.size() - 1);
  }

  void find_homes() {
    plan_.buffer_of.assign(g_.values().size(), none);
    for (std::uint32_t k = 0; k < g_.arguments().size(); ++k)
      plan_.buffer_of[g_.arguments()[k]] = add_buffer(Home::argument, k, g_.arguments()[k]);
    for (ValueId v = 0; v < g_.values().size(); ++v)
      if (g_.constant(v) != nullptr) plan_.buffer_of[v] = add_buffer(Home::constant, g_.value(v).index, v);
    for (std::uint32_t k = 0; k < g_.states().size(); ++k)
      plan_.buffer_of[g_.states()[k].before] = add_buffer(Home::state, k, g_.states()[k].before);
    for (std::uint32_t k = 0; k < g_.states().size(); ++k) {
      const StateUse& state = g_.states()[k];
      const ValueId r = root(state.after);
      if (state.after != state.before && r == state.after && step_of_value(r) != none &&
          plan_.buffer_of[r] == none)
        plan_.buffer_of[r] = add_buffer(Home::new_state, k, r);
    }
    for (ValueId v = 0; v < g_.values().size(); ++v)
      if (escapes_[v] && plan_.buffer_of[v] == none) {
        plan_.buffer_of[v] = add_buffer(Home::fresh, plan_.fresh.size(), v);
        plan_.fresh.push_back(plan_.buffer_of[v]);
      }
  }

  // A state is changed where it lies when its new value is computed element by element after, or together
  // with, the last use of the old one, and nothing from there on can throw. Not in a loop of several tiles
  // that tells rows from columns: tiles there need not end on a cache line, and a kernel writes the last line
  // of its tile in full, over what the next tile still has to read.
  void find_in_place() {
    const std::size_t count = g_.states().size();
    plan_.in_place.assign(count, false);
    std::uint32_t last_check = 0;  // one after the last step that can throw
    for (std::uint32_t n = 0; n < g_.size(); ++n)
      if (may_throw(g_, s_, g_[n])) last_check = std::max(last_check, s_.step_of[n] + 1);
    std::vector<bool> old_escapes(count, false);
    const auto note = [&](ValueId v) {
      const Value& r = g_.value(root(v));
      if (r.source == Source::state) old_escapes[r.index] = true;
    };
    for (const ValueId v : g_.outputs()) note(v);
    for (const StateUse& s : g_.states())
      if (s.after != s.before) note(s.after);
    std::vector<bool> fine(count, false);
    for (std::uint32_t k = 0; k < count; ++k) {
      const StateUse& state = g_.states()[k];
      const std::uint32_t b = state.after == state.before ? none : plan_.buffer_of[root(state.after)];
      if (b == none || plan_.buffers[b].home != Home::new_state || plan_.buffers[b].index != k) continue;
      const std::uint32_t step = step_of_value(state.after);
      const Form& form = s_.forms[g_.value(state.after).index];
      const Step& s = s_.steps[step];
      const Instruction& writer = g_[g_.value(state.after).index];
      const bool possible =
          s.loop ? form.kind == Kind::elementwise && in_any_order(s)
                 : writer.op->overwrites >= 0 &&
                       g_.inputs(writer)[static_cast<std::size_t>(writer.op->overwrites)] == state.before;
      fine[k] = !old_escapes[k] && step >= last_check && possible;
    }
    // Readers of the old value: earlier, or in the same loop not after the writer and element by element.
    for (std::uint32_t n = 0; n < g_.size(); ++n) {
      if (s_.step_of[n] == none) continue;
      const auto inputs = g_.inputs(g_[n]);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Value& r = g_.value(root(inputs[i]));
        if (r.source != Source::state || !fine[r.index]) continue;
        const StateUse& state = g_.states()[r.index];
        const std::uint32_t writer = g_.value(state.after).index;
        const std::uint32_t step = s_.step_of[writer];
        const bool together = s_.step_of[n] == step && n <= writer && s_.forms[n].moves[i] == Moves::full &&
                              s_.forms[n].kind == Kind::elementwise &&
                              g_.elements(inputs[i]) == g_.elements(state.after);
        const bool alone = s_.step_of[n] == step && g_.elements(state.after) == 1 && s_.steps[step].loop;
        if (n == writer && static_cast<int>(i) == g_[n].op->overwrites && !s_.steps[step].loop) continue;
        if (!(s_.step_of[n] < step || together || (alone && n <= writer))) fine[r.index] = false;
      }
    }
    plan_.in_place = fine;
  }

  // ----------------------------------------------------------------------------------------------- memory

  /// Whether a loop may write over what it reads: its tiles end on cache lines, or there is one.
  static bool in_any_order(const Step& s) { return !s.structured || s.rows * s.columns <= smallest_tile; }

  /// What dies in the step of instruction n and leaves its memory to the result; none if there is nothing. In
  /// a loop everybody who reads it must have done so by then, element by element.
  ValueId heritage(std::uint32_t n) const {
    const Instruction& i = g_[n];
    const std::uint32_t number = s_.step_of[n];
    const Step& step = s_.steps[number];
    constexpr std::size_t longest = 256;  // instructions that are looked through
    const auto free_for_result = [&](ValueId v) {
      const ValueId x = root(v);
      const std::uint32_t b = plan_.buffer_of[x];
      return b != none && plan_.buffers[b].home == Home::arena && !inherited_[x] &&
             last_reader_[x] == number && !shared_[x] && step_of_value(x) != number &&
             s_.layouts[v].offset == 0 && s_.layouts[v].contiguous && g_.bytes(x) == g_.bytes(i.output) &&
             item_size(g_.dtype(x)) == item_size(g_.dtype(i.output));
    };
    if (!step.loop) {
      if (i.op->overwrites < 0) return none;
      const auto inputs = g_.inputs(i);
      const ValueId v = inputs[static_cast<std::size_t>(i.op->overwrites)];
      const auto same = [&](ValueId other) { return root(other) == root(v); };
      return free_for_result(v) && std::count_if(inputs.begin(), inputs.end(), same) == 1 ? root(v) : none;
    }
    if (s_.forms[n].kind != Kind::elementwise || !in_any_order(step) || step.instructions.size() > longest)
      return none;
    const auto read_in_time = [&](ValueId x) {
      for (const std::uint32_t m : step.instructions) {
        const auto inputs = g_.inputs(g_[m]);
        for (std::size_t k = 0; k < inputs.size(); ++k)
          if (root(inputs[k]) == x &&
              (m > n || s_.forms[m].kind != Kind::elementwise || s_.forms[m].moves[k] != Moves::full))
            return false;
      }
      return true;
    };
    for (const std::uint32_t m : step.instructions)
      for (const ValueId v : g_.inputs(g_[m]))
        if (free_for_result(v) && read_in_time(root(v))) return root(v);
    return none;
  }

  void place_result(std::uint32_t n) {
    const ValueId v = root(g_[n].output);
    if (!leaves_[v] || plan_.buffer_of[v] != none) return;
    if (const ValueId x = heritage(n); x != none) {
      inherited_[x] = true;
      plan_.buffer_of[v] = plan_.buffer_of[x];
      return;
    }
    plan_.buffer_of[v] = add_buffer(Home::arena, 0, v);
    Buffer& b = plan_.buffers.back();
    b.offset = arena_.take(room(b.bytes));
  }

  std::uint32_t work_space(std::size_t bytes) {
    plan_.buffers.push_back({Home::arena, 0, arena_.take(room(bytes)), bytes, none});
    work_space_.push_back(static_cast<std::uint32_t>(plan_.buffers.size() - 1));
    return work_space_.back();
  }

  void release(std::uint32_t b) {
    const Buffer& buffer = plan_.buffers[b];
    if (buffer.home == Home::arena) arena_.give_back(buffer.offset, room(buffer.bytes));
  }

  Place place(ValueId v) const {
    const Layout& l = s_.layouts[v];
    return {plan_.buffer_of[l.root], l.offset};
  }

  // ------------------------------------------------------------------------------------------------ calls

  std::uint32_t header(ValueId v) {
    const auto [at, fresh] = header_of_.try_emplace(v, plan_.headers.size());
    if (fresh) plan_.headers.push_back({v, place(v)});
    return at->second;
  }

  void add_call(std::uint32_t step) {
    const std::uint32_t n = s_.steps[step].instructions.front();
    CallStep call;
    call.instruction = n;
    for (const ValueId v : g_.inputs(g_[n])) call.inputs.push_back(header(v));
    call.output = header(g_[n].output);
    const auto number = static_cast<std::uint32_t>(plan_.calls.size());
    plan_.steps.push_back({PlannedStep::Kind::call, number, 0, step});
    add_task(PlannedStep::Kind::call, number, 0, 1, step);
    plan_.calls.push_back(std::move(call));
  }

  void add_loop(std::uint32_t step) {
    const LoopRequest request{g_,
                              s_,
                              s_.steps[step],
                              step,
                              leaves_,
                              notes_,
                              [&](ValueId v) { return place(v); },
                              [&](std::size_t bytes) {
                                return Place{work_space(bytes), 0};
                              }};
    const std::size_t first_chain = plan_.chains.size();
    Loop loop = make_loop(request, plan_);
    plan_.frame_bytes = std::max(plan_.frame_bytes, loop.frame_bytes);
    plan_.parallel |= loop.parallel;
    if (loop.flat()) return add_flat(loop, first_chain, step);
    const auto number = static_cast<std::uint32_t>(plan_.loops.size());
    plan_.steps.push_back({PlannedStep::Kind::loop, number, 0, step});
    add_task(PlannedStep::Kind::loop, number, 0, loop.chunks, step);
    plan_.loops.push_back(std::move(loop));
  }

  // ------------------------------------------------------------------------------------- flat operations

  /// The buffer that begins at a place.
  std::uint32_t slot(const Place& place) {
    if (place.offset == 0) return place.buffer;
    const auto next = static_cast<std::uint32_t>(plan_.buffers.size());
    const auto [part, fresh] = parts_.try_emplace({place.buffer, place.offset}, next);
    if (!fresh) return part->second;
    if (const Buffer& whole = plan_.buffers[place.buffer]; whole.home == Home::arena) {
      plan_.buffers.push_back({Home::arena, 0, whole.offset + place.offset});
    } else {
      plan_.buffers.push_back({Home::part, place.buffer, place.offset});
      plan_.parts.push_back(next);
    }
    return part->second;
  }

  /// Flat operations that follow one another are one step, within a group or outside.
  void add_flat_step(std::uint32_t step) {
    const std::uint32_t begin = flat_begin_, end = static_cast<std::uint32_t>(plan_.flat.size());
    const auto group = [&](std::uint32_t s) { return in_group(s) ? last_beside(s) : none; };
    if (plan_.steps.empty() || plan_.steps.back().kind != PlannedStep::Kind::flat ||
        group(plan_.steps.back().step) != group(step))
      plan_.steps.push_back({PlannedStep::Kind::flat, begin, 0, step});
    plan_.steps.back().end = end;
    add_task(PlannedStep::Kind::flat, begin, end, 1, step);
  }

  /// `first_chain` is the position of the loop's first chain.
  void add_flat(const Loop& loop, std::size_t first_chain, std::uint32_t step) {
    std::vector<std::uint32_t> slots(loop.slots, none);
    for (const Stream& s : loop.fixed) slots[s.slot] = slot(s.place);
    const std::uint32_t frame = in_group(step) && loop.frame_bytes > 0 ? work_space(loop.frame_bytes) : none;
    for (const auto& [own, offset] : loop.temporaries) {
      slots[own] = static_cast<std::uint32_t>(plan_.buffers.size());
      const std::int64_t at = frame == none ? 0 : plan_.buffers[frame].offset;
      plan_.buffers.push_back(
          {frame == none ? Home::frame : Home::arena, 0, at + static_cast<std::int64_t>(offset)});
    }
    for (const TileSum& sum : loop.sums) {
      slots[sum.slot] = slot(sum.result);
      if (sum.everything) continue;
      FlatOp clear;
      clear.op.kernel = tiles::clear;
      clear.op.out = slots[sum.slot];
      clear.columns = static_cast<std::uint32_t>(sum.columns * sum.item);
      plan_.flat.push_back(clear);
    }
    for (std::size_t k = first_chain; k < plan_.chains.size(); ++k)
      for (ChainStep& s : plan_.chains[k]) s.slot = slots[s.slot];
    const auto rows = static_cast<std::uint32_t>(loop.rows),
               columns = static_cast<std::uint32_t>(loop.columns);
    for (const std::vector<LoopOp>* ops : {&loop.prologue, &loop.body})
      for (const LoopOp& o : *ops) {
        FlatOp& flat = plan_.flat.emplace_back(FlatOp{o.op, 1, columns});
        if (o.extent == Extent::tile) flat.columns = rows * columns;
        if (o.extent == Extent::column) flat.columns = rows;
        if (o.extent == Extent::rows) flat.rows = rows;
        flat.op.out = slots[o.op.out];
        for (std::uint32_t& in : flat.op.in) in = in < loop.slots ? slots[in] : 0;
      }
    add_flat_step(step);
  }

  /// The call of a step as a flat operation, when its operator can be called with addresses alone.
  bool add_direct(std::uint32_t step) {
    const Instruction& i = g_[s_.steps[step].instructions.front()];
    const auto inputs = g_.inputs(i);
    if (calls_ || i.op->row.direct == nullptr || g_.elements(i.output) == 0) return false;
    for (const ValueId v : inputs)
      if (!s_.layouts[v].contiguous) return false;
    DirectSizes sizes{};
    if (!i.op->row.direct(g_.describe(i), sizes)) return false;
    FlatOp flat;
    flat.op.kernel = i.op->row.kernel[static_cast<int>(g_.dtype(inputs[0]))];
    flat.op.attributes = &plan_.direct_sizes.emplace_back(sizes);
    for (std::size_t k = 0; k < inputs.size(); ++k) flat.op.in[k] = slot(place(inputs[k]));
    flat.op.out = slot(place(i.output));
    plan_.flat.push_back(flat);
    add_flat_step(step);
    return true;
  }

  const Graph& g_;
  const Schedule& s_;
  const bool calls_;
  Plan plan_;
  LoopNotes notes_;
  Arena arena_;
  Groups groups_;
  std::size_t group_step_ = 0;              // of the plan: where the group at hand begins
  std::uint32_t flat_begin_ = 0;            // the first flat operation of the step at hand
  std::vector<std::uint32_t> last_reader_;  // by root: the last step that reads it
  std::vector<bool> shared_;                // by root: another one that reads it runs beside that
  std::vector<bool> leaves_;                // by root: needed outside of the loop that computes it
  std::vector<bool> escapes_;               // by root: outlives the run
  std::vector<bool> inherited_;             // by root: its memory is another value's by now
  std::vector<std::vector<ValueId>> dying_;
  std::vector<std::uint32_t> work_space_;
  std::unordered_map<ValueId, std::uint32_t> header_of_;
  std::map<std::pair<std::uint32_t, std::int64_t>, std::uint32_t> parts_;  // by place
};

}  // namespace

Plan make_plan(const Graph& graph, const Schedule& schedule, const PlanOptions& options) {
  return Planner(graph, schedule, options).run();
}

}  // namespace wengert::program
