#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Matrix product by NumPy's rules. [m, k] times [k, n] is [m, n]; leading axes are batches and broadcast:
/// [b, 1, m, k] times [c, k, n] is [b, c, m, n]. A vector is a row on the left and a column on the right,
/// and that axis disappears: [k] times [k] is a number, [m, k] times [k] is [m].
///
/// Element types promote as in add: float32 with float64 gives float64, int64 with int64 int64. Transposed
/// views are multiplied where they lie, other strided views are copied first. Along an empty inner axis: 0.
/// Throws ShapeError for a number, for inner dimensions that differ and for batches that don't broadcast,
/// DTypeError for two bool operands.
/// Derivative: g b^T and a^T g, summed over the batches that were repeated.
/// Source: M. Giles, Collected matrix derivative results for forward and reverse mode AD, 2008.
///
///     Tensor y = matmul(x, w) + b;    // [64, 784] times [784, 128], and a bias of [128]
Tensor matmul(const Operand& a, const Operand& b);

struct MatmulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
};
/// The product of matrices that are taken with their last two axes exchanged: matmul(a, swapaxes(b, -1, -2))
/// without the view, and with cotangents that lie as the operands do. A vector is taken as it is.
/// Example: matmul(x, w, {.transpose_b = true}) is x w^T.
Tensor matmul(const Operand& a, const Operand& b, const MatmulOptions& options);

}  // namespace wengert
