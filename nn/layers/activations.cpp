#include "nn/layers/activations.hpp"

#include <fmt/format.h>

#include "autodiff/ops/ops.hpp"
#include "autodiff/tensor/random.hpp"

namespace wengert::nn {

using detail::call_site;

Tensor Tanh::forward(const Tensor& x) const { return tanh(x, call_site); }
Tensor Sigmoid::forward(const Tensor& x) const { return sigmoid(x, call_site); }
Tensor ReLU::forward(const Tensor& x) const { return relu(x, call_site); }
Tensor Softplus::forward(const Tensor& x) const { return softplus(x, call_site); }

LeakyReLU::LeakyReLU(double slope) : Module(fmt::format("LeakyReLU({})", slope)), slope_(slope) {}
Tensor LeakyReLU::forward(const Tensor& x) const { return leaky_relu(Operand(x, call_site), slope_); }

Softmax::Softmax(int axis) : Module(fmt::format("Softmax({})", axis)), axis_(axis) {}
Tensor Softmax::forward(const Tensor& x) const { return softmax(x, axis_, call_site); }

LogSoftmax::LogSoftmax(int axis) : Module(fmt::format("LogSoftmax({})", axis)), axis_(axis) {}
Tensor LogSoftmax::forward(const Tensor& x) const { return log_softmax(x, axis_, call_site); }

Flatten::Flatten(int first) : Module("Flatten"), first_(first) {}
Tensor Flatten::forward(const Tensor& x) const {
  const int first = first_ < 0 ? first_ + x.ndim() : first_;
  if (first < 0 || first >= x.ndim())
    throw IndexError("Flatten", "axis " + std::to_string(first_) + " is not an axis of " + describe(x),
                     call_site);
  std::int64_t joined = 1;  // not -1 for reshape to work out: an axis before may be empty
  for (int i = first; i < x.ndim(); ++i) joined *= x.shape()[i];
  Shape shape(x.shape().begin(), static_cast<std::size_t>(first));
  shape.push_back(joined);
  return reshape(x, shape, call_site);
}

Dropout::Dropout(double p, SourceLocation where) : Module(fmt::format("Dropout({})", p)), p_(p) {
  if (!(p >= 0.0 && p <= 1.0))
    throw ValueError("Dropout", fmt::format("the probability must be in [0, 1], got {}", p), where);
}
Tensor Dropout::forward(const Tensor& x) const {
  if (!is_training() || p_ == 0.0) return x;
  // Chosen, not multiplied: an infinite entry that is dropped becomes 0, not NaN.
  const Tensor kept = random::bernoulli(1.0 - p_, x.shape());
  const Tensor scaled = p_ < 1.0 ? multiply(Operand(x, call_site), 1.0 / (1.0 - p_)) : x;
  return where(kept, Operand(scaled, call_site), 0.0);
}

}  // namespace wengert::nn
