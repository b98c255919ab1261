#include "autodiff/ops/positions.hpp"

#include "autodiff/kernels/index.hpp"
#include "autodiff/ops/scratch.hpp"

#ifndef WENGERT_VARIANT

namespace wengert::detail {
namespace {

std::string problem(std::int64_t position, const std::string& place, const PositionRule& rule) {
  const std::string length = std::to_string(rule.length);
  return "position " + std::to_string(position) + place + " is outside " +
         (rule.axis < 0 ? "the " + length + " classes"
                        : "axis " + std::to_string(rule.axis) + " of length " + length);
}

}  // namespace

void check_positions(const Call& call, std::uint32_t input, const PositionRule& rule) {
  const TensorImpl& x = call[input];
  const ops::Contiguous<std::int64_t> positions(x);
  const std::int64_t at = kernels::out_of_range(positions.data(), x.size, rule.lowest, rule.length);
  if (at < 0) return;
  Shape index = x.shape;
  std::int64_t rest = at;
  for (int d = index.size(); d-- > 0; rest /= x.shape[d]) index[d] = rest % x.shape[d];
  if (rule.column) index.resize(index.size() - 1);
  throw IndexError(rule.operation,
                   problem(positions.data()[at], index.empty() ? "" : " at indices" + to_string(index), rule),
                   call.where);
}

IndexError RowIndexError::at(const SourceLocation& where) const {
  const std::string_view text = what();  // "operation: problem"
  return {operation(), text.substr(operation().size() + 2), where};
}

void check_row_positions(std::byte* const* slots, const RowOp& op, std::uint32_t input, std::int64_t rows,
                         const PositionRule& rule) {
  const auto* const positions = reinterpret_cast<const std::int64_t*>(slots[op.in[input]]);
  const std::int64_t at = kernels::out_of_range(positions, rows, rule.lowest, rule.length);
  if (at >= 0) throw RowIndexError(problem(positions[at], "", rule), op, input, rule);
}

}  // namespace wengert::detail

#endif
