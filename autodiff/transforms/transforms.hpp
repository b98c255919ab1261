#pragma once

/// \file
/// Functions of functions. f is any callable that takes one tensor, two, three, or a Tensors, and returns a
/// tensor; it may use variables besides its arguments. Arguments must be floating (DTypeError) and may be
/// constants or results of other computations: inside f they are differentiable in either case. Results are
/// constants, or differentiable where they depend on variables of the surroundings, so transforms of
/// transforms give derivatives of any order. None of them changes what f computes.

#include <type_traits>
#include <utility>

#include "autodiff/transforms/trace.hpp"

namespace wengert {

/// J^T as a function, from vjp(). Keeps what f recorded.
class Pullback {
 public:
  explicit Pullback(detail::Trace* owned) : trace_(owned) {}
  Pullback(Pullback&& other) noexcept : trace_(std::exchange(other.trace_, nullptr)) {}
  Pullback& operator=(Pullback&& other) noexcept {
    std::swap(trace_, other.trace_);
    return *this;
  }
  ~Pullback() { delete trace_; }
  /// J^T cotangent: one tensor for each argument of f. The cotangent has the shape and element type of f's
  /// value (ShapeError). May be called again, with other cotangents.
  Tensors operator()(const Tensor& cotangent) const { return trace_->pull(cotangent); }

 private:
  detail::Trace* trace_;
};

/// Reverse mode: f's value, and the function that takes a cotangent to J^T cotangent.
///
///     auto [y, pullback] = vjp(f, {x, w});
///     Tensor dw = pullback(ones_like(y))[1];
template <class F>
std::pair<Tensor, Pullback> vjp(F&& f, const Tensors& primals,
                                SourceLocation where = SourceLocation::current()) {
  auto* trace = new detail::Trace("vjp", primals, where);
  Pullback pullback(trace);
  trace->run(f);
  return {trace->value(), std::move(pullback)};
}

/// Forward mode: f's value and its directional derivative J tangents, in one call. The tangents have the
/// shapes and element types of their primals (ShapeError; ValueError when their number differs).
///
///     auto [y, tangent] = jvp(f, {x}, {dx});
template <class F>
std::pair<Tensor, Tensor> jvp(F&& f, const Tensors& primals, const Tensors& tangents,
                              SourceLocation where = SourceLocation::current()) {
  detail::Trace trace("jvp", primals, where);
  trace.run(f);
  Tensor tangent = trace.push(tangents);
  return {trace.value(), std::move(tangent)};
}

/// What value_and_grad() returns: x to f(x) and the gradient there.
template <class F>
class ValueAndGrad {
 public:
  explicit ValueAndGrad(F f) : f_(std::move(f)) {}

  std::pair<Tensor, Tensor> operator()(const Tensor& x,
                                       SourceLocation where = SourceLocation::current()) const {
    auto [y, g] = (*this)(Tensors{x}, where);
    return {std::move(y), std::move(g[0])};
  }
  std::pair<Tensor, Tensors> operator()(const Tensors& primals,
                                        SourceLocation where = SourceLocation::current()) const {
    detail::Trace trace("value_and_grad", primals, where);
    trace.run(f_);
    Tensors g = trace.pull();
    return {trace.value(), std::move(g)};
  }

 private:
  F f_;
};

/// The function that computes a scalar f and its gradient. Of a Tensors it gives a Tensors. ShapeError when
/// f's value has several elements.
///
///     auto [value, g] = value_and_grad(rosenbrock)(x);
template <class F>
ValueAndGrad<std::decay_t<F>> value_and_grad(F&& f) {
  return ValueAndGrad<std::decay_t<F>>(std::forward<F>(f));
}

/// What grad() returns: x to the gradient of f there.
template <class F>
class Grad {
 public:
  explicit Grad(F f) : f_(std::move(f)) {}

  Tensor operator()(const Tensor& x, SourceLocation where = SourceLocation::current()) const {
    return (*this)(Tensors{x}, where)[0];
  }
  Tensors operator()(const Tensors& primals, SourceLocation where = SourceLocation::current()) const {
    detail::Trace trace("grad", primals, where);
    trace.run(f_);
    return trace.pull();
  }

 private:
  F f_;
};

/// The gradient of a scalar f as a function; the same of that gives the next order. Of a Tensors it gives a
/// Tensors. ShapeError when f's value has several elements.
///
///     Tensor third = grad(grad(grad(f)))(x);   // for an f of one element
template <class F>
Grad<std::decay_t<F>> grad(F&& f) {
  return Grad<std::decay_t<F>>(std::forward<F>(f));
}

/// The product of the Hessian of a scalar f at x with v, of x's shape: the gradient of the gradient with v as
/// its cotangent, which is H v because H is symmetric. Costs a small multiple of f, whatever x's size.
/// Source: B. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6(1), 1994.
///
///     Tensor hv = hvp(f, x, v);
template <class F>
Tensor hvp(F&& f, const Tensor& x, const Tensor& v, SourceLocation where = SourceLocation::current()) {
  detail::Trace trace("hvp", {x}, where);
  const auto gradient = [&](const Tensor& at) {
    detail::Trace inner("hvp", {at}, where);
    inner.run(f);
    return inner.pull()[0];
  };
  trace.run(gradient);
  return trace.pull(v)[0];
}

/// Which way a Jacobian is computed: row by row, column by column, or (automatic) whichever are fewer.
enum class JacobianMode { automatic, reverse, forward };

namespace detail {
/// All of J: shape of y, then shape of x.
Tensor jacobian(const Trace& trace, JacobianMode mode);
}  // namespace detail

/// The function that computes all derivatives of f, d f[i...] / d x[j...] at [i..., j...]. The result has the
/// dimensions of f's value and of x together: ShapeError above 8. f is computed once; then one reverse walk
/// an element of f's value, or one forward walk an element of x.
///
///     Tensor j = jacobian(f)(x);
template <class F>
auto jacobian(F&& f, JacobianMode mode = JacobianMode::automatic) {
  return [f = std::forward<F>(f), mode](const Tensor& x, SourceLocation where = SourceLocation::current()) {
    detail::Trace trace("jacobian", {x}, where);
    trace.run(f);
    return detail::jacobian(trace, mode);
  };
}

/// The function that computes the second derivatives of a scalar f, of x's shape twice. One reverse walk an
/// element of x; for a product with one vector, hvp() needs one alone.
///
///     Tensor h = hessian(f)(x);
template <class F>
auto hessian(F&& f) {
  return jacobian(grad(std::forward<F>(f)), JacobianMode::reverse);
}

}  // namespace wengert
