#include <cstring>

#include "autodiff/kernels/index.hpp"
#include "autodiff/ops/indexing.hpp"
#include "autodiff/ops/indexing_rules.hpp"

namespace wengert {
namespace {

const OperatorDefinition *take_along_axis_, *take_along_axis_transposed_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

// Labels: the last axis is missing from the positions, and from the result.
[[maybe_unused]] bool are_labels(const Shape& x, const Shape& indices, int axis) {
  return indices.size() == x.size() - 1 && axis == x.size() - 1;
}

[[maybe_unused]] bool taken_along_shape(const Shape& x, const Shape& indices, int axis, Shape& shape) {
  if (indices.size() != x.size() && !are_labels(x, indices, axis)) return false;
  shape = indices;
  for (int d = 0; d < indices.size(); ++d) {
    if (d == axis || indices[d] == x[d]) continue;
    if (indices[d] == 1)
      shape[d] = x[d];
    else if (x[d] != 1)
      return false;
  }
  return true;
}

kernels::Along along(const detail::TensorImpl& x, const detail::TensorImpl& indices,
                     const detail::TensorImpl& values, int axis) {
  kernels::Along a{values.shape, values.strides, {}, {}, x.shape[axis], x.strides[axis]};
  for (int d = 0; d < values.shape.size(); ++d) {
    const bool moves = d != axis && x.shape[d] == values.shape[d];
    a.array.push_back(moves ? x.strides[d] : 0);
    a.index.push_back(indices.shape[d] == values.shape[d] ? indices.strides[d] : 0);
  }
  return a;
}

void take_along_axis_kernel(const Call& call, detail::TensorImpl& out) {
  const detail::TensorImpl& x = call[0];
  const int axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
  if (out.size == 0) return;
  detail::check_positions(call, 1, {call.op.name, -x.shape[axis], x.shape[axis], axis});
  const kernels::Along a = along(x, call[1], out, axis);
  const std::int64_t* positions = call[1].as<std::int64_t>();
  switch (item_size(out.dtype)) {
    case 1:
      return kernels::take_along_axis(out.as<std::uint8_t>(), x.as<std::uint8_t>(), positions, a);
    case 4:
      return kernels::take_along_axis(out.as<std::uint32_t>(), x.as<std::uint32_t>(), positions, a);
    default:
      return kernels::take_along_axis(out.as<std::uint64_t>(), x.as<std::uint64_t>(), positions, a);
  }
}

template <class T>
void add_taken_along(const Call& call, detail::TensorImpl& out, int axis) {
  kernels::take_along_axis_add(out.as<T>(), call[0].as<T>(), call[1].as<std::int64_t>(),
                               along(out, call[1], call[0], axis));
}

void take_along_axis_transposed_kernel(const Call& call, detail::TensorImpl& out) {
  const int axis = static_cast<int>(call.attrs<TransposedAttributes>().axis);
  std::memset(out.data, 0, static_cast<std::size_t>(out.size) * item_size(out.dtype));
  if (call[0].size == 0) return;
  detail::check_positions(call, 1, {call.op.name, -out.shape[axis], out.shape[axis], axis});
  switch (out.dtype) {
    case DType::float32:
      return add_taken_along<float>(call, out, axis);
    case DType::float64:
      return add_taken_along<double>(call, out, axis);
    default:
      return add_taken_along<std::int64_t>(call, out, axis);
  }
}

// One position a row, along the last axis.

template <class T>
void take_along_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  const std::int64_t* const index = reinterpret_cast<const std::int64_t*>(slots[op.in[1]]);
  const T* x = reinterpret_cast<const T*>(slots[op.in[0]]);
  T* const out = reinterpret_cast<T*>(slots[op.out]);
  detail::check_row_positions(
      slots, op, 1, rows,
      {"take_along_axis", -cols, cols, static_cast<const AxisAttributes*>(op.attributes)->axis});
  for (std::int64_t r = 0; r < rows; ++r, x += cols)
    out[r] = x[kernels::indexing::from_start(index[r], cols)];
}

// Adds to zeros, as the kernel of all shapes does: -0 becomes 0.
template <class T>
void add_along_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  const std::int64_t* const index = reinterpret_cast<const std::int64_t*>(slots[op.in[1]]);
  const T* const g = reinterpret_cast<const T*>(slots[op.in[0]]);
  T* out = reinterpret_cast<T*>(slots[op.out]);
  detail::check_row_positions(slots, op, 1, rows,
                              {"take_along_axis_transposed", -cols, cols,
                               static_cast<const TransposedAttributes*>(op.attributes)->axis});
  std::memset(out, 0, static_cast<std::size_t>(rows * cols) * sizeof(T));
  for (std::int64_t r = 0; r < rows; ++r, out += cols)
    out[kernels::indexing::from_start(index[r], cols)] = T(0) + g[r];
}

}  // namespace

void along_axis() {
  take_along_axis_ = define({
      .name = "take_along_axis",
      .doc = "out[i, j] = x[i, indices[i, j]] along an axis",
      .contract = "contributions of repeated positions add up, in row-major order of the positions",
      .inputs = 2,
      .attributes = attributes_of<AxisAttributes>,
      .infer =
          [](const Call& call) {
            need_positions(call);
            const int axis = checked_axis(call, call.attrs<AxisAttributes>().axis, call.shape(0));
            Meta meta{call.dtype(0), {}};
            if (!taken_along_shape(call.shape(0), call.shape(1), axis, meta.shape))
              detail::fail_shapes(call, "the positions don't fit x along axis " + std::to_string(axis));
            return meta;
          },
      .kernel = take_along_axis_kernel,
      .row = {.kernel = {take_along_rows<std::uint8_t>, take_along_rows<std::uint64_t>,
                         take_along_rows<std::uint32_t>, take_along_rows<std::uint64_t>},
              .fits =
                  [](const Call& call) {
                    return one_a_row(call.shape(0), call.shape(1), call.attrs<AxisAttributes>().axis);
                  },
              .column_inputs = 2,
              .column_result = true},
      .checks_values = true,
      .reads = reads_inputs(1),
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
            return Tensors{take_along_axis_transposed(g, call.input(1), call.shape(0), axis, call.where),
                           Tensor()};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
            return take_along_axis(t[0], call.input(1), axis, call.where);
          },
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 4}), positions_sample({3, 1}, {3, 0, -1})}, AxisAttributes{1})
                .with({samples::values({3, 4}), positions_sample({3}, {3, 0, -4})}, AxisAttributes{1})
                .with({samples::values({3, 2}), positions_sample({4, 1}, {2, 2, 0, 1})}, AxisAttributes{0})
                .with({samples::values({2, 3, 1}), positions_sample({1, 2, 2}, {0, 1, 2, 2})},
                      AxisAttributes{1})
                .with({samples::values({4}), positions_sample({}, {2})}, AxisAttributes{0})
                .with({samples::values({0, 4}), positions_sample({0, 1}, {})}, AxisAttributes{1});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3}), positions_sample({2, 1}, {0, 3})}, AxisAttributes{1})
                .fails_with("position 3 at indices[1, 0] is outside axis 1 of length 3")
                .with({samples::values({2, 3}), positions_sample({3, 1}, {0, 1, 2})}, AxisAttributes{1})
                .fails_with("the positions don't fit x along axis 1")
                .with({samples::values({2, 3}), positions_sample({3}, {0, 1, 1})}, AxisAttributes{0})
                .fails_with("the positions don't fit x along axis 0")
                .with({samples::values({2, 3}), samples::values({2, 1})}, AxisAttributes{1})
                .fails_with("the positions must be int64");
          },
  });
  take_along_axis_transposed_ = define({
      .name = "take_along_axis_transposed",
      .doc = "out[i, indices[i, j]] += g[i, j] along an axis, from zeros",
      .contract = "entries of repeated positions add up, in row-major order of the positions",
      .inputs = 2,
      .attributes = attributes_of<TransposedAttributes>,
      .infer =
          [](const Call& call) {
            need_positions(call);
            need_numbers(call);
            const auto& to = call.attrs<TransposedAttributes>();
            const int axis = checked_axis(call, to.axis, to.shape);
            Shape taken;
            if (!taken_along_shape(to.shape, call.shape(1), axis, taken) || taken != call.shape(0))
              detail::fail_shapes(call,
                                  "not what take_along_axis gives from the shape " + to_string(to.shape));
            return Meta{call.dtype(0), to.shape};
          },
      .kernel = take_along_axis_transposed_kernel,
      .row = {.kernel = {nullptr, add_along_rows<std::int64_t>, add_along_rows<float>,
                         add_along_rows<double>},
              .fits =
                  [](const Call& call) {
                    const auto& to = call.attrs<TransposedAttributes>();
                    return one_a_row(to.shape, call.shape(1), to.axis);
                  },
              .column_inputs = 3},
      .checks_values = true,
      .reads = reads_inputs(1),
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto axis = static_cast<int>(call.attrs<TransposedAttributes>().axis);
            return Tensors{take_along_axis(g, call.input(1), axis, call.where), Tensor()};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto& to = call.attrs<TransposedAttributes>();
            return take_along_axis_transposed(t[0], call.input(1), to.shape, static_cast<int>(to.axis),
                                              call.where);
          },
      .at_nonzero = at_places,
      .flops = flops_per_input<1>,
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 1}), positions_sample({3, 1}, {3, 0, -1})},
                      TransposedAttributes{1, {3, 4}})
                .with({samples::values({3}), positions_sample({3}, {3, 0, -4})},
                      TransposedAttributes{1, {3, 4}})
                .with({samples::values({4, 2}), positions_sample({4, 1}, {2, 2, 0, 1})},
                      TransposedAttributes{0, {3, 2}})
                .with({samples::values({2, 2, 2}), positions_sample({1, 2, 2}, {0, 1, 2, 2})},
                      TransposedAttributes{1, {2, 3, 1}})
                .with({samples::values({}), positions_sample({}, {2})}, TransposedAttributes{0, {4}})
                .with({samples::values({0, 1}), positions_sample({0, 1}, {})},
                      TransposedAttributes{1, {0, 4}});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 1}), positions_sample({2, 1}, {0, 3})},
                      TransposedAttributes{1, {2, 3}})
                .fails_with("position 3 at indices[1, 0] is outside axis 1 of length 3")
                .with({samples::values({2, 2}), positions_sample({2, 1}, {0, 1})},
                      TransposedAttributes{1, {2, 3}})
                .fails_with("not what take_along_axis gives from the shape [2, 3]")
                .with({tensor({true}), positions_sample({1}, {1})}, TransposedAttributes{0, {4}})
                .fails_with("adds entries, which bool does not");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

using ops::AxisAttributes;
using ops::TransposedAttributes;

Tensor take_along_axis(const Tensor& x, const Tensor& indices, int axis, SourceLocation where) {
  const AxisAttributes attributes{detail::resolve_axis("take_along_axis", axis, x.dtype(), x.shape(), where)};
  return apply_op(*take_along_axis_, {x, indices}, &attributes, where);
}

Tensor take_along_axis_transposed(const Tensor& x, const Tensor& indices, const Shape& shape, int axis,
                                  SourceLocation where) {
  const TransposedAttributes attributes{
      detail::resolve_axis("take_along_axis_transposed", axis, x.dtype(), shape, where), shape};
  return apply_op(*take_along_axis_transposed_, {x, indices}, &attributes, where);
}

#endif

}  // namespace wengert
