#include "autodiff/tensor/shape.hpp"

#include <ostream>

#include "autodiff/tensor/error.hpp"

namespace wengert {

void Shape::too_many(std::size_t count) {
  throw ShapeError("shape", "a tensor has at most 8 dimensions, asked for " + std::to_string(count));
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }

Strides contiguous_strides(const Shape& shape) {
  Strides strides = Strides::filled(shape.size(), 1);
  for (int i = shape.size() - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  if (shape.elements() == 0) return true;
  std::int64_t expected = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

bool broadcast(const Shape& a, const Shape& b, Shape& out) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  out = longer;
  const int offset = longer.size() - shorter.size();
  for (int i = 0; i < shorter.size(); ++i) {
    std::int64_t& d = out[offset + i];
    if (shorter[i] == d || shorter[i] == 1) continue;
    if (d != 1) return false;
    d = shorter[i];
  }
  return true;
}

Strides broadcast_strides(const Shape& shape, const Strides& strides, const Shape& to) {
  Strides result = Strides::filled(to.size(), 0);
  const int offset = to.size() - shape.size();
  for (int i = 0; i < shape.size(); ++i)
    result[offset + i] = shape[i] == 1 && to[offset + i] != 1 ? 0 : strides[i];
  return result;
}

}  // namespace wengert
