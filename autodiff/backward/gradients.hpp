#pragma once

#include <array>
#include <utility>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// What to do about a tensor that y does not depend on.
enum class Unused { zeros, error };

struct GradientOptions {
  /// The cotangent of y, of y's shape and dtype; empty: 1, and y must have a single element.
  Tensor cotangent = {};
  /// Record the gradients themselves, so that they can be differentiated again.
  bool create_graph = false;
  Unused unused = Unused::zeros;
};

/// Reverse mode: the gradients of y with respect to each tensor of `wrt`, wrt[i] of shape and dtype of its
/// tensor. For a y of many elements, the gradients of sum(cotangent * y): J^T cotangent.
///
/// `wrt` may be variables or anything computed from them. The graph is not consumed; it may be asked again,
/// also from several threads at once. A tensor that y does not depend on gets zeros, or GraphError with
/// .unused = Unused::error.
/// Errors: ShapeError when y has several elements and there is no cotangent, or the cotangent does not fit;
/// GraphError when an operator on the way has no derivative rule, or a tensor is empty.
/// Source: R. E. Wengert, A simple automatic derivative evaluation program, CACM 7(8), 1964; in reverse,
/// S. Linnainmaa, BIT 16, 1976.
///
///     Tensor w = variable(ones({3}));
///     Tensor g = gradients(sum(square(w)), {w})[0];   // 2 w
Tensors gradients(const Tensor& y, const Tensors& wrt, const GradientOptions& options = {},
                  SourceLocation where = SourceLocation::current());

namespace detail {
[[noreturn]] void fail_gradient_count(std::size_t asked, std::size_t tensors, const SourceLocation& where);
}  // namespace detail

/// The same as an array: auto [dw, db] = gradients<2>(loss, {w, b});
/// Throws ValueError when `wrt` does not have N tensors.
template <std::size_t N>
std::array<Tensor, N> gradients(const Tensor& y, const Tensors& wrt, const GradientOptions& options = {},
                                SourceLocation where = SourceLocation::current()) {
  if (wrt.size() != N) detail::fail_gradient_count(N, wrt.size(), where);
  Tensors all = gradients(y, wrt, options, where);
  std::array<Tensor, N> result;
  for (std::size_t i = 0; i < N; ++i) result[i] = std::move(all[i]);
  return result;
}

namespace detail {
/// gradients() that treats the tensors of `wrt` as the ends of the graph, whatever they were made from. The
/// walk does not go beyond `stops` either: without them it would visit the whole history of what y uses
/// besides.
Tensors gradients_up_to(const Tensor& y, const Tensors& wrt, const GradientOptions& options,
                        const SourceLocation& where, const Tensors& stops = {});
}  // namespace detail

}  // namespace wengert
