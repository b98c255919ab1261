#include "nn/layers/normalization.hpp"

#include <fmt/format.h>

#include "autodiff/graph/recording.hpp"
#include "autodiff/ops/ops.hpp"
#include "autodiff/tensor/creation.hpp"

namespace wengert::nn {
namespace {

using detail::call_site;

std::string text(std::int64_t features) { return fmt::format("BatchNorm1d({})", features); }

std::string text(const Shape& shape) {
  std::string lengths;
  for (const std::int64_t n : shape) lengths += (lengths.empty() ? "" : ", ") + std::to_string(n);
  return "LayerNorm({" + lengths + "})";
}

void check_eps(const std::string& name, double eps, const SourceLocation& where) {
  if (!(eps > 0.0)) throw ValueError(name, fmt::format("eps must be positive, got {}", eps), where);
}

void check_dtype(const std::string& name, const Tensor& x, DType dtype) {
  if (x.dtype() != dtype)
    throw DTypeError(name,
                     "x is " + describe(x) + ", the module is of " + std::string(wengert::name(dtype)) +
                         "; cast x, or convert the module with to()",
                     call_site);
}

/// (x - mean) / sqrt(var + eps)
Tensor normalized(const Tensor& x, const Tensor& mean, const Tensor& var, double eps) {
  const Tensor deviation = sqrt(add(Operand(var, call_site), eps), call_site);
  return divide(Operand(subtract(Operand(x, call_site), mean), call_site), deviation);
}

Tensor scaled(Tensor y, const Parameter& weight, const Parameter& bias, const Shape& shape) {
  if (weight.defined()) y = multiply(Operand(y, call_site), reshape(weight.value(), shape, call_site));
  if (bias.defined()) y = add(Operand(y, call_site), reshape(bias.value(), shape, call_site));
  return y;
}

}  // namespace

BatchNorm1d::BatchNorm1d(std::int64_t features, const BatchNormOptions& options, SourceLocation where)
    : Module(text(features)), features_(features), options_(options) {
  if (features < 1) throw ValueError(text(features), "the number must be at least 1", where);
  check_eps(text(features), options.eps, where);
  if (!(options.momentum >= 0.0 && options.momentum <= 1.0))
    throw ValueError(text(features), fmt::format("momentum must be in [0, 1], got {}", options.momentum),
                     where);
  if (options.affine) {
    weight = register_parameter("weight", Parameter(ones({features}, options.dtype), where));
    bias = register_parameter("bias", Parameter(zeros({features}, options.dtype), where));
  }
  if (options.track_running_stats) {
    running_mean = register_buffer("running_mean", Buffer(zeros({features}, options.dtype)));
    running_var = register_buffer("running_var", Buffer(ones({features}, options.dtype)));
    num_batches_tracked = register_buffer("num_batches_tracked", Buffer(zeros({}, DType::int64)));
  }
}

void BatchNorm1d::check(const Tensor& x) const {
  if ((x.ndim() != 2 && x.ndim() != 3) || x.shape()[1] != features_)
    throw ShapeError(text(features_),
                     fmt::format("x must be [n, {0}] or [n, {0}, l]: x is {1}", features_, describe(x)),
                     call_site);
  if (weight.defined())
    check_dtype(text(features_), x, weight.dtype());
  else if (running_mean.defined())
    check_dtype(text(features_), x, running_mean.value().dtype());
}

Tensor BatchNorm1d::forward(const Tensor& x) const {
  check(x);
  const Shape per_channel = x.ndim() == 2 ? Shape{1, features_} : Shape{1, features_, 1};
  if (!is_training() && running_mean.defined())
    return scaled(normalized(x, reshape(running_mean.value(), per_channel, call_site),
                             reshape(running_var.value(), per_channel, call_site), options_.eps),
                  weight, bias, per_channel);

  const std::int64_t count = x.size() / features_;
  if (count < 2)
    throw ValueError(text(features_),
                     "statistics of a batch need at least two values a channel: x is " + describe(x),
                     call_site);
  const Axes others = x.ndim() == 2 ? Axes(0) : Axes{0, 2};
  const Tensor batch_mean = mean(x, others, true, call_site), batch_var = var(x, others, true, 0, call_site);
  if (is_training() && running_mean.defined()) {
    const NoGrad no_grad;
    const auto follow = [&](const Buffer& running, const Tensor& batch, double factor) {
      running.set((1.0 - options_.momentum) * running.value() +
                  options_.momentum * factor * reshape(stop_gradient(batch), {features_}));
    };
    follow(running_mean, batch_mean, 1.0);
    follow(running_var, batch_var, static_cast<double>(count) / static_cast<double>(count - 1));
    num_batches_tracked.set(num_batches_tracked.value() + 1);
  }
  return scaled(normalized(x, batch_mean, batch_var, options_.eps), weight, bias, per_channel);
}

LayerNorm::LayerNorm(const Shape& normalized_shape, const LayerNormOptions& options, SourceLocation where)
    : Module(text(normalized_shape)), shape_(normalized_shape), options_(options) {
  if (shape_.size() == 0) throw ValueError(text(shape_), "there must be an axis to normalize over", where);
  for (const std::int64_t n : shape_)
    if (n < 1) throw ValueError(text(shape_), "every length must be at least 1", where);
  check_eps(text(shape_), options.eps, where);
  if (!options.elementwise_affine) return;
  weight = register_parameter("weight", Parameter(ones(shape_, options.dtype), where));
  if (options.bias) bias = register_parameter("bias", Parameter(zeros(shape_, options.dtype), where));
}

Tensor LayerNorm::forward(const Tensor& x) const {
  const int count = shape_.size(), first = x.ndim() - count;
  bool fits = first >= 0;
  Shape axes;
  for (int i = 0; i < count && fits; ++i) {
    fits = x.shape()[first + i] == shape_[i];
    axes.push_back(first + i);
  }
  if (!fits)
    throw ShapeError(text(shape_), "x must end in the lengths of the module: x is " + describe(x), call_site);
  if (weight.defined()) check_dtype(text(shape_), x, weight.dtype());
  const Tensor centre = mean(x, Axes(axes), true, call_site), spread = var(x, Axes(axes), true, 0, call_site);
  return scaled(normalized(x, centre, spread, options_.eps), weight, bias, shape_);
}

}  // namespace wengert::nn
