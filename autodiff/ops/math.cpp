#include "autodiff/ops/math.hpp"

#include "autodiff/graph/elementwise.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/logic.hpp"

namespace wengert {
namespace {

const OperatorDefinition *exp_, *expm1_, *log_, *log1p_, *sqrt_, *sin_, *cos_, *tanh_, *sigmoid_, *softplus_,
    *relu_, *leaky_relu_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {

void math() {
  exp_ = define_elementwise({
      .name = "exp",
      .doc = "e^x",
      .forward = [](auto x) { return exp(x); },
      .derivative = [](auto, auto y) { return y; },
      .samples = [] { return samples::reals(); },
  });
  expm1_ = define_elementwise({
      .name = "expm1",
      .doc = "e^x - 1, exact near 0",
      .forward = [](auto x) { return expm1(x); },
      .derivative = [](auto, auto y) { return y + 1.0; },
      .samples = [] { return samples::reals(); },
  });
  log_ = define_elementwise({
      .name = "log",
      .doc = "log x",
      .contract = "+inf at 0; a zero cotangent gives 0",
      .forward = [](auto x) { return log(x); },
      .derivative = [](auto x, auto) { return 1.0 / x; },
      .samples = [] { return samples::positives(); },
  });
  log1p_ = define_elementwise({
      .name = "log1p",
      .doc = "log(1 + x), exact near 0",
      .contract = "+inf at -1; a zero cotangent gives 0",
      .forward = [](auto x) { return log1p(x); },
      .derivative = [](auto x, auto) { return 1.0 / (1.0 + x); },
      .samples = [] { return samples::positives(); },
  });
  sqrt_ = define_elementwise({
      .name = "sqrt",
      .doc = "the square root of x",
      .contract = "+inf at 0; a zero cotangent gives 0",
      .forward = [](auto x) { return sqrt(x); },
      .derivative = [](auto, auto y) { return 0.5 / y; },
      .samples = [] { return samples::positives(); },
  });
  sin_ = define_elementwise({
      .name = "sin",
      .doc = "the sine of x",
      .forward = [](auto x) { return sin(x); },
      .derivative = [](auto x, auto) { return cos(x); },
      .samples = [] { return samples::reals(); },
  });
  cos_ = define_elementwise({
      .name = "cos",
      .doc = "the cosine of x",
      .forward = [](auto x) { return cos(x); },
      .derivative = [](auto x, auto) { return -sin(x); },
      .samples = [] { return samples::reals(); },
  });
  tanh_ = define_elementwise({
      .name = "tanh",
      .doc = "(e^x - e^-x) / (e^x + e^-x)",
      .forward = [](auto x) { return tanh(x); },
      // 1 - y^2, more exact where y is near 1.
      .derivative = [](auto, auto y) { return (1.0 - y) * (1.0 + y); },
      .samples = [] { return samples::reals(); },
  });
  sigmoid_ = define_elementwise({
      .name = "sigmoid",
      .doc = "1 / (1 + e^-x)",
      .forward = [](auto x) { return sigmoid(x); },
      .derivative = [](auto, auto y) { return y * (1.0 - y); },
      .samples = [] { return samples::reals(); },
  });
  softplus_ = define_elementwise({
      .name = "softplus",
      .doc = "log(1 + e^x)",
      .forward = [](auto x) { return softplus(x); },
      .derivative = [](auto x, auto) { return sigmoid(x); },
      .samples = [] { return samples::reals(); },
  });
  relu_ = define_elementwise({
      .name = "relu",
      .doc = "max(x, 0)",
      .contract = "0 at 0",
      .forward = [](auto x) { return maximum(x, zeros_like(x)); },
      .derivative = [](auto, auto y) { return where(y > 0.0, ones_like(y), zeros_like(y)); },
      .samples = [] { return samples::reals(); },
  });
  leaky_relu_ = define_elementwise({
      .name = "leaky_relu",
      .doc = "x above 0, slope * x below",
      .contract = "the slope at 0",
      .forward = [](auto x, auto slope) { return where(x > 0.0, x, slope * x); },
      .derivatives = {[](auto x, auto slope, auto) { return where(x > 0.0, ones_like(x), slope); },
                      [](auto x, auto, auto) { return where(x > 0.0, zeros_like(x), x); }},
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace {

Tensor unary(const OperatorDefinition* op, const Tensor& x, const SourceLocation& where) {
  return apply_elementwise(*op, Operand(x, where), DType::float32);
}

}  // namespace

Tensor exp(const Tensor& x, SourceLocation where) { return unary(exp_, x, where); }
Tensor expm1(const Tensor& x, SourceLocation where) { return unary(expm1_, x, where); }
Tensor log(const Tensor& x, SourceLocation where) { return unary(log_, x, where); }
Tensor log1p(const Tensor& x, SourceLocation where) { return unary(log1p_, x, where); }
Tensor sqrt(const Tensor& x, SourceLocation where) { return unary(sqrt_, x, where); }
Tensor sin(const Tensor& x, SourceLocation where) { return unary(sin_, x, where); }
Tensor cos(const Tensor& x, SourceLocation where) { return unary(cos_, x, where); }
Tensor tanh(const Tensor& x, SourceLocation where) { return unary(tanh_, x, where); }
Tensor sigmoid(const Tensor& x, SourceLocation where) { return unary(sigmoid_, x, where); }
Tensor softplus(const Tensor& x, SourceLocation where) { return unary(softplus_, x, where); }
Tensor relu(const Tensor& x, SourceLocation where) { return unary(relu_, x, where); }
Tensor leaky_relu(const Operand& x, const Operand& slope) {
  return apply_elementwise(*leaky_relu_, x, slope, DType::float32);
}

#endif

}  // namespace wengert
