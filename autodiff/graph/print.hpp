#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// What a computation was: a numbered list in which inputs stand before what was computed from them.
/// A copy of the recorded facts: it holds no tensor and stays as it is.
class Graph {
 public:
  struct Node {
    const OperatorDefinition* op = nullptr;  ///< null: a leaf
    bool variable = false;  ///< a leaf that gradients() can reach; other leaves are constants
    DType dtype = DType::float32;
    Shape shape = {};
    SourceLocation where = {};  ///< line 0 where it is not known
    std::string text = {};      ///< attributes ("axes=[0], keepdims=false"), or the value of a 0-d constant
    std::size_t first_input = 0;
    std::uint32_t input_count = 0;
  };

  std::size_t size() const { return nodes_.size(); }
  const Node& operator[](std::size_t i) const { return nodes_[i]; }
  const std::vector<Node>& nodes() const { return nodes_; }
  /// The numbers of node i's inputs, in the order of the operator's arguments.
  std::span<const std::uint32_t> inputs(std::size_t i) const {
    return {inputs_.data() + nodes_[i].first_input, nodes_[i].input_count};
  }
  /// The numbers of the tensors that the graph was asked for.
  std::span<const std::uint32_t> results() const { return results_; }

  /// Appends a node with these inputs (numbers below size()) and returns its number.
  std::uint32_t add(Node node, std::span<const std::uint32_t> inputs);
  void add_result(std::uint32_t node) { results_.push_back(node); }

  /// The graph in Graphviz's language: pipe it into `dot -Tsvg`.
  /// Example: std::ofstream("loss.dot") << graph(loss).dot();
  std::string dot() const;

 private:
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> inputs_;
  std::vector<std::uint32_t> results_;
};

/// Everything that y was computed from, as far back as it was recorded, constants included. Any size: the
/// walk is a loop. Throws GraphError when y is an empty tensor.
/// Example: std::cout << graph(loss);
///
///     %0 = variable : float32[2, 3] (train.cpp:12)
///     %1 = constant 2.0 : float32[]
///     %2 = multiply(%0, %1) : float32[2, 3] (train.cpp:13)
///     %3 = sum(%2, axes=[0, 1], keepdims=false) : float32[] (train.cpp:13)
///     return %3
Graph graph(const Tensor& y);
/// Several results in one graph: what they share is listed once.
Graph graph(const Tensors& ys);

std::string to_string(const Graph& graph);
std::ostream& operator<<(std::ostream& out, const Graph& graph);

}  // namespace wengert
