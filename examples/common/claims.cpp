#include "examples/common/claims.hpp"

#include <cstdio>
#include <exception>

#include "autodiff/autodiff.hpp"

namespace examples {

using namespace wengert;

bool Claims::check(const std::string& claim, const std::string& measured, const std::string& expected,
                   bool holds) {
  ++count_;
  failed_ += holds ? 0 : 1;
  fmt::print("claim     {}\n  measured  {}\n  expected  {}\n  verdict   {}\n", claim, measured, expected,
             holds ? "holds" : "DOES NOT HOLD");
  std::fflush(stdout);
  return holds;
}

bool Claims::at_most(const std::string& claim, double measured, double limit) {
  return check(claim, fmt::format("{:.2g}", measured), fmt::format("at most {:g}", limit), measured <= limit);
}

bool Claims::at_least(const std::string& claim, double measured, double limit, const std::string& unit) {
  return check(claim, fmt::format("{:.4g} {}", measured, unit), fmt::format("at least {:g} {}", limit, unit),
               measured >= limit);
}

bool Claims::equal(const std::string& claim, long long measured, long long expected) {
  return check(claim, fmt::format("{}", measured), fmt::format("{}", expected), measured == expected);
}

int Claims::finish() const {
  if (failed_ > 0)
    fmt::print("{} of {} claims do not hold\n", failed_, count_);
  else
    fmt::print("all {} claims hold\n", count_);
  return failed_ == 0 && count_ > 0 ? 0 : 1;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  return max(abs(cast(a, DType::float64) - cast(b, DType::float64))).item<double>();
}

int run(int (*body)(int, char**), int argc, char** argv) {
  try {
    return body(argc, argv);
  } catch (const std::exception& e) {
    std::fflush(stdout);
    fmt::print(stderr, "{}: {}\n", argv[0], e.what());
    return 2;
  }
}

}  // namespace examples
