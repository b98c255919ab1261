#include <ostream>

#include "autodiff/graph/print.hpp"
#include "autodiff/program/graph.hpp"

namespace wengert::program {
namespace {

std::string reference(ValueId v) { return '%' + std::to_string(v); }

std::string kind(const Graph& g, ValueId v) {
  switch (g.value(v).source) {
    case Source::argument:
      return "argument " + std::to_string(g.value(v).index);
    case Source::constant: {
      const Tensor& x = *g.constant(v);
      return x.ndim() == 0 ? "constant " + to_string(x) : "constant";
    }
    case Source::state:
      return "state " + std::to_string(g.value(v).index);
    case Source::instruction:
      return g.producer(v)->op->name;
  }
  __builtin_unreachable();
}

std::string attributes_text(const Graph& g, const Instruction& i) {
  return i.attributes == none ? "" : i.op->attributes->print(g.attributes(i));
}

std::string place(const SourceLocation& where) {
  return where.line == 0 ? "" : " (" + to_string(where) + ')';
}

}  // namespace

std::string Graph::text() const {
  std::vector<std::vector<ValueId>> users(values_.size());
  for (const Instruction& i : instructions_)
    for (const ValueId v : inputs(i))
      if (users[v].empty() || users[v].back() != i.output) users[v].push_back(i.output);
  std::string text;
  const auto line = [&](ValueId v) {
    text += reference(v) + " = " + kind(*this, v);
    const Instruction* i = producer(v);
    if (i != nullptr) {
      std::string list;
      for (const ValueId x : inputs(*i)) list += (list.empty() ? "" : ", ") + reference(x);
      const std::string more = attributes_text(*this, *i);
      if (!more.empty()) list += (list.empty() ? "" : ", ") + more;
      text += '(' + list + ')';
    }
    text += " : " + wengert::describe(dtype(v), shape(v));
    if (i != nullptr) text += place(i->where);
    if (!users[v].empty()) {
      text += " ->";
      for (const ValueId u : users[v]) text += ' ' + reference(u);
    }
    text += '\n';
  };
  for (ValueId v = 0; v < values_.size(); ++v)
    if (values_[v].source != Source::instruction) line(v);
  for (const Instruction& i : instructions_) line(i.output);
  for (std::size_t k = 0; k < states_.size(); ++k)
    if (states_[k].after != states_[k].before)
      text += "state " + std::to_string(k) + " = " + reference(states_[k].after) + '\n';
  text += "return";
  for (std::size_t k = 0; k < outputs_.size(); ++k) text += (k == 0 ? " " : ", ") + reference(outputs_[k]);
  return text + '\n';
}

std::string Graph::dot() const {
  wengert::Graph drawing;
  std::vector<std::uint32_t> numbers(values_.size(), none);
  const auto add = [&](ValueId v) {
    wengert::Graph::Node node;
    const Instruction* i = producer(v);
    node.dtype = dtype(v);
    node.shape = shape(v);
    std::vector<std::uint32_t> from;
    if (i != nullptr) {
      node.op = i->op;
      node.where = i->where;
      node.text = attributes_text(*this, *i);
      for (const ValueId x : inputs(*i)) from.push_back(numbers[x]);
    } else {
      node.variable = values_[v].source == Source::state;
      if (values_[v].source != Source::constant || constant(v)->ndim() == 0) node.text = kind(*this, v);
    }
    numbers[v] = drawing.add(std::move(node), from);
  };
  for (ValueId v = 0; v < values_.size(); ++v)
    if (values_[v].source != Source::instruction) add(v);
  for (const Instruction& i : instructions_) add(i.output);
  for (const ValueId v : outputs_) drawing.add_result(numbers[v]);
  for (const StateUse& s : states_)
    if (s.after != s.before) drawing.add_result(numbers[s.after]);
  return drawing.dot();
}

std::ostream& operator<<(std::ostream& out, const Graph& graph) { return out << graph.text(); }

}  // namespace wengert::program
