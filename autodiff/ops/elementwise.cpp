// The kernel of all elementwise operators: shapes and strides here, the arithmetic in their row kernels.

#include "autodiff/ops/elementwise.hpp"

#include "autodiff/graph/elementwise.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {
namespace {

using detail::TensorImpl;
using kernels::first_slots;

// A strided input, or one that repeats in other ways than a row does.
[[gnu::noinline]] void run_strided(RowKernel kernel, const Call& call, TensorImpl& out) {
  kernels::Nest nest{
      kernel, out.shape, out.data, static_cast<int>(item_size(out.dtype)), static_cast<int>(call.size()), {}};
  // Written where they are read: to copy a Strides right after it was written element by element is slow.
  std::int64_t strides[RowOp::max_inputs][max_ndim];
  for (std::uint32_t i = 0; i < call.size(); ++i) {
    const TensorImpl& x = call[i];
    const int missing = out.shape.size() - x.shape.size();
    for (int d = 0; d < out.shape.size(); ++d)
      strides[i][d] =
          d < missing || (x.shape[d - missing] == 1 && out.shape[d] != 1) ? 0 : x.strides[d - missing];
    nest.in[i] = {x.data, strides[i], static_cast<int>(item_size(x.dtype))};
  }
  kernels::run_nest(nest);
}

// Whether a view repeats one number: what broadcast_to makes of a 0-d cotangent.
WENGERT_INLINE bool repeats_one(const TensorImpl& x) {
  for (int i = 0; i < x.shape.size(); ++i)
    if (x.strides[i] != 0 && x.shape[i] != 1) return false;
  return true;
}

// Single numbers and repeated rows, the calls of a small network, don't go through the general loop nest.
// `count` as in run().
template <std::uint32_t count>
[[gnu::noinline]] void run_repeated(RowKernel kernel, const Call& call, TensorImpl& out,
                                    std::byte* const* slots) {
  const std::uint32_t n = count > 0 ? count : call.size();
  std::int64_t length = 0;  // of a repeated row
  std::uint32_t moving = 0;
  PitchedRowOp op{first_slots, nullptr};
  for (std::uint32_t i = 0; i < n; ++i) {
    const TensorImpl& x = call[i];
    if (x.size == 1) {
      op.repeated |= 1u << i;
    } else if (!x.contiguous) {
      if (!repeats_one(x)) return run_strided(kernel, call, out);
      op.repeated |= 1u << i;
    } else if (x.size == out.size) {
      moving |= 1u << i;
    } else {
      if (!ends_with(out.shape, x.shape) || (length != 0 && length != x.size))
        return run_strided(kernel, call, out);
      length = x.size;
    }
  }
  if (length == 0) return kernel(slots, op, 1, out.size);
  std::int64_t pitch[1 + (count > 0 ? count : RowOp::max_inputs)];
  pitch[0] = length * static_cast<std::int64_t>(item_size(out.dtype));
  for (std::uint32_t i = 0; i < n; ++i)
    pitch[1 + i] = (moving >> i & 1) != 0 ? length * static_cast<std::int64_t>(item_size(call.dtype(i))) : 0;
  op.pitch = pitch;
  kernel(slots, op, out.size / length, length);
}

// `count` is the number of inputs, or 0 when only the call knows it.
template <std::uint32_t count>
WENGERT_INLINE void run(RowKernel kernel, const Call& call, TensorImpl& out) {
  const std::uint32_t n = count > 0 ? count : call.size();
  std::byte* slots[1 + (count > 0 ? count : RowOp::max_inputs)];
  slots[0] = out.data;
  unsigned plain = 1;  // without branches
  for (std::uint32_t i = 0; i < n; ++i) {
    plain &= static_cast<unsigned>(call[i].contiguous) & static_cast<unsigned>(call[i].size == out.size);
    slots[1 + i] = call[i].data;
    // The kernel reads these pointers one by one, at once: joined into one register to be stored, they would
    // come late.
    asm volatile("" ::: "memory");
  }
  if (out.size == 0) return;
  if (!plain) return run_repeated<count>(kernel, call, out, slots);
  kernel(slots, first_slots, 1, out.size);
}

template <std::uint32_t count>
void kernel(const Call& call, TensorImpl& out) {
  const RowKernel rows = call.op.row.kernel[static_cast<int>(call.dtype(0))];
  if (rows == nullptr) detail::fail_element_type(call);
  run<count>(rows, call, out);
}

}  // namespace

void run_rows(RowKernel kernel, const Call& call, TensorImpl& out) { run<0>(kernel, call, out); }

void elementwise() { detail::set_elementwise_kernels({kernel<0>, kernel<1>, kernel<2>, kernel<3>}); }

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
