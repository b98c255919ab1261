#pragma once

#include <cstdlib>
#include <string>

#include "autodiff/tensor/error.hpp"

/// The message of the Error that f throws; empty when it throws none.
template <class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const wengert::Error& e) {
    return e.what();
  }
  return "";
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The message has this text, and ends with a line of the calling test within a few of `line` (checks are
/// wrapped).
inline bool located(const std::string& text, const std::string& part, int line,
                    const std::string& path = __builtin_FILE()) {
  std::string file(1, '(');
  file.append(path, path.rfind('/') + 1, std::string::npos).push_back(':');
  const std::size_t at = text.rfind(file);
  if (at == std::string::npos || !has(text, part)) return false;
  return std::abs(std::stoi(text.substr(at + file.size())) - line) <= 4;
}
