#include <vector>

#include "autodiff/ops/structure.hpp"
#include "autodiff/tensor/creation.hpp"
#include "autodiff/transforms/transforms.hpp"

namespace wengert::detail {
namespace {

/// 0 everywhere, 1 at position i in row-major order.
Tensor unit(const Tensor& like, std::int64_t i) {
  const auto filled = [&]<class T>(T one) {
    std::vector<T> values(static_cast<std::size_t>(like.size()));
    values[static_cast<std::size_t>(i)] = one;
    return from_span<T>(values, like.shape());
  };
  return like.dtype() == DType::float32 ? filled(1.0f) : filled(1.0);
}

}  // namespace

Tensor jacobian(const Trace& trace, JacobianMode mode) {
  const Tensor y = trace.value();
  const Tensor& x = trace.input(0);
  Shape shape = y.shape();
  if (y.ndim() + x.ndim() > max_ndim)
    throw ShapeError("jacobian",
                     "the Jacobian of " + describe(y) + " by " + describe(x) + " has too many dimensions",
                     trace.where());
  for (const std::int64_t length : x.shape()) shape.push_back(length);
  if (shape.elements() == 0) return zeros(shape, y.dtype());
  const bool forward =
      mode == JacobianMode::forward || (mode == JacobianMode::automatic && x.size() < y.size());
  Tensors parts;
  parts.reserve(static_cast<std::size_t>(forward ? x.size() : y.size()));
  for (std::int64_t i = 0; i < (forward ? x.size() : y.size()); ++i)
    parts.push_back(
        reshape(forward ? trace.push({unit(x, i)}) : trace.pull(unit(y, i))[0], {-1}, trace.where()));
  return reshape(stack(parts, forward ? -1 : 0, trace.where()), shape, trace.where());
}

}  // namespace wengert::detail
