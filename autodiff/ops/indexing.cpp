#include "autodiff/ops/indexing.hpp"

#include <cstring>

#include "autodiff/kernels/copy.hpp"
#include "autodiff/kernels/index.hpp"
#include "autodiff/ops/indexing_rules.hpp"
#include "autodiff/ops/scratch.hpp"

namespace wengert {
namespace {

const OperatorDefinition *take_, *take_transposed_, *one_hot_;

struct OneHotAttributes {
  std::int64_t classes;
  DType dtype;
  template <class V>
  void visit(V&& v) const {
    v("classes", classes), v("dtype", dtype);
  }
};

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

[[maybe_unused]] Shape taken_shape(const Shape& x, const Shape& indices, int axis) {
  Shape shape;
  for (int d = 0; d < axis; ++d) shape.push_back(x[d]);
  for (const std::int64_t n : indices) shape.push_back(n);
  for (int d = axis + 1; d < x.size(); ++d) shape.push_back(x[d]);
  return shape;
}

std::int64_t product(const Shape& shape, int from, int to) {
  std::int64_t n = 1;
  for (int d = from; d < to; ++d) n *= shape[d];
  return n;
}

template <class T>
void take_rows(const detail::TensorImpl& x, detail::TensorImpl& out, int axis, std::int64_t inner,
               const std::int64_t* positions, std::int64_t count) {
  kernels::take(out.as<T>(), x.as<T>(), product(x.shape, 0, axis), x.shape[axis], inner, positions, count);
}

void take_kernel(const Call& call, detail::TensorImpl& out) {
  const detail::TensorImpl& x = call[0];
  const int axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
  const std::int64_t length = x.shape[axis], count = call[1].size;
  detail::check_positions(call, 1, {call.op.name, -length, length, axis});
  const Contiguous<std::int64_t> index(call[1]);
  const std::int64_t* positions = index.data();
  const int item = static_cast<int>(item_size(x.dtype));
  const std::int64_t inner = product(x.shape, axis + 1, x.shape.size());
  if (x.contiguous) {
    switch (item) {
      case 1:
        return take_rows<std::uint8_t>(x, out, axis, inner, positions, count);
      case 4:
        return take_rows<std::uint32_t>(x, out, axis, inner, positions, count);
      default:
        return take_rows<std::uint64_t>(x, out, axis, inner, positions, count);
    }
  }
  // A strided table is read where it lies: a copy of it might be far larger than what is taken.
  Shape shape = x.shape;
  shape[axis] = count;
  const Strides to = contiguous_strides(shape);
  shape[axis] = 1;
  for (std::int64_t j = 0; j < count; ++j) {
    const std::int64_t position = kernels::indexing::from_start(positions[j], length);
    kernels::copy(out.data + j * inner * item, to, x.data + position * x.strides[axis] * item, x.strides,
                  shape, item);
  }
}

template <class T>
void add_taken(const Call& call, detail::TensorImpl& out) {
  const int axis = static_cast<int>(call.attrs<TransposedAttributes>().axis);
  std::memset(out.data, 0, static_cast<std::size_t>(out.size) * sizeof(T));
  const Contiguous<T> g(call[0]);
  const Contiguous<std::int64_t> positions(call[1]);
  kernels::take_add(out.as<T>(), g.data(), product(out.shape, 0, axis), out.shape[axis],
                    product(out.shape, axis + 1, out.shape.size()), positions.data(), call[1].size);
}

void take_transposed_kernel(const Call& call, detail::TensorImpl& out) {
  const int axis = static_cast<int>(call.attrs<TransposedAttributes>().axis);
  detail::check_positions(call, 1, {call.op.name, -out.shape[axis], out.shape[axis], axis});
  switch (out.dtype) {
    case DType::float32:
      return add_taken<float>(call, out);
    case DType::float64:
      return add_taken<double>(call, out);
    default:
      return add_taken<std::int64_t>(call, out);
  }
}

void one_hot_kernel(const Call& call, detail::TensorImpl& out) {
  const std::int64_t classes = call.attrs<OneHotAttributes>().classes;
  detail::check_positions(call, 0, {call.op.name, 0, classes});
  const Contiguous<std::int64_t> index(call[0]);
  const std::int64_t* positions = index.data();
  switch (out.dtype) {
    case DType::bool_:
      return kernels::one_hot(out.as<bool>(), positions, call[0].size, classes);
    case DType::int64:
      return kernels::one_hot(out.as<std::int64_t>(), positions, call[0].size, classes);
    case DType::float32:
      return kernels::one_hot(out.as<float>(), positions, call[0].size, classes);
    case DType::float64:
      return kernels::one_hot(out.as<double>(), positions, call[0].size, classes);
  }
}

void one_hot_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  const std::int64_t* const index = reinterpret_cast<const std::int64_t*>(slots[op.in[0]]);
  std::byte* const out = slots[op.out];
  detail::check_row_positions(slots, op, 0, rows, {"one_hot", 0, cols});
  switch (static_cast<const OneHotAttributes*>(op.attributes)->dtype) {
    case DType::bool_:
      return kernels::one_hot(reinterpret_cast<bool*>(out), index, rows, cols);
    case DType::int64:
      return kernels::one_hot(reinterpret_cast<std::int64_t*>(out), index, rows, cols);
    case DType::float32:
      return kernels::one_hot(reinterpret_cast<float*>(out), index, rows, cols);
    case DType::float64:
      return kernels::one_hot(reinterpret_cast<double*>(out), index, rows, cols);
  }
}

void takes() {
  take_ = define({
      .name = "take",
      .doc = "out[o, j, i] = x[o, indices[j], i] along an axis",
      .contract = "contributions of repeated positions add up, in row-major order of the positions",
      .inputs = 2,
      .attributes = attributes_of<AxisAttributes>,
      .infer =
          [](const Call& call) {
            need_positions(call);
            const int axis = checked_axis(call, call.attrs<AxisAttributes>().axis, call.shape(0));
            return Meta{call.dtype(0), taken_shape(call.shape(0), call.shape(1), axis)};
          },
      .kernel = take_kernel,
      .checks_values = true,
      .reads = reads_inputs(1),
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
            return Tensors{take_transposed(g, call.input(1), call.shape(0), axis, call.where), Tensor()};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto axis = static_cast<int>(call.attrs<AxisAttributes>().axis);
            return take(t[0], call.input(1), axis, call.where);
          },
      .samples =
          [] {
            return Samples()
                .with({samples::values({4, 3}), positions_sample({3}, {2, 0, 2})}, AxisAttributes{0})
                .with({samples::values({2, 3, 4}), positions_sample({2, 2}, {1, -1, 0, 1})},
                      AxisAttributes{1})
                .with({samples::values({2, 5}), positions_sample({4}, {4, -5, 4, 4})}, AxisAttributes{1})
                .with({samples::values({4}), positions_sample({}, {3})}, AxisAttributes{0})
                .with({samples::values({3, 2}), positions_sample({0}, {})}, AxisAttributes{0});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({4, 3}), positions_sample({2}, {1, 4})}, AxisAttributes{0})
                .fails_with("position 4 at indices[1] is outside axis 0 of length 4")
                .with({samples::values({4, 3}), positions_sample({}, {-4})}, AxisAttributes{1})
                .fails_with("position -4 is outside axis 1 of length 3")
                .with({samples::values({4, 3}), samples::values({2})}, AxisAttributes{0})
                .fails_with("the positions must be int64");
          },
  });
  take_transposed_ = define({
      .name = "take_transposed",
      .doc = "out[o, indices[j], i] += g[o, j, i], from zeros",
      .contract = "entries of repeated positions add up, in row-major order of the positions",
      .inputs = 2,
      .attributes = attributes_of<TransposedAttributes>,
      .infer =
          [](const Call& call) {
            need_positions(call);
            need_numbers(call);
            const auto& to = call.attrs<TransposedAttributes>();
            const int axis = checked_axis(call, to.axis, to.shape);
            if (taken_shape(to.shape, call.shape(1), axis) != call.shape(0))
              detail::fail_shapes(call, "not what take gives from the shape " + to_string(to.shape));
            return Meta{call.dtype(0), to.shape};
          },
      .kernel = take_transposed_kernel,
      .checks_values = true,
      .reads = reads_inputs(1),
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto axis = static_cast<int>(call.attrs<TransposedAttributes>().axis);
            return Tensors{take(g, call.input(1), axis, call.where), Tensor()};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto& to = call.attrs<TransposedAttributes>();
            return take_transposed(t[0], call.input(1), to.shape, static_cast<int>(to.axis), call.where);
          },
      .flops = flops_per_input<1>,
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 3}), positions_sample({3}, {2, 0, 2})},
                      TransposedAttributes{0, {4, 3}})
                .with({samples::values({2, 2, 2, 4}), positions_sample({2, 2}, {1, -1, 0, 1})},
                      TransposedAttributes{1, {2, 3, 4}})
                .with({samples::values({}), positions_sample({}, {3})}, TransposedAttributes{0, {4}})
                .with({samples::values({0, 2}), positions_sample({0}, {})}, TransposedAttributes{0, {3, 2}});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3}), positions_sample({2}, {1, 4})},
                      TransposedAttributes{0, {4, 3}})
                .fails_with("position 4 at indices[1] is outside axis 0 of length 4")
                .with({samples::values({3, 3}), positions_sample({2}, {1, 2})},
                      TransposedAttributes{0, {4, 3}})
                .fails_with("not what take gives from the shape [4, 3]")
                .with({tensor({true}), positions_sample({1}, {1})}, TransposedAttributes{0, {4}})
                .fails_with("adds entries, which bool does not");
          },
  });
}

}  // namespace

void indexing() {
  takes();
  one_hot_ = define({
      .name = "one_hot",
      .doc = "1 at the given position of a new last axis, 0 elsewhere",
      .contract = "0 by definition: positions are integers",
      .attributes = attributes_of<OneHotAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<OneHotAttributes>();
            if (call.dtype(0) != DType::int64) detail::fail_dtypes(call, "the positions must be int64");
            if (a.classes < 0)
              detail::fail_values(call, "asked for " + std::to_string(a.classes) + " classes");
            Meta meta{a.dtype, call.shape(0)};
            meta.shape.push_back(a.classes);
            return meta;
          },
      .kernel = one_hot_kernel,
      .row = {.kernel = {nullptr, one_hot_rows},
              .fits = [](const Call&) { return true; },
              .column_inputs = 1},
      .checks_values = true,
      .differentiable = false,
      .at_nonzero = at_places,
      .samples =
          [] {
            return Samples()
                .with({positions_sample({3}, {2, 0, 3})}, OneHotAttributes{4, DType::float64})
                .with({positions_sample({2, 2}, {0, 1, 1, 0})}, OneHotAttributes{2, DType::int64})
                .with({positions_sample({}, {1})}, OneHotAttributes{3, DType::float64})
                .with({positions_sample({0}, {})}, OneHotAttributes{3, DType::bool_});
          },
      .errors =
          [] {
            return Samples()
                .with({positions_sample({3}, {2, 0, 3})}, OneHotAttributes{3, DType::float32})
                .fails_with("position 3 at indices[2] is outside the 3 classes")
                .with({positions_sample({1}, {-1})}, OneHotAttributes{3, DType::float32})
                .fails_with("position -1 at indices[0] is outside the 3 classes")
                .with({positions_sample({1}, {0})}, OneHotAttributes{-1, DType::float32})
                .fails_with("asked for -1 classes")
                .with({samples::values({3})}, OneHotAttributes{3, DType::float32})
                .fails_with("the positions must be int64");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

using ops::AxisAttributes;
using ops::TransposedAttributes;

Tensor take(const Tensor& x, const Tensor& indices, int axis, SourceLocation where) {
  const AxisAttributes attributes{detail::resolve_axis("take", axis, x.dtype(), x.shape(), where)};
  return apply_op(*take_, {x, indices}, &attributes, where);
}

Tensor take_transposed(const Tensor& x, const Tensor& indices, const Shape& shape, int axis,
                       SourceLocation where) {
  const TransposedAttributes attributes{
      detail::resolve_axis("take_transposed", axis, x.dtype(), shape, where), shape};
  return apply_op(*take_transposed_, {x, indices}, &attributes, where);
}

Tensor one_hot(const Tensor& indices, std::int64_t classes, DType dtype, SourceLocation where) {
  const OneHotAttributes attributes{classes, dtype};
  return apply_op(*one_hot_, {indices}, &attributes, where);
}

#endif

}  // namespace wengert
