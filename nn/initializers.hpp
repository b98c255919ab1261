#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert::nn {

/// \defgroup initializers Initial values
/// Random numbers come from the library's generator: random::seed(42) makes them repeatable. The shape is
/// that of a weight, [out, in, ...]: fan_in is in and fan_out is out, times the entries behind them; a shape
/// of fewer than two dimensions throws ValueError. Any function of this type serves as an initializer:
///
///     nn::Linear layer(784, 128, {.weight_init = nn::he_normal, .bias_init = wengert::zeros});

using Initializer = Tensor (*)(const Shape& shape, DType dtype);

/// Normal with deviation sqrt(2 / fan_in), which keeps the variance through ReLU layers (PyTorch's
/// kaiming_normal). Source: K. He et al., Delving deep into rectifiers, ICCV 2015, equation 10.
Tensor he_normal(const Shape& shape, DType dtype = DType::float32);
/// Uniform in +-sqrt(6 / fan_in), the same variance (PyTorch's kaiming_uniform).
Tensor he_uniform(const Shape& shape, DType dtype = DType::float32);
/// Normal with deviation sqrt(2 / (fan_in + fan_out)), for tanh and sigmoid layers (Glorot). Source:
/// X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
/// AISTATS 2010, equation 12.
Tensor xavier_normal(const Shape& shape, DType dtype = DType::float32);
/// Uniform in +-sqrt(6 / (fan_in + fan_out)). Source: the same, equation 16.
Tensor xavier_uniform(const Shape& shape, DType dtype = DType::float32);
/// Uniform in +-1 / sqrt(fan_in): what Linear uses by default, as PyTorch does. Source: Y. LeCun et al.,
/// Efficient backprop, 1998, section 4.6, up to a factor sqrt(3).
Tensor lecun_uniform(const Shape& shape, DType dtype = DType::float32);

/// 5/3 for tanh, sqrt(2) for ReLU, 1 for linear and sigmoid: by how much to scale an xavier weight for what
/// follows it. Example: layer.weight.set(nn::xavier_normal({100, 40}) * nn::gain::tanh).
namespace gain {
inline constexpr double linear = 1.0;
inline constexpr double sigmoid = 1.0;
inline constexpr double tanh = 5.0 / 3.0;
inline constexpr double relu = 1.4142135623730951;
}  // namespace gain

}  // namespace wengert::nn
