#pragma once

#include "autodiff/graph/operator.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {

/// Runs an elementwise row kernel that needs no attributes over a call's inputs, with NumPy broadcasting,
/// into the contiguous result.
void run_rows(RowKernel kernel, const Call& call, detail::TensorImpl& out);

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
