#include "autodiff/program/schedule.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "autodiff/program/passes.hpp"

namespace wengert::program {
namespace {

/// Longest row that a row operator may have in a loop: several of them stay in the L1 cache.
constexpr std::int64_t max_row_bytes = 32768;

/// How an operand of an elementwise operator with this result moves; false when it fits no row and column.
bool classify(const Shape& operand, const Shape& result, Moves& moves, std::int64_t& columns) {
  const std::int64_t n = operand.elements(), all = result.elements();
  if (n == 1) {
    moves = Moves::scalar;
    return true;
  }
  if (n == all) {
    moves = Moves::full;
    return true;
  }
  Shape tail;
  int first = 0;
  while (first < operand.size() && operand[first] == 1) ++first;
  for (int d = first; d < operand.size(); ++d) tail.push_back(operand[d]);
  std::int64_t cols = 0;
  if (ends_with(result, tail)) {
    moves = Moves::row;
    cols = n;
  } else {
    if (operand.size() != result.size()) return false;
    int last = operand.size();
    while (last > 0 && operand[last - 1] == 1) --last;
    for (int d = 0; d < last; ++d)
      if (operand[d] != result[d]) return false;
    moves = Moves::column;
    cols = all / n;
  }
  if (columns != 0 && columns != cols) return false;
  columns = cols;
  return true;
}

class Scheduler {
 public:
  Scheduler(const Graph& graph, const ScheduleOptions& options) : g_(graph), options_(options) {}

  Schedule run() && {
    look_at_views();
    look_at_forms();
    update_of_ = find_updates(g_);
    readers_.resize(g_.states().size());
    place();
    if (options_.fuse) put_off_updates();
    if (options_.fuse && options_.products) attach_products();
    collect();
    return std::move(s_);
  }

 private:
  /// A set of instructions that will be one loop.
  struct Set {
    std::uint32_t stage = 0;
    std::int64_t rows = 0;  ///< 0 while the columns are free
    std::int64_t columns = 0;
    std::int64_t elements = 0;
  };

  void look_at_views() {
    s_.layouts.resize(g_.values().size());
    for (ValueId v = 0; v < g_.values().size(); ++v) s_.layouts[v].root = v;
    for (const Instruction& i : g_.instructions())
      if (i.op->view) {
        const Layout& base = s_.layouts[g_.inputs(i)[0]];
        Layout seen = layout_of_view(g_, i);
        seen.root = base.root;
        seen.offset += base.offset;
        s_.layouts[i.output] = seen;
      }
  }

  /// Whether the value is its root under another shape.
  bool same_as_root(ValueId v) const {
    const Layout& l = s_.layouts[v];
    return l.contiguous && l.offset == 0 && g_.elements(v) == g_.elements(l.root);
  }

  void look_at_forms() {
    s_.forms.resize(g_.size());
    for (std::size_t n = 0; n < g_.size(); ++n) {
      const Instruction& i = g_[n];
      Form& form = s_.forms[n];
      if (i.op->view) {
        form.kind = Kind::view;
        continue;
      }
      if (!options_.fuse || i.input_count > RowOp::max_inputs || i.input_count == 0) continue;
      bool contiguous = true;
      for (const ValueId v : g_.inputs(i)) contiguous &= s_.layouts[v].contiguous;
      if (contiguous && !describe(i, form)) form = {};
    }
  }

  RowKernel row_kernel(const Instruction& i) const {
    const auto inputs = g_.inputs(i);
    return i.op->row.kernel[static_cast<int>(g_.dtype(inputs[i.op->row.data_input]))];
  }

  bool describe(const Instruction& i, Form& form) {
    const RowRule& rule = i.op->row;
    const auto inputs = g_.inputs(i);
    const Shape& result = g_.shape(i.output);
    if (result.elements() == 0) return false;
    if (rule.sums_rows != nullptr && is_floating(g_.dtype(inputs[0])) && rule.sums_rows(g_.describe(i))) {
      form.kind = Kind::sums_rows;
      form.elements = g_.elements(inputs[0]);
      form.columns = result.elements() == 1 ? 0 : result.elements();
      form.moves[0] = Moves::full;
      return form.elements > 0 && !(form.elements == result.elements());
    }
    if (row_kernel(i) == nullptr) return false;
    if (rule.elementwise) {
      form.kind = Kind::elementwise;
      form.elements = result.elements();
      for (std::size_t k = 0; k < inputs.size(); ++k)
        if (!classify(g_.shape(inputs[k]), result, form.moves[k], form.columns)) return false;
      return true;
    }
    if (rule.fits == nullptr || !rule.fits(g_.describe(i))) return false;
    form.kind = Kind::rowwise;
    form.column_result = rule.column_result;
    std::size_t item = 8;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const bool column = (rule.column_inputs >> k & 1) != 0;
      form.moves[k] = column ? Moves::column : Moves::full;
      if (!column) form.columns = g_.shape(inputs[k]).back();
    }
    if (form.columns == 0) form.columns = result.back();  // one_hot: only the result has rows
    const ValueId whole = first_full(i, form);
    form.elements = g_.elements(whole);
    item = item_size(g_.dtype(whole));
    return form.elements > 0 && form.columns * static_cast<std::int64_t>(item) <= max_row_bytes;
  }

  ValueId first_full(const Instruction& i, const Form& form) const {
    const auto inputs = g_.inputs(i);
    for (std::size_t k = 0; k < inputs.size(); ++k)
      if (form.moves[k] == Moves::full) return inputs[k];
    return i.output;
  }

  std::uint32_t index(const Instruction& i) const {
    return static_cast<std::uint32_t>(&i - g_.instructions().data());
  }

  std::uint32_t find(std::uint32_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }

  /// The domain of two sets together; false when they are no one loop.
  static bool merged(const Set& a, const Set& b, Set& both) {
    both = a;
    if (a.columns != 0 && b.columns != 0) return a.elements == b.elements && a.columns == b.columns;
    if (a.columns == 0 && b.columns != 0) return merged(b, a, both);
    if (a.elements == b.elements) return true;
    // Free ones with an element a row go along with the rows of the other.
    return a.columns != 0 && b.elements == a.rows;
  }

  void place() {
    const std::size_t count = g_.size();
    stage_.assign(count, 0);
    parent_.resize(count);
    std::iota(parent_.begin(), parent_.end(), 0u);
    sets_.resize(count);
    std::uint32_t checked = 0;  // the first stage in which nothing throws any more
    for (std::uint32_t n = 0; n < count; ++n) {
      const Instruction& i = g_[n];
      const Form& form = s_.forms[n];
      if (form.kind == Kind::view) {
        remember_readers(n);
        continue;
      }
      Set own{0, form.columns == 0 ? 0 : form.elements / form.columns, form.columns, form.elements};
      const bool loop = form.kind != Kind::call;
      std::uint32_t stage = 0;
      near_.clear();
      const auto after = [&](std::uint32_t p, bool complete) {
        if (s_.forms[p].kind == Kind::call || s_.forms[p].kind == Kind::sums_rows || !loop || complete)
          stage = std::max(stage, stage_[p] + 1);
        else
          near_.push_back(p);
      };
      const auto inputs = g_.inputs(i);
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const Instruction* p = g_.producer(s_.layouts[inputs[k]].root);
        if (p != nullptr)
          after(index(*p), !same_as_root(inputs[k]) || form.moves[k] == Moves::row ||
                               (form.moves[k] == Moves::scalar && form.elements != 1));
      }
      // What changes a state in place has to wait for everybody who reads the old value, and for everything
      // that can throw: an exception leaves all states as they were.
      if (update_of_[n] != none) {
        stage = std::max(stage, checked);
        for (const std::uint32_t r : readers_[update_of_[n]])
          if (r != n) after(r, false);
      }
      for (const std::uint32_t p : near_) stage = std::max(stage, stage_[p]);
      if (loop && !join(own, stage)) ++stage;
      stage_[n] = stage;
      own.stage = stage;
      sets_[n] = own;
      if (loop) {
        for (const std::uint32_t p : near_)
          if (stage_[p] == stage) unite(n, p);
        unite_with_neighbours(n);
      }
      if (may_throw(g_, s_, i)) checked = std::max(checked, stage + 1);
      remember_readers(n);
    }
  }

  /// Whether an instruction with this domain can stand in one loop with everything near it in this stage.
  bool join(const Set& own, std::uint32_t stage) {
    Set all = own;
    for (const std::uint32_t p : near_) {
      if (stage_[p] != stage) continue;
      Set both;
      if (!merged(all, sets_[find(p)], both)) return false;
      all = both;
    }
    return true;
  }

  void unite(std::uint32_t a, std::uint32_t b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    Set both;
    merged(sets_[a], sets_[b], both);
    both.stage = sets_[a].stage;
    parent_[a] = b;
    sets_[b] = both;
  }

  /// Loops of one stage that read the same large operand read it together; tiny ones always go together.
  void unite_with_neighbours(std::uint32_t n) {
    const Instruction& i = g_[n];
    const auto meet = [&](std::uint64_t key) {
      const auto [at, fresh] = meeting_.try_emplace(key, n);
      if (fresh) return;
      const std::uint32_t other = at->second;
      Set both;
      if (stage_[other] == stage_[n] && merged(sets_[find(n)], sets_[find(other)], both) &&
          sets_[find(n)].elements == sets_[find(other)].elements)
        unite(n, other);
      at->second = n;
    };
    for (std::size_t k = 0; k < i.input_count; ++k)
      if (s_.forms[n].moves[k] == Moves::full)
        meet(std::uint64_t{s_.layouts[g_.inputs(i)[k]].root} << 32 | stage_[n]);
    if (sets_[find(n)].elements == 1) meet(std::uint64_t{none} << 32 | stage_[n]);
  }

  void remember_readers(std::uint32_t n) {
    for (const ValueId v : g_.inputs(g_[n])) {
      const Value& root = g_.value(s_.layouts[v].root);
      if (root.source == Source::state && s_.forms[n].kind != Kind::view) readers_[root.index].push_back(n);
    }
  }

  // Loops that only update states, nobody waits for. Small ones run in one stage, the last that has any: what
  // is not worth a thread by itself is worth it together with others. Large ones stay where their operands
  // are in the cache.
  void put_off_updates() {
    const std::size_t count = g_.size();
    std::vector<std::uint32_t> writer(g_.states().size(), none);
    std::vector<bool> updates(count, false), needed(count, false);  // by set
    std::vector<std::int64_t> work(count, 0);
    for (std::uint32_t n = 0; n < count; ++n) {
      if (update_of_[n] == none) continue;
      writer[update_of_[n]] = n;
      updates[find(n)] = true;
    }
    for (std::uint32_t n = 0; n < count; ++n) {
      const Form& form = s_.forms[n];
      if (form.kind == Kind::view) continue;
      const std::uint32_t set = find(n);
      work[set] += form.elements;
      if (form.kind == Kind::call || form.kind == Kind::sums_rows) needed[set] = true;
      for (const ValueId v : g_.inputs(g_[n])) {
        const Value& root = g_.value(s_.layouts[v].root);
        if (root.source == Source::instruction && find(root.index) != set) needed[find(root.index)] = true;
        // It has to read the old value before another set writes over that.
        if (root.source == Source::state && writer[root.index] != none && find(writer[root.index]) != set)
          needed[set] = true;
      }
    }
    const auto only_updates = [&](std::uint32_t n) { return updates[find(n)] && !needed[find(n)]; };
    std::uint32_t last = 0;
    for (std::uint32_t n = 0; n < count; ++n)
      if (only_updates(n)) last = std::max(last, stage_[n]);
    for (std::uint32_t n = 0; n < count; ++n)
      if (only_updates(n) && work[find(n)] < parallel_work) stage_[n] = last;
  }

  // A product whose result only one loop reads, over the same rows and columns, becomes a part of that loop:
  // bias and activation, a bias's gradient, the update of weights find its rows in the cache, and it needs no
  // memory for the rest. It may run later than it could: nobody else waits for it, and no state that it reads
  // has changed by then.
  void attach_products() {
    const std::size_t count = g_.size();
    std::vector<std::uint32_t> loop(count, none);  // by product: the set that reads it
    std::vector<bool> candidate(count, false);
    bool any = false;
    for (std::uint32_t n = 0; n < count; ++n)
      any |= candidate[n] = s_.forms[n].kind == Kind::call && may_come_by_rows(g_[n]);
    if (!any) return;
    const auto product = [&](ValueId v) {
      const Value& root = g_.value(s_.layouts[v].root);
      return root.source == Source::instruction && candidate[root.index] ? root.index : none;
    };
    const auto keep = [&](ValueId v) {  // in memory
      if (const std::uint32_t n = product(v); n != none) candidate[n] = false;
    };
    for (const ValueId v : g_.outputs()) keep(v);
    for (const StateUse& state : g_.states()) keep(state.after);
    for (std::uint32_t m = 0; m < count; ++m) {
      const Form& form = s_.forms[m];
      if (form.kind == Kind::view) continue;
      for (std::size_t k = 0; k < g_[m].input_count; ++k) {
        const ValueId v = g_.inputs(g_[m])[k];
        const std::uint32_t n = product(v);
        if (n == none) continue;
        const Shape& result = g_.shape(g_[n].output);
        const bool alike = form.kind != Kind::call && form.moves[k] == Moves::full && same_as_root(v) &&
                           form.elements == result.elements() &&
                           sets_[find(m)].elements == result.elements() &&
                           (sets_[find(m)].columns == 0 || sets_[find(m)].columns == result[1]);
        if (!alike || (loop[n] != none && find(loop[n]) != find(m))) candidate[n] = false;
        loop[n] = m;
      }
    }
    std::vector<std::uint32_t> changes(g_.states().size(), none);  // the stage in which a state changes
    for (std::uint32_t n = 0; n < count; ++n)
      if (update_of_[n] != none) changes[update_of_[n]] = stage_[n];
    product_.assign(count, none);
    for (std::uint32_t n = 0; n < count; ++n) {
      if (!candidate[n] || loop[n] == none || product_[find(loop[n])] != none) continue;
      const std::uint32_t set = find(loop[n]), stage = stage_[loop[n]];
      const auto inputs = g_.inputs(g_[n]);
      if (std::any_of(inputs.begin(), inputs.end(), [&](ValueId v) {
            const Value& root = g_.value(s_.layouts[v].root);
            return root.source == Source::state && changes[root.index] <= stage;
          }))
        continue;
      s_.forms[n].kind = Kind::product;
      product_[set] = n;
      stage_[n] = stage;
      parent_[n] = set;
    }
  }

  bool may_come_by_rows(const Instruction& i) const {
    const RowRule& rule = i.op->row;
    if (rule.rows_at_once == nullptr || rule.some_rows[static_cast<int>(g_.dtype(i.output))] == nullptr)
      return false;
    for (const ValueId v : g_.inputs(i))
      if (!s_.layouts[v].contiguous) return false;
    return i.op->row.rows_at_once(g_.describe(i)) > 0;
  }

  static bool is_structured(const Instruction& i, const Form& form, const Step& step) {
    if (form.kind == Kind::product) return false;
    if (form.kind == Kind::rowwise || step.on_column(form)) return true;
    if (form.kind == Kind::sums_rows && form.columns != 0) return true;
    for (std::uint32_t k = 0; k < i.input_count; ++k)
      if (form.moves[k] == Moves::row || form.moves[k] == Moves::column) return true;
    return false;
  }

  void collect() {
    const std::size_t count = g_.size();
    std::vector<std::uint32_t> order;
    for (std::uint32_t n = 0; n < count; ++n)
      if (s_.forms[n].kind != Kind::view) order.push_back(n);
    if (!options_.as_recorded)
      std::stable_sort(order.begin(), order.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return stage_[a] < stage_[b]; });
    s_.step_of.assign(count, none);
    std::vector<std::uint32_t> step_of_set(count, none);
    for (const std::uint32_t n : order) {
      const std::uint32_t set = find(n);
      if (step_of_set[set] == none) {
        step_of_set[set] = static_cast<std::uint32_t>(s_.steps.size());
        Step& fresh = s_.steps.emplace_back();
        fresh.loop = s_.forms[n].kind != Kind::call;
        fresh.stage = stage_[n];
        if (fresh.loop) {
          const Set& domain = sets_[set];
          fresh.rows = domain.columns == 0 ? 1 : domain.elements / domain.columns;
          fresh.columns = domain.columns == 0 ? domain.elements : domain.columns;
        }
      }
      Step& step = s_.steps[step_of_set[set]];
      if (step.loop) step.structured |= is_structured(g_[n], s_.forms[n], step);
      if (s_.forms[n].kind == Kind::product) step.product = n;
      s_.step_of[n] = step_of_set[set];
      step.instructions.push_back(n);
    }
  }

  const Graph& g_;
  const ScheduleOptions options_;
  Schedule s_;
  std::vector<std::uint32_t> stage_, parent_;  // by instruction
  std::vector<Set> sets_;                      // by instruction, valid for the root of a set
  std::vector<std::uint32_t> near_;            // what the instruction at hand could join
  std::vector<std::uint32_t> update_of_;       // by instruction: the state that it changes
  std::vector<std::vector<std::uint32_t>> readers_;
  std::unordered_map<std::uint64_t, std::uint32_t> meeting_;
  std::vector<std::uint32_t> product_;  // by set
};

}  // namespace

void Schedule::shrink() {
  for (ValueId v = 0; v < layouts.size(); ++v)
    if (layouts[v].root != v) views_.emplace_back(v, std::move(layouts[v]));
  views_.shrink_to_fit();
  std::vector<Layout>().swap(layouts);
  std::vector<Form>().swap(forms);
  std::vector<std::uint32_t>().swap(step_of);
  for (Step& step : steps) step.instructions.shrink_to_fit();
}

Layout Schedule::layout(ValueId v) const {
  if (!layouts.empty()) return layouts[v];
  const auto at = std::lower_bound(views_.begin(), views_.end(), v,
                                   [](const auto& view, ValueId value) { return view.first < value; });
  if (at != views_.end() && at->first == v) return at->second;
  Layout own;
  own.root = v;
  return own;
}

bool may_throw(const Graph& graph, const Schedule& schedule, const Instruction& i) {
  if (i.op->view) return false;
  if (i.op->checks_values || i.op->body) return true;
  if (schedule.forms[graph.value(i.output).index].kind != Kind::call) return false;
  const auto inputs = graph.inputs(i);
  return i.op->takes_memory || !std::all_of(inputs.begin(), inputs.end(),
                                            [&](ValueId v) { return schedule.layouts[v].contiguous; });
}

std::vector<std::uint32_t> find_updates(const Graph& graph) {
  std::vector<std::uint32_t> update_of(graph.size(), none);
  for (std::uint32_t k = 0; k < graph.states().size(); ++k) {
    const StateUse& state = graph.states()[k];
    const Instruction* const last = state.after == state.before ? nullptr : graph.producer(state.after);
    if (last != nullptr && !last->op->view) update_of[graph.value(state.after).index] = k;
  }
  return update_of;
}

Schedule make_schedule(const Graph& graph, const ScheduleOptions& options) {
  return Scheduler(graph, options).run();
}

}  // namespace wengert::program
