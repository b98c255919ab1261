#pragma once

#include "autodiff/tensor/error.hpp"

namespace wengert::detail {

/// What a captured program has assumed of some numbers does not hold.
struct OutOfBounds : ValueError {
  using ValueError::ValueError;
};
[[noreturn]] void fail_bounds(const SourceLocation& where);

}  // namespace wengert::detail
