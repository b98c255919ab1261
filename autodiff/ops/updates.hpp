#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// \defgroup updates Updates
/// The arithmetic of optimizers, each in one pass over memory. Elementwise with broadcasting and the
/// promotion of add; scales are numbers or 0-d tensors, so that a step which is replayed can be given new
/// ones. They throw ShapeError when the shapes don't broadcast. All are differentiable, also by their scales.
/// Example: w = add_scaled(w, g, -0.1);

/// a + scale * b. Derivative: 1, scale, b.
Tensor add_scaled(const Operand& a, const Operand& b, const Operand& scale);
/// a_scale * a + b_scale * b. Derivative: a_scale, b_scale, a, b.
Tensor combine(const Operand& a, const Operand& b, const Operand& a_scale, const Operand& b_scale);
/// a + weight * (b - a): an exponential average takes a step towards b. Derivative: 1 - weight, weight, b -
/// a.
Tensor lerp(const Operand& a, const Operand& b, const Operand& weight);
/// a + weight * (b^2 - a). Derivative: 1 - weight, 2 weight b, b^2 - a.
Tensor lerp_square(const Operand& a, const Operand& b, const Operand& weight);
/// keep * p - rate * m / (sqrt(v) + epsilon), the step of Adam and AdamW for p from the averages m of the
/// gradient and v of its square. Derivative: keep, -rate / d, rate m / (2 sqrt(v) d^2), p, -m / d and
/// rate m / d^2 with d = sqrt(v) + epsilon; by v it is infinite at v = 0.
/// Source: D. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1;
/// I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019, for keep < 1.
Tensor adam_update(const Operand& p, const Operand& m, const Operand& v, const Operand& keep,
                   const Operand& rate, const Operand& epsilon);

}  // namespace wengert
