#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "autodiff/tensor/source_location.hpp"

namespace wengert {

/// Base of every exception of the library. The message names the operator, what was wrong with which
/// shapes and dtypes, and the line of the user's program:
/// "matmul: inner dimensions differ: a is float32[64, 784], b is float32[128, 10] (train.cpp:41)".
/// An operation that throws has changed nothing.
class Error : public std::runtime_error {
 public:
  Error(std::string_view operation, std::string_view problem, SourceLocation where = {});

  /// The operator or function that refused.
  const std::string& operation() const { return operation_; }
  /// The user's line; its line number is 0 where the error has no line (files).
  const SourceLocation& where() const { return where_; }

 private:
  std::string operation_;
  SourceLocation where_;
};

/// Shapes that don't fit together, an axis that is not there.
struct ShapeError : Error {
  using Error::Error;
};
/// An element type that the operation does not take.
struct DTypeError : Error {
  using Error::Error;
};
/// A position outside its axis.
struct IndexError : Error {
  using Error::Error;
};
/// Any other argument out of its domain.
struct ValueError : Error {
  using Error::Error;
};
/// A graph used in a way that it can't serve: no derivative rule, an empty tensor, nothing recorded.
struct GraphError : Error {
  using Error::Error;
};
/// A file that is missing, truncated or of another format; the message begins with the file's name.
struct FileError : Error {
  using Error::Error;
};

}  // namespace wengert
