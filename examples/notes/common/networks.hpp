#pragma once

#include <cstdint>
#include <vector>

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

}  // namespace examples
