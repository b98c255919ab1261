#pragma once

#include "nn/initializers.hpp"
#include "nn/module.hpp"

namespace wengert::nn {

struct LinearOptions {
  bool bias = true;
  Initializer weight_init = lecun_uniform;
  /// Null: uniform in +-1 / sqrt(in), as PyTorch does.
  Initializer bias_init = nullptr;
  DType dtype = DType::float32;
};

/// y = x W^T + b for x of shape [..., in]: `in` numbers in, `out` numbers out. Parameters: weight [out, in]
/// and, unless options.bias is false, bias [out]. Throws ValueError when in or out is below 1; applied,
/// ShapeError when the last axis of x is not `in`, DTypeError when x is not of the weight's type.
/// Example: nn::Linear layer(784, 128); Tensor y = layer(images);   // [batch, 128]
class Linear : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, const LinearOptions& options = {},
         SourceLocation where = SourceLocation::current());
  Tensor forward(const Tensor& x) const override;

  Parameter weight;
  Parameter bias;  ///< empty without one
};

}  // namespace wengert::nn
