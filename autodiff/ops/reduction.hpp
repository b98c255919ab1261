#pragma once

#include "autodiff/tensor/axes.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Sum over axes (all by default); keepdims leaves them with length 1. bool and int64 give int64.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
           SourceLocation where = SourceLocation::current());
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
            SourceLocation where = SourceLocation::current());
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
           SourceLocation where = SourceLocation::current());
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
           SourceLocation where = SourceLocation::current());
/// Variance with divisor n - ddof.
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdims = false, int ddof = 0,
           SourceLocation where = SourceLocation::current());
Tensor std(const Tensor& x, const Axes& axes = {}, bool keepdims = false, int ddof = 0,
           SourceLocation where = SourceLocation::current());
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
                 SourceLocation where = SourceLocation::current());
/// Position of the first largest entry, int64; over all axes: in row-major order.
Tensor argmax(const Tensor& x, SourceLocation where = SourceLocation::current());
Tensor argmax(const Tensor& x, int axis, bool keepdims = false,
              SourceLocation where = SourceLocation::current());
Tensor softmax(const Tensor& x, int axis = -1, SourceLocation where = SourceLocation::current());
Tensor log_softmax(const Tensor& x, int axis = -1, SourceLocation where = SourceLocation::current());

}  // namespace wengert
