// The library's own rows: eager, every operator computes at once and records itself, and replayed, the same
// step captured as a program.
#pragma once

#include <autodiff/autodiff.hpp>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "benchmarks/common/harness.hpp"

namespace wengert::bench {

std::vector<Row> training_rows();     ///< W1 to W4, W8
std::vector<Row> elementwise_rows();  ///< W5, W6, W7
std::vector<Row> operator_rows();     ///< W9

inline Tensor to_tensor(const std::vector<float>& values, const Shape& shape) {
  return from_span<float>(values, shape);
}

/// Whether this competitor is `replay`.
extern const bool replayed;

/// A step of a row: f(arguments...), which returns tensors, called or replayed.
template <class F, class... T>
std::function<Tensors()> make_step(F f, T... arguments) {
  if (!replayed) return [f, arguments...]() mutable { return f(arguments...); };
  auto captured = std::make_shared<Captured<F>>(capture(f));
  return [captured, arguments...] { return (*captured)(arguments...); };
}

/// A row whose step gives tensors. The last step's are dropped before the next, as in a loop whose results go
/// out of scope.
class Evaluation : public Workload {
 public:
  void step() override {
    results_ = Tensors{};
    results_ = step_();
  }

 protected:
  std::function<Tensors()> step_;
  Tensors results_;
};

/// The loss or, of anything larger, its projection, and the gradients' checksum.
Result compare(const Tensor& output, const Tensors& gradients);

}  // namespace wengert::bench
