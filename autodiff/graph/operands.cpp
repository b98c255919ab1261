#include "autodiff/graph/operands.hpp"

#include "autodiff/kernels/copy.hpp"
#include "autodiff/kernels/index.hpp"

namespace wengert::detail {

Packed::Packed(const TensorImpl& x) : data_(x.data) {
  if (x.contiguous) return;
  const std::size_t item = item_size(x.dtype);
  copy_ = allocate_storage(static_cast<std::size_t>(x.size) * item);
  kernels::copy(copy_->bytes(), contiguous_strides(x.shape), x.data, x.strides, x.shape,
                static_cast<int>(item));
  data_ = copy_->bytes();
}

Packed::~Packed() {
  if (copy_ != nullptr) release_storage(copy_);
}

void check_positions(const Call& call, std::uint32_t input, std::int64_t lowest, std::int64_t length,
                     int axis) {
  const TensorImpl& x = call[input];
  const Packed packed(x);
  const std::int64_t at = kernels::out_of_range(packed.as<std::int64_t>(), x.size, lowest, length);
  if (at < 0) return;
  std::string problem = "position " + std::to_string(packed.as<std::int64_t>()[at]);
  Shape index = x.shape;
  std::int64_t rest = at;
  for (int d = index.size(); d-- > 0; rest /= x.shape[d]) index[d] = rest % x.shape[d];
  if (!index.empty()) problem += " at indices" + to_string(index);
  problem += axis < 0 ? " is outside the " + std::to_string(length) + " classes"
                      : " is outside axis " + std::to_string(axis) + " of length " + std::to_string(length);
  throw IndexError(call.op.name, problem, call.where);
}

}  // namespace wengert::detail
