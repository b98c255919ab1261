#include "autodiff/graph/print.hpp"

#include <ostream>
#include <unordered_map>

#include "autodiff/graph/operator.hpp"

namespace wengert {

std::uint32_t Graph::add(Node node, std::span<const std::uint32_t> inputs) {
  const auto number = static_cast<std::uint32_t>(nodes_.size());
  for (std::uint32_t i : inputs)
    if (i >= number)
      throw GraphError("graph", "input %" + std::to_string(i) + " of a node is not in front of it");
  node.first_input = inputs_.size();
  node.input_count = static_cast<std::uint32_t>(inputs.size());
  inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
  nodes_.push_back(std::move(node));
  return number;
}

namespace {

using detail::TensorImpl;

Graph::Node facts(TensorImpl& impl) {
  Graph::Node node;
  node.op = impl.op;
  node.variable = impl.op == nullptr && impl.requires_grad;
  node.dtype = impl.dtype;
  node.shape = impl.shape;
  node.where = impl.where;
  if (impl.op != nullptr && impl.op->attributes != nullptr && impl.attributes != nullptr)
    node.text = impl.op->attributes->print(impl.attributes);
  // Other values may be gone: a graph keeps what derivative rules read. Small ones live in their header.
  if (impl.op == nullptr && !node.variable && impl.shape.empty() && impl.storage == &impl.embedded)
    node.text = to_string(Tensor::share(&impl));
  return node;
}

struct Frame {
  TensorImpl* impl;
  std::uint32_t next_input;
};

// Depth first, with a stack of its own. Numbers are kept beside the nodes, not in them: other threads may
// walk the same graph.
class Collector {
 public:
  void collect(TensorImpl& y) {
    if (!numbers_.contains(&y)) enter(y);
    while (!stack_.empty()) {
      Frame& top = stack_.back();
      if (top.next_input < top.impl->input_count) {
        TensorImpl& input = *top.impl->inputs[top.next_input++];
        if (!numbers_.contains(&input)) enter(input);
        continue;
      }
      inputs_.clear();
      for (std::uint32_t i = 0; i < top.impl->input_count; ++i)
        inputs_.push_back(numbers_.at(top.impl->inputs[i]));
      numbers_[top.impl] = graph.add(facts(*top.impl), inputs_);
      stack_.pop_back();
    }
    graph.add_result(numbers_.at(&y));
  }

  Graph graph;

 private:
  void enter(TensorImpl& impl) {
    numbers_.emplace(&impl, 0);
    stack_.push_back({&impl, 0});
  }

  std::unordered_map<const TensorImpl*, std::uint32_t> numbers_;
  std::vector<Frame> stack_;
  std::vector<std::uint32_t> inputs_;
};

std::string_view kind(const Graph::Node& node) {
  if (node.op != nullptr) return node.op->name;
  return node.variable ? "variable" : "constant";
}

void append_reference(std::string& text, std::uint32_t number) {
  text += '%';
  text += std::to_string(number);
}

void append_escaped(std::string& text, std::string_view part) {
  for (char c : part) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
}

}  // namespace

Graph graph(const Tensor& y) { return graph(Tensors{y}); }

Graph graph(const Tensors& ys) {
  Collector collector;
  for (const Tensor& y : ys) collector.collect(y.impl());
  return std::move(collector.graph);
}

std::string to_string(const Graph& graph) {
  std::string text;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const Graph::Node& node = graph[i];
    append_reference(text, i);
    text += " = ";
    text += kind(node);
    if (node.op != nullptr) {
      const char* between = "(";
      for (std::uint32_t input : graph.inputs(i)) {
        text += between;
        append_reference(text, input);
        between = ", ";
      }
      if (!node.text.empty()) text += between + node.text;
      text += ')';
    } else if (!node.text.empty()) {
      text += ' ' + node.text;
    }
    text += " : " + describe(node.dtype, node.shape);
    if (node.where.line != 0) text += " (" + to_string(node.where) + ')';
    text += '\n';
  }
  text += "return";
  for (std::size_t i = 0; i < graph.results().size(); ++i) {
    text += i == 0 ? " " : ", ";
    append_reference(text, graph.results()[i]);
  }
  text += '\n';
  return text;
}

std::ostream& operator<<(std::ostream& out, const Graph& graph) { return out << to_string(graph); }

std::string Graph::dot() const {
  std::string text =
      "digraph {\n"
      "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11]\n"
      "  edge [arrowsize=0.6, fontname=\"Helvetica\", fontsize=9]\n";
  std::vector<bool> is_result(size());
  for (std::uint32_t result : results_) is_result[result] = true;
  for (std::size_t i = 0; i < size(); ++i) {
    const Node& node = nodes_[i];
    const std::string number = std::to_string(i);
    text += "  n" + number + " [label=\"%" + number + ' ';
    append_escaped(text, kind(node));
    for (const std::string& line : {node.text, describe(node.dtype, node.shape),
                                    node.where.line != 0 ? wengert::to_string(node.where) : std::string()}) {
      if (line.empty()) continue;
      text += "\\n";
      append_escaped(text, line);
    }
    text += '"';
    if (node.op == nullptr) text += node.variable ? ", fillcolor=lightblue" : ", fillcolor=gray92";
    if (is_result[i]) text += ", penwidth=2";
    text += "]\n";
    // Which argument an edge is: the order matters for most operators of several.
    for (std::uint32_t k = 0; k < node.input_count; ++k) {
      text += "  n" + std::to_string(inputs_[node.first_input + k]) + " -> n" + number;
      if (node.input_count > 1) text += " [label=\"" + std::to_string(k) + "\"]";
      text += '\n';
    }
  }
  return text + "}\n";
}

}  // namespace wengert
