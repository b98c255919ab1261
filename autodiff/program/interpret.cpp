#include "autodiff/program/interpret.hpp"

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/recording.hpp"

namespace wengert::program {

namespace {

/// The values of a graph, computed one by one.
class Values {
 public:
  Values(const Graph& g, const Tensor* arguments) : g_(g), values_(g.values().size()) {
    for (std::size_t k = 0; k < g.arguments().size(); ++k) values_[g.arguments()[k]] = arguments[k];
    for (ValueId v = 0; v < values_.size(); ++v)
      if (const Tensor* constant = g.constant(v)) values_[v] = *constant;
    for (const StateUse& s : g.states()) values_[s.before] = State(s.slot).value();
  }

  Tensor& operator[](ValueId v) { return values_[v]; }
  void compute(const Instruction& i) {
    inputs_.clear();
    for (const ValueId v : g_.inputs(i)) inputs_.push_back(values_[v].get());
    values_[i.output] = apply_op(*i.op, inputs_.data(), i.input_count, g_.attributes(i), i.where);
  }

 private:
  const Graph& g_;
  std::vector<Tensor> values_;
  std::vector<detail::TensorImpl*> inputs_;
};

}  // namespace

void interpret(const Graph& g, const Tensor* arguments, Tensor* results) {
  NoGrad scope;
  // A value goes when its last reader has run.
  std::vector<std::uint32_t> readers(g.values().size(), 0);
  for (const Instruction& i : g.instructions())
    for (const ValueId v : g.inputs(i)) ++readers[v];
  for (const ValueId v : g.outputs()) ++readers[v];
  for (const StateUse& s : g.states()) ++readers[s.after];

  Values values(g, arguments);
  for (const Instruction& i : g.instructions()) {
    values.compute(i);
    for (const ValueId v : g.inputs(i))
      if (--readers[v] == 0) values[v] = Tensor();
  }
  for (std::size_t k = 0; k < g.outputs().size(); ++k) results[k] = values[g.outputs()[k]];
  std::vector<Tensor> changed(g.states().size());
  for (std::size_t k = 0; k < changed.size(); ++k) {
    const StateUse& s = g.states()[k];
    if (s.after == s.before) continue;
    changed[k] = values[s.after];
    if (s.slot->value.requires_grad()) changed[k] = variable(changed[k]);
  }
  for (std::size_t k = 0; k < changed.size(); ++k)
    if (changed[k].defined()) State(g.states()[k].slot).replace(std::move(changed[k]));
}

Tensor interpret(const Graph& g, const Tensor* arguments, ValueId v) {
  std::vector<bool> needed(g.values().size(), false);
  needed[v] = true;
  for (std::size_t n = g.size(); n-- > 0;) {
    if (!needed[g[n].output]) continue;
    if (g[n].op->draws || g[n].op->body) return {};
    for (const ValueId input : g.inputs(g[n])) needed[input] = true;
  }
  NoGrad scope;
  Values values(g, arguments);
  for (const Instruction& i : g.instructions())
    if (needed[i.output]) values.compute(i);
  return values[v];
}

}  // namespace wengert::program
