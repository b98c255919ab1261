#include "autodiff/program/passes.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/program.hpp"

namespace wengert::program {

Rewrite::Rewrite(const Graph& from) : from_(from), map_(from.values().size(), none) {
  to.begin_like(from);
  for (ValueId v = 0; v < from.values().size(); ++v) {
    const Value& value = from.value(v);
    switch (value.source) {
      case Source::argument:
        map_[v] = to.add_argument(value.dtype, from.shape(v));
        break;
      case Source::constant:
        map_[v] = to.add_constant(from.constants()[value.index]);
        break;
      case Source::state:
        map_[v] = to.add_state(from.states()[value.index].slot);
        break;
      case Source::instruction:
        break;
    }
  }
}

ValueId Rewrite::copy(const Instruction& i) {
  inputs_.clear();
  for (const ValueId v : from_.inputs(i)) inputs_.push_back(map_[v]);
  return map_[i.output] = to.copy(from_, i, inputs_);
}

Graph Rewrite::finish() && {
  for (const ValueId v : from_.outputs()) to.add_output(map_[v]);
  for (const StateUse& s : from_.states())
    if (s.after != s.before) to.assign(s.slot, map_[s.after]);
  return std::move(to);
}

Changed Rewrite::finish_if_changed() && {
  if (!changed_) return {};
  return std::move(*this).finish();
}

Changed remove_dead_code(const Graph& g) {
  std::vector<bool> needed(g.values().size(), false);
  for (const ValueId v : g.outputs()) needed[v] = true;
  for (const StateUse& s : g.states())
    if (s.after != s.before) needed[s.after] = true;
  for (std::size_t n = g.size(); n-- > 0;) {
    const Instruction& i = g[n];
    if (i.op->draws) needed[i.output] = true;
    if (!needed[i.output]) continue;
    for (const ValueId v : g.inputs(i)) needed[v] = true;
  }
  bool all = true;
  for (ValueId v = 0; v < needed.size(); ++v)
    all = all && (needed[v] || g.value(v).source == Source::argument);
  if (all) return {};
  // Written out, because constants and states that nobody needs go as well.
  Graph to;
  to.begin_like(g);
  std::vector<ValueId> map(g.values().size(), none);
  for (const ValueId v : g.arguments()) map[v] = to.add_argument(g.dtype(v), g.shape(v));
  for (ValueId v = 0; v < g.values().size(); ++v) {
    if (needed[v] && g.constant(v) != nullptr) map[v] = to.add_constant(*g.constant(v));
    if (g.value(v).source == Source::state) {
      const StateUse& s = g.states()[g.value(v).index];
      if (needed[v] || s.after != s.before) map[v] = to.add_state(s.slot);
    }
  }
  std::vector<ValueId> inputs;
  for (const Instruction& i : g.instructions()) {
    if (!needed[i.output]) continue;
    inputs.clear();
    for (const ValueId v : g.inputs(i)) inputs.push_back(map[v]);
    map[i.output] = to.copy(g, i, inputs);
  }
  for (const ValueId v : g.outputs()) to.add_output(map[v]);
  for (const StateUse& s : g.states())
    if (s.after != s.before) to.assign(s.slot, map[s.after]);
  return to;
}

Changed fold_constants(const Graph& g) {
  constexpr std::int64_t largest = 1 << 14;  // elements: a program stays small
  const auto from_constants = [&](const Instruction& i) {
    bool constant = !i.op->draws && i.input_count > 0 && g.elements(i.output) <= largest;
    for (const ValueId v : g.inputs(i)) constant = constant && g.constant(v) != nullptr;
    return constant;
  };
  if (std::none_of(g.instructions().begin(), g.instructions().end(), from_constants)) return {};
  NoGrad scope;
  Rewrite r(g);
  for (const Instruction& i : g.instructions()) {
    bool constant = !i.op->draws && i.input_count > 0 && g.elements(i.output) <= largest;
    for (const ValueId v : g.inputs(i)) constant = constant && r.to.constant(r[v]) != nullptr;
    if (!constant) {
      r.copy(i);
      continue;
    }
    std::vector<detail::TensorImpl*> inputs;
    for (const ValueId v : g.inputs(i)) inputs.push_back(r.to.constant(r[v])->get());
    try {
      const Tensor value = apply_op(*i.op, inputs.data(), i.input_count, g.attributes(i), i.where);
      r.replace(i.output, r.to.add_constant(contiguous(value)));
    } catch (const Error&) {
      r.copy(i);  // it throws when the program runs, as eager code does
    }
  }
  return std::move(r).finish();
}

Layout layout_of_view(const Graph& g, const Instruction& i) {
  const Call call = g.describe(i);
  // The view rule gets a header on bytes that nobody reads; what it returns tells where it looks.
  static thread_local detail::Storage bytes;
  detail::TensorImpl& x = *call.inputs[0];
  x.storage = &bytes;
  x.data = bytes.bytes();
  detail::TensorImpl* view = i.op->view(call, {g.dtype(i.output), g.shape(i.output)});
  Layout layout{g.inputs(i)[0], view->contiguous, view->data - x.data, nullptr};
  if (!view->contiguous) layout.strides = std::make_shared<const Strides>(view->strides);
  x.storage = nullptr;
  x.data = nullptr;
  detail::release(view);
  return layout;
}

Changed legalise(const Graph& g) {
  const auto of_view = [&](const Instruction& i) {
    const Instruction* base = i.op->view ? g.producer(g.inputs(i)[0]) : nullptr;
    return base != nullptr && base->op->view;
  };
  if (std::none_of(g.instructions().begin(), g.instructions().end(), of_view)) return {};
  static const OperatorDefinition& contiguous = *find_operator("contiguous");
  std::vector<bool> strided(g.values().size(), false);
  Rewrite r(g);
  for (const Instruction& i : g.instructions()) {
    if (i.op->view && strided[g.inputs(i)[0]]) {
      const ValueId from[] = {r[g.inputs(i)[0]]};
      const ValueId inputs[] = {r.to.add(contiguous, from, nullptr, i.where)};
      r.replace(i.output,
                r.to.add(*i.op, inputs, g.attributes(i), i.where, g.dtype(i.output), g.shape(i.output)));
    } else {
      r.copy(i);
    }
    if (i.op->view) strided[i.output] = !layout_of_view(g, i).contiguous;
  }
  return std::move(r).finish();
}

Changed simplify(const Graph& g) {
  const auto view = [](const Instruction& i) { return static_cast<bool>(i.op->view); };
  if (std::none_of(g.instructions().begin(), g.instructions().end(), view)) return {};
  Rewrite r(g);
  std::vector<ValueId> unbroadcast(g.values().size(), none);  // old views that only repeat: what they repeat
  std::vector<ValueId> inputs;
  for (const Instruction& i : g.instructions()) {
    if (i.op->view && i.input_count == 1) {
      const ValueId x = g.inputs(i)[0];
      const Layout layout = layout_of_view(g, i);
      if (layout.contiguous && layout.offset == 0 && g.shape(x) == g.shape(i.output)) {
        r.replace(i.output, r[x]);
        continue;
      }
      Shape both;
      if (layout.offset == 0 && broadcast(g.shape(x), g.shape(i.output), both) && both == g.shape(i.output) &&
          layout.strides_of(both) == broadcast_strides(g.shape(x), contiguous_strides(g.shape(x)), both))
        unbroadcast[i.output] = x;
    }
    const auto repeats = [&](ValueId v) { return unbroadcast[v] != none; };
    if (!i.op->elementwise || std::none_of(g.inputs(i).begin(), g.inputs(i).end(), repeats)) {
      r.copy(i);
      continue;
    }
    inputs.assign(g.inputs(i).begin(), g.inputs(i).end());
    for (ValueId& v : inputs) {
      if (unbroadcast[v] == none) continue;
      const ValueId before = v;
      v = unbroadcast[v];
      Shape shape = g.shape(inputs[0]);
      bool same = true;
      for (const ValueId other : inputs) {
        Shape both;
        same = same && broadcast(shape, g.shape(other), both);
        if (same) shape = both;
      }
      if (!same || shape != g.shape(i.output)) v = before;
    }
    for (ValueId& v : inputs) v = r[v];
    r.replace(i.output,
              r.to.add(*i.op, inputs, g.attributes(i), i.where, g.dtype(i.output), g.shape(i.output)));
  }
  return std::move(r).finish_if_changed();
}

std::size_t assumptions(const Graph& g) {
  return static_cast<std::size_t>(std::count_if(g.instructions().begin(), g.instructions().end(),
                                                [](const Instruction& i) { return i.op->assumes; }));
}

Graph optimise(Graph graph, const CaptureOptions& options, std::vector<PassStatistics>& done,
               Graph& unassuming) {
  graph.verify("recorded");
  // What it has done a program can't take back where it draws numbers or runs a function of the user's.
  const bool assume =
      options.assume && std::none_of(graph.instructions().begin(), graph.instructions().end(),
                                     [](const Instruction& i) { return i.op->draws || i.op->body; });
  const auto pass = [&](bool wanted, const char* name, Changed (*run)(const Graph&)) {
    if (!wanted) return;
    const std::size_t before = graph.size();
    if (Changed changed = run(graph)) {
      if (assumptions(*changed) > assumptions(graph)) unassuming = std::move(graph);
      graph = *std::move(changed);
      graph.verify(name);
    }
    done.push_back({name, before, graph.size()});
  };
  pass(options.dead_code, "dead code", remove_dead_code);
  pass(options.fold_constants, "constant folding", fold_constants);
  pass(options.simplify, "simplification", simplify);
  pass(options.common_subexpressions, "common subexpressions", share_common);
  pass(options.rewrite, "rewriting", assume ? rewrite_assuming : rewrite);
  pass(true, "legalisation", legalise);
  pass(options.dead_code, "dead code", remove_dead_code);
  return graph;
}

}  // namespace wengert::program
