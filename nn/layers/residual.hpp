#pragma once

#include "nn/module.hpp"

namespace wengert::nn {

/// x + f(x): a residual connection around a module. Parameters: those of f, under "f.". Throws ShapeError,
/// applied, when f(x) does not have the shape of x. Source: K. He et al., Deep residual learning for image
/// recognition, CVPR 2016, equation 1. Example: nn::Residual block(nn::Sequential{nn::Linear(50, 50),
/// nn::ReLU(), nn::Linear(50, 50)});
class Residual : public Module {
 public:
  explicit Residual(Layer f);
  Tensor forward(const Tensor& x) const override;

 private:
  Layer f_;
};

}  // namespace wengert::nn
