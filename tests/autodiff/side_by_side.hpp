#pragma once

#include "autodiff/autodiff.hpp"

/// A number of threads for the time of a scope.
struct Threads {
  int before = wengert::num_threads();
  explicit Threads(int count) { wengert::set_num_threads(count); }
  ~Threads() { wengert::set_num_threads(before); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
};

/// Whatever may run side by side does, even if that is worth nothing.
inline wengert::CaptureOptions side_by_side(wengert::CaptureOptions options = {}) {
  options.least_gain = -1000000000;
  return options;
}
