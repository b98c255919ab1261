#pragma once

#include <string>

#include "autodiff/autodiff.hpp"

/// How often the program of a captured function calls an operator, after the passes; with `result` only calls
/// that have a result of this shape.
template <class F>
int calls(const F& captured, const std::string& op, const wengert::Shape* result = nullptr) {
  const std::string text = captured.graph().text();
  const std::string call = "= " + op + "(";
  const std::string shape = result == nullptr ? "" : wengert::to_string(*result) + ' ';
  int count = 0;
  for (std::size_t at = text.find(call); at != std::string::npos; at = text.find(call, at + 1)) {
    const std::string line = text.substr(at, text.find('\n', at) - at) + ' ';
    count += line.find(shape, line.find(") : ")) != std::string::npos;
  }
  return count;
}
template <class F>
int calls(const F& captured, const std::string& op, const wengert::Shape& result) {
  return calls(captured, op, &result);
}

/// The same numbers; NaN is NaN.
inline bool same(const wengert::Tensor& a, const wengert::Tensor& b) {
  if (a.shape() != b.shape()) return false;
  const wengert::Tensor equal = (a == b) | ((a != a) & (b != b));
  return min(cast(equal, wengert::DType::int64)).item<std::int64_t>() == 1;
}
