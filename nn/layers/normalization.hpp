#pragma once

#include "nn/buffer.hpp"
#include "nn/module.hpp"

namespace wengert::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;
  DType dtype = DType::float32;
};

/// Batch normalization of `features` channels, with PyTorch's names and meaning. For x of shape [n, c] or [n,
/// c, l], each channel by itself:
///
///     y = (x - mean) / sqrt(var + eps) * weight + bias
///
/// While training, mean and var (divided by the number of values) are those of the batch, and the running
/// statistics follow them: running <- (1 - momentum) running + momentum * batch, the variance there divided
/// by one less. In eval() mode, mean and var are the running ones; without track_running_stats always the
/// batch's. Parameters: weight [c] of ones and bias [c] of zeros, unless options.affine is false. Buffers,
/// saved with them: running_mean [c], running_var [c], num_batches_tracked (int64). Throws ValueError when
/// `features` is below 1, eps is not positive or momentum is not in [0, 1]; applied, ShapeError when x is not
/// of these shapes, DTypeError when it is not of the module's element type, and ValueError when a batch whose
/// statistics are needed has fewer than two values a channel. Source: S. Ioffe, C. Szegedy, Batch
/// normalization, ICML 2015, algorithms 1 and 2. Example: nn::Sequential net{nn::Linear(40, 100),
/// nn::BatchNorm1d(100), nn::ReLU(), nn::Linear(100, 10)};
class BatchNorm1d : public Module {
 public:
  explicit BatchNorm1d(std::int64_t features, const BatchNormOptions& options = {},
                       SourceLocation where = SourceLocation::current());
  Tensor forward(const Tensor& x) const override;

  Parameter weight;  ///< empty without affine
  Parameter bias;
  Buffer running_mean;  ///< empty without track_running_stats
  Buffer running_var;
  Buffer num_batches_tracked;

 private:
  void check(const Tensor& x) const;

  std::int64_t features_;
  BatchNormOptions options_;
};

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;
  DType dtype = DType::float32;
};

/// Layer normalization over the last axes, whose lengths are `normalized_shape`, with PyTorch's names and
/// meaning:
///
///     y = (x - mean) / sqrt(var + eps) * weight + bias
///
/// where mean and var (divided by the number of values) are each example's own, in training and in eval()
/// alike. Parameters: weight of ones and bias of zeros, both [normalized_shape...], unless
/// options.elementwise_affine (options.bias) is false. Throws ValueError when normalized_shape is empty or
/// has a length below 1, or eps is not positive; applied, ShapeError when x does not end in those lengths and
/// DTypeError when it is not of the module's element type. Source: J. Ba, J. Kiros, G. Hinton, Layer
/// normalization, 2016 (arXiv:1607.06450), equation 4. Example: nn::LayerNorm norm({100}); Tensor y =
/// norm(x);   // x is [batch, 100]
class LayerNorm : public Module {
 public:
  explicit LayerNorm(const Shape& normalized_shape, const LayerNormOptions& options = {},
                     SourceLocation where = SourceLocation::current());
  Tensor forward(const Tensor& x) const override;

  Parameter weight;  ///< empty without elementwise_affine
  Parameter bias;

 private:
  Shape shape_;
  LayerNormOptions options_;
};

}  // namespace wengert::nn
