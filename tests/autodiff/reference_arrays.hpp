#pragma once

// What references are written with: every one is a loop over positions in double, from the operator's
// documentation alone.

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "autodiff/gradcheck/entries.hpp"
#include "autodiff/graph/operator.hpp"

namespace references {

using namespace wengert;

/// Elements in row-major order with their shape; positions are read and written by index.
struct Array {
  Shape shape;
  std::vector<double> v;

  explicit Array(const Shape& s, double fill = 0)
      : shape(s), v(static_cast<std::size_t>(s.elements()), fill) {}
  explicit Array(const Tensor& x) : shape(x.shape()), v(detail::elements(x)) {}
  double& operator()(const Shape& index) {
    std::int64_t at = 0;
    for (int i = 0; i < shape.size(); ++i) at = at * shape[i] + index[i];
    return v.at(static_cast<std::size_t>(at));
  }
  Tensor tensor() const { return from_span<double>(v, shape); }
};

inline void each(const Shape& shape, const std::function<void(const Shape&)>& f) {
  Shape index = Shape::filled(shape.size(), 0);
  for (std::int64_t k = 0; k < shape.elements(); ++k) {
    f(index);
    for (int i = shape.size() - 1; i >= 0 && ++index[i] == shape[i]; --i) index[i] = 0;
  }
}

/// Attributes as they are printed: "axes=[0, 1], keepdims=true".
class Arguments {
 public:
  Arguments(const OperatorDefinition& op, const Tensors& inputs, const void* attributes) : inputs_(inputs) {
    if (attributes != nullptr) text_ = ", " + op.attributes->print(attributes) + ", ";
  }
  const Tensor& in(std::size_t i = 0) const { return inputs_[i]; }
  const Tensors& all() const { return inputs_; }
  std::string text(const std::string& name) const {
    const std::size_t at = text_.find(", " + name + "=");
    need(at, name);
    const std::size_t begin = at + name.size() + 3;
    const std::size_t end = text_[begin] == '[' ? text_.find(']', begin) + 1 : text_.find(',', begin);
    return text_.substr(begin, end - begin);
  }
  int integer(const std::string& name) const { return std::stoi(text(name)); }
  double number(const std::string& name) const { return std::stod(text(name)); }
  DType dtype() const { return text("dtype") == "float32" ? DType::float32 : DType::float64; }
  bool flag(const std::string& name) const { return text(name) == "true"; }
  Shape list(const std::string& name) const {
    Shape result;
    const std::string t = text(name);
    for (std::size_t i = 1; i < t.size() && t[i] != ']';) {
      std::size_t used = 0;
      result.push_back(std::stoll(t.substr(i), &used));
      i += used;
      while (i < t.size() && (t[i] == ',' || t[i] == ' ')) ++i;
    }
    return result;
  }

 private:
  void need(std::size_t at, const std::string& name) const {
    if (at == std::string::npos) throw std::runtime_error("no attribute " + name + " in " + text_);
  }
  const Tensors& inputs_;
  std::string text_;
};

inline bool holds(const Shape& list, int i) { return std::find(list.begin(), list.end(), i) != list.end(); }

using Rule = std::function<Tensor(const Arguments&)>;
using Rules = std::map<std::string, Rule>;

// One file each: views, shapes, joining, choosing; positions; reductions, softmax, products, random numbers.
Rules of_structure();
Rules of_indexing();
Rules of_arithmetic();

inline Tensor permuted(const Tensor& in, const Shape& axes) {
  Array x(in);
  Shape shape;
  for (std::int64_t axis : axes) shape.push_back(x.shape[static_cast<int>(axis)]);
  Array y(shape);
  each(shape, [&](const Shape& at) {
    Shape from = x.shape;
    for (int i = 0; i < axes.size(); ++i) from[static_cast<int>(axes[i])] = at[i];
    y(at) = x(from);
  });
  return y.tensor();
}

/// Where the broadcast position `at` reads an array of `shape`.
inline Shape source(const Shape& at, const Shape& shape) {
  Shape from = shape;
  for (int i = 0; i < shape.size(); ++i) from[i] = shape[i] == 1 ? 0 : at[at.size() - shape.size() + i];
  return from;
}

}  // namespace references
