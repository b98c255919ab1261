#pragma once

#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// What the positions of an operator may be, and how an error speaks of them.
struct PositionRule {
  std::string_view operation;
  std::int64_t lowest = 0;
  std::int64_t length = 0;  ///< they lie in lowest .. length - 1
  std::int64_t axis = -1;   ///< that they are positions along; -1: they are classes
  bool column = false;      ///< they have a last axis of one element, of which the user knows nothing
};

/// Throws IndexError unless all elements of an int64 input are positions of that kind:
/// "take: position 7 at indices[3, 0] is outside axis 1 of length 5".
/// Out of line and compiled once: kernels call it, which carry no code for errors themselves.
void check_positions(const Call& call, std::uint32_t input, const PositionRule& rule);

/// A row kernel's error. It knows no place in an array and no source line: a captured program looks for them.
struct RowIndexError : IndexError {
  RowIndexError(std::string_view problem, const RowOp& op, std::uint32_t input, const PositionRule& rule)
      : IndexError(rule.operation, problem), attributes(op.attributes), input(input), rule(rule) {}
  /// The same with the line.
  IndexError at(const SourceLocation& where) const;

  const void* attributes;  ///< those of the operation that it comes from
  std::uint32_t input;     ///< of positions
  PositionRule rule;
};
/// The same check for a row kernel of an operator with attributes.
void check_row_positions(std::byte* const* slots, const RowOp& op, std::uint32_t input, std::int64_t rows,
                         const PositionRule& rule);

}  // namespace wengert::detail
