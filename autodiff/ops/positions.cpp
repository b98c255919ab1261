#include "autodiff/ops/positions.hpp"

#include "autodiff/kernels/index.hpp"
#include "autodiff/ops/scratch.hpp"

#ifndef WENGERT_VARIANT

namespace wengert::detail {
namespace {

std::string outside(std::int64_t length, std::int64_t axis) {
  return axis < 0 ? " is outside the " + std::to_string(length) + " classes"
                  : " is outside axis " + std::to_string(axis) + " of length " + std::to_string(length);
}

}  // namespace

void check_row_positions(const char* op, const std::int64_t* positions, std::int64_t count,
                         std::int64_t lowest, std::int64_t length, std::int64_t axis) {
  const std::int64_t at = kernels::out_of_range(positions, count, lowest, length);
  if (at >= 0) throw IndexError(op, "position " + std::to_string(positions[at]) + outside(length, axis));
}

void check_positions(const Call& call, std::uint32_t input, std::int64_t lowest, std::int64_t length,
                     int axis) {
  const TensorImpl& x = call[input];
  const ops::Contiguous<std::int64_t> positions(x);
  const std::int64_t at = kernels::out_of_range(positions.data(), x.size, lowest, length);
  if (at < 0) return;
  std::string problem = "position " + std::to_string(positions.data()[at]);
  Shape index = x.shape;
  std::int64_t rest = at;
  for (int d = index.size(); d-- > 0; rest /= x.shape[d]) index[d] = rest % x.shape[d];
  if (!index.empty()) problem += " at indices" + to_string(index);
  throw IndexError(call.op.name, problem + outside(length, axis), call.where);
}

}  // namespace wengert::detail

#endif
