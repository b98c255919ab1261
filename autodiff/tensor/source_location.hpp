#pragma once

#include <string>

namespace wengert {

/// Where the user wrote a call: file and line. Stands in for std::source_location, which clang 14 lacks;
/// it is used the same way, as a defaulted last parameter.
struct SourceLocation {
  const char* file = "";
  unsigned line = 0;

  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          unsigned line = __builtin_LINE()) {
    return {file, line};
  }
};

/// "train.cpp:41", the file without its folders.
std::string to_string(const SourceLocation& where);

}  // namespace wengert
