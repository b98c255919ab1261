#pragma once

#include <cstdint>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "nn/nn.hpp"

namespace examples {

using Sizes = std::vector<std::int64_t>;

/// Linear layers of these sizes with `activation` between them, none at the end.
inline wengert::nn::Sequential dense(const Sizes& sizes, const wengert::nn::Layer& activation,
                                     const wengert::nn::LinearOptions& options = {}) {
  std::vector<wengert::nn::Layer> layers;
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    if (l > 1) layers.push_back(activation);
    layers.push_back(wengert::nn::Linear(sizes[l - 1], sizes[l], options));
  }
  return wengert::nn::Sequential(layers);
}

/// `steps` steps of Adam on loss(net(x), y), the whole batch at a time. `rate` falls to a tenth for the last
/// third and to a hundredth for the last ninth. Returns the last loss.
template <class Loss>
double fit(const wengert::nn::Module& net, const wengert::Tensor& x, const wengert::Tensor& y, Loss loss,
           int steps, double rate, double decay = 0) {
  wengert::nn::Adam adam(net.parameters(), {.learning_rate = rate, .weight_decay = decay});
  auto step = wengert::capture([&](const wengert::Tensor& inputs, const wengert::Tensor& targets) {
    const wengert::Tensor value = loss(net(inputs), targets);
    adam.step(gradients(value, net.parameters()));
    return value;
  });
  wengert::Tensor last;
  for (int i = 0; i < steps; ++i) {
    if (i == steps - steps / 3) adam.set_learning_rate(rate / 10);
    if (i == steps - steps / 9) adam.set_learning_rate(rate / 100);
    last = step(x, y);
  }
  return wengert::cast(last, wengert::DType::float64).item<double>();
}

/// Binary cross-entropy of logits with targets 0 and 1 of the same shape.
inline wengert::Tensor binary_loss(const wengert::Tensor& logits, const wengert::Tensor& targets) {
  return wengert::nn::binary_cross_entropy_with_logits(logits, targets);
}
/// Share of logits on the right side of 0, in per cent.
inline double binary_accuracy(const wengert::Tensor& logits, const wengert::Tensor& targets) {
  return 100 * mean(cast((logits > 0.0) == (targets > 0.5), wengert::DType::float64)).item<double>();
}

}  // namespace examples
