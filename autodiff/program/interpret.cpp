#include "autodiff/program/interpret.hpp"

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/recording.hpp"

namespace wengert::program {

void interpret(const Graph& g, const Tensor* arguments, Tensor* results) {
  NoGrad scope;
  // A value goes when its last reader has run.
  std::vector<std::uint32_t> readers(g.values().size(), 0);
  for (const Instruction& i : g.instructions())
    for (const ValueId v : g.inputs(i)) ++readers[v];
  for (const ValueId v : g.outputs()) ++readers[v];
  for (const StateUse& s : g.states()) ++readers[s.after];

  std::vector<Tensor> values(g.values().size());
  for (std::size_t k = 0; k < g.arguments().size(); ++k) values[g.arguments()[k]] = arguments[k];
  for (ValueId v = 0; v < values.size(); ++v)
    if (const Tensor* constant = g.constant(v)) values[v] = *constant;
  for (const StateUse& s : g.states()) values[s.before] = State(s.slot).value();

  std::vector<detail::TensorImpl*> inputs;
  for (const Instruction& i : g.instructions()) {
    inputs.clear();
    for (const ValueId v : g.inputs(i)) inputs.push_back(values[v].get());
    values[i.output] = apply_op(*i.op, inputs.data(), i.input_count, g.attributes(i), i.where);
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

}  // namespace wengert::program
