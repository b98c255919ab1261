#include "nn/layers/residual.hpp"

#include "autodiff/ops/arithmetic.hpp"

namespace wengert::nn {

Residual::Residual(Layer f) : Module("Residual"), f_(std::move(f)) { attach("f", *f_); }

Tensor Residual::forward(const Tensor& x) const {
  const Tensor y = f_->forward(x);
  if (y.shape() != x.shape())
    throw ShapeError("Residual", "x is " + describe(x) + " but f(x) is " + describe(y), detail::call_site);
  return add(Operand(x, detail::call_site), y);
}

}  // namespace wengert::nn
