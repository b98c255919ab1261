#pragma once

#include <fmt/format.h>

#include <string>

#include "autodiff/tensor/tensor.hpp"

namespace examples {

/// The claims of a program, printed with what was measured, and whether all of them hold.
class Claims {
 public:
  /// Prints one claim. Returns `holds`.
  bool check(const std::string& claim, const std::string& measured, const std::string& expected, bool holds);
  /// measured <= limit.
  bool at_most(const std::string& claim, double measured, double limit);
  /// measured >= limit, printed with `unit`.
  bool at_least(const std::string& claim, double measured, double limit, const std::string& unit);
  bool equal(const std::string& claim, long long measured, long long expected);

  /// Prints the summary; the exit status of the program: 0 when every claim holds and there is one.
  int finish() const;

 private:
  int count_ = 0;
  int failed_ = 0;
};

/// Largest |a - b| over all entries, in float64.
double largest_difference(const wengert::Tensor& a, const wengert::Tensor& b);

/// Runs a program's body; an exception is printed and gives exit status 2.
int run(int (*body)(int, char**), int argc, char** argv);

}  // namespace examples
