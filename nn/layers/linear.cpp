#include "nn/layers/linear.hpp"

#include <cmath>

#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/linear.hpp"
#include "autodiff/tensor/random.hpp"

namespace wengert::nn {
namespace {

std::string text(std::int64_t in, std::int64_t out) {
  return "Linear(" + std::to_string(in) + ", " + std::to_string(out) + ")";
}

}  // namespace

Linear::Linear(std::int64_t in, std::int64_t out, const LinearOptions& options, SourceLocation where)
    : Module(text(in, out)) {
  if (in < 1 || out < 1) throw ValueError(text(in, out), "both numbers must be at least 1", where);
  weight = register_parameter("weight", Parameter(options.weight_init({out, in}, options.dtype), where));
  if (!options.bias) return;
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  const Tensor initial = options.bias_init != nullptr ? options.bias_init({out}, options.dtype)
                                                      : random::uniform({out}, -bound, bound, options.dtype);
  bias = register_parameter("bias", Parameter(initial, where));
}

Tensor Linear::forward(const Tensor& x) const {
  const SourceLocation where = detail::call_site;
  const Tensor& w = weight.value();
  if (x.ndim() == 0 || x.shape().back() != w.shape()[1])
    throw ShapeError(
        text(w.shape()[1], w.shape()[0]),
        "the last axis of x must have length " + std::to_string(w.shape()[1]) + ": x is " + describe(x),
        where);
  if (x.dtype() != w.dtype())
    throw DTypeError(
        text(w.shape()[1], w.shape()[0]),
        "x is " + describe(x) + ", the weight " + describe(w) + "; cast x, or convert the module with to()",
        where);
  const Tensor y = matmul(Operand(x, where), w, {.transpose_b = true});
  return bias.defined() ? add(Operand(y, where), bias.value()) : y;
}

}  // namespace wengert::nn
