#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Matrix product by NumPy's rules: [n] . [n], [m, k] x [k, n], [k] with matrices, and batches of matrices in
/// the leading axes, which broadcast. Transposed views are multiplied without a copy.
Tensor matmul(const Operand& a, const Operand& b);

}  // namespace wengert
