#include <climits>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/kernels/copy.hpp"
#include "autodiff/ops/indexing.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert {
namespace {

const OperatorDefinition *concatenate_, *stack_;

struct JoinAttributes {
  std::int64_t axis;
  template <class V>
  void visit(V&& v) const {
    v("axis", axis);
  }
};

// Errors name the piece: with many, the list of all their shapes would not help.
[[maybe_unused, noreturn, gnu::cold]] void fail_piece(const Call& call, std::uint32_t i,
                                                      const char* problem) {
  const std::string text = "piece " + std::to_string(i) + " is " + describe(call.dtype(i), call.shape(i)) +
                           ", piece 0 is " + describe(call.dtype(0), call.shape(0)) + ": " + problem;
  if (call.dtype(i) != call.dtype(0)) throw DTypeError(call.op.name, text, call.where);
  throw ShapeError(call.op.name, text, call.where);
}

[[maybe_unused]] Meta concatenated(const Call& call) {
  const std::int64_t given = call.attrs<JoinAttributes>().axis;
  Meta meta{call.dtype(0), call.shape(0)};
  if (given < 0 || given >= meta.shape.size())
    throw ShapeError(
        call.op.name,
        "axis " + std::to_string(given) + " is not an axis of piece 0, " + describe(meta.dtype, meta.shape),
        call.where);
  const int axis = static_cast<int>(given);
  for (std::uint32_t i = 1; i < call.size(); ++i) {
    const Shape& piece = call.shape(i);
    if (call.dtype(i) != meta.dtype) fail_piece(call, i, "their element types differ");
    bool fits = piece.size() == meta.shape.size();
    for (int d = 0; fits && d < piece.size(); ++d) fits = d == axis || piece[d] == meta.shape[d];
    if (!fits) fail_piece(call, i, "their shapes must agree but for the axis");
    meta.shape[axis] += piece[axis];
  }
  return meta;
}

[[maybe_unused]] Meta stacked(const Call& call) {
  const std::int64_t axis = call.attrs<JoinAttributes>().axis;
  const Shape& piece = call.shape(0);
  if (axis < 0 || axis > piece.size())
    throw ShapeError(
        call.op.name,
        "no axis of the result is " + std::to_string(axis) + ": piece 0 is " + describe(call.dtype(0), piece),
        call.where);
  for (std::uint32_t i = 1; i < call.size(); ++i) {
    if (call.dtype(i) != call.dtype(0)) fail_piece(call, i, "their element types differ");
    if (call.shape(i) != piece) fail_piece(call, i, "their shapes must be equal");
  }
  Meta meta{call.dtype(0), {}};
  for (int d = 0; d <= piece.size(); ++d) {
    if (d == axis) meta.shape.push_back(call.size());
    if (d < piece.size()) meta.shape.push_back(piece[d]);
  }
  return meta;
}

// Tangents of all pieces, zeros for those without.
[[maybe_unused]] Tensors all_tangents(const Call& call, const Tensors& tangents) {
  Tensors all;
  all.reserve(tangents.size());
  for (std::uint32_t i = 0; i < call.size(); ++i)
    all.push_back(tangents[i].defined() ? tangents[i] : zeros(call.shape(i), call.dtype(i)));
  return all;
}

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

void concatenate_kernel(const Call& call, detail::TensorImpl& out) {
  const int axis = static_cast<int>(call.attrs<JoinAttributes>().axis);
  const int item = static_cast<int>(item_size(out.dtype));
  std::byte* to = out.data;
  for (std::uint32_t i = 0; i < call.size(); ++i) {
    const detail::TensorImpl& piece = call[i];
    kernels::copy(to, out.strides, piece.data, piece.strides, piece.shape, item);
    to += piece.shape[axis] * out.strides[axis] * item;
  }
}

void stack_kernel(const Call& call, detail::TensorImpl& out) {
  const int axis = static_cast<int>(call.attrs<JoinAttributes>().axis);
  const int item = static_cast<int>(item_size(out.dtype));
  Strides strides;
  for (int d = 0; d < out.shape.size(); ++d)
    if (d != axis) strides.push_back(out.strides[d]);
  for (std::uint32_t i = 0; i < call.size(); ++i)
    kernels::copy(out.data + i * out.strides[axis] * item, strides, call[i].data, call[i].strides,
                  call[i].shape, item);
}

}  // namespace

void joining() {
  concatenate_ = define({
      .name = "concatenate",
      .doc = "the pieces one after the other along an axis",
      .inputs = 1,
      .max_inputs = INT_MAX,
      .attributes = attributes_of<JoinAttributes>,
      .infer = concatenated,
      .kernel = concatenate_kernel,
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto axis = static_cast<int>(call.attrs<JoinAttributes>().axis);
            Tensors parts(call.size());
            std::int64_t start = 0;
            for (std::uint32_t i = 0; i < call.size(); ++i) {
              const std::int64_t stop = start + call.shape(i)[axis];
              if (call.wants(i)) parts[i] = slice(g, axis, Slice(start, stop), call.where);
              start = stop;
            }
            return parts;
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto axis = static_cast<int>(call.attrs<JoinAttributes>().axis);
            return concatenate(all_tangents(call, t), axis, call.where);
          },
      .samples =
          [] {
            using samples::values;
            return Samples()
                .with({values({2, 3}), values({1, 3}, 1), values({4, 3}, 2)}, JoinAttributes{0})
                .with({values({2, 3}), values({2, 2}, 1)}, JoinAttributes{1})
                .with({values({2, 0}), values({2, 2}, 1), values({2, 1}, 2)}, JoinAttributes{1})
                .with({values({3})}, JoinAttributes{0})
                .with({values({0, 3}), values({0, 3}, 1)}, JoinAttributes{0});
          },
      .errors =
          [] {
            using samples::values;
            return Samples()
                .with({values({2, 3}), values({2, 3}), values({2, 4})}, JoinAttributes{0})
                .fails_with("piece 2 is float64[2, 4], piece 0 is float64[2, 3]: their shapes must agree")
                .with({values({2, 3}), values({2})}, JoinAttributes{0})
                .fails_with("piece 1 is float64[2], piece 0 is float64[2, 3]")
                .with({values({2}), arange(2)}, JoinAttributes{0})
                .fails_with("piece 1 is int64[2], piece 0 is float64[2]: their element types differ")
                .with({values({}), values({})}, JoinAttributes{0})
                .fails_with("axis 0 is not an axis of piece 0, float64[]");
          },
  });
  stack_ = define({
      .name = "stack",
      .doc = "the pieces along a new axis",
      .inputs = 1,
      .max_inputs = INT_MAX,
      .attributes = attributes_of<JoinAttributes>,
      .infer = stacked,
      .kernel = stack_kernel,
      .vjp =
          [](const Call& call, const Tensor& g) {
            const auto axis = static_cast<int>(call.attrs<JoinAttributes>().axis);
            Tensors parts(call.size());
            for (std::uint32_t i = 0; i < call.size(); ++i)
              if (call.wants(i)) parts[i] = slice(g, axis, Slice(i), call.where);
            return parts;
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto axis = static_cast<int>(call.attrs<JoinAttributes>().axis);
            return stack(all_tangents(call, t), axis, call.where);
          },
      .samples =
          [] {
            using samples::values;
            return Samples()
                .with({values({2, 3}), values({2, 3}, 1), values({2, 3}, 2)}, JoinAttributes{0})
                .with({values({2, 3}), values({2, 3}, 1)}, JoinAttributes{1})
                .with({values({2, 3}), values({2, 3}, 1)}, JoinAttributes{2})
                .with({values({}), values({}, 1)}, JoinAttributes{0})
                .with({values({0, 3}), values({0, 3}, 1)}, JoinAttributes{1});
          },
      .errors =
          [] {
            using samples::values;
            return Samples()
                .with({values({2, 3}), values({2, 4})}, JoinAttributes{0})
                .fails_with("piece 1 is float64[2, 4], piece 0 is float64[2, 3]: their shapes must be equal")
                .with({values({2}), arange(2)}, JoinAttributes{0})
                .fails_with("piece 1 is int64[2], piece 0 is float64[2]: their element types differ")
                .with({values({2})}, JoinAttributes{2})
                .fails_with("no axis of the result is 2: piece 0 is float64[2]");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace {

Tensor join(const OperatorDefinition& op, const Tensors& tensors, int axis, int new_axes,
            const SourceLocation& where) {
  if (tensors.empty()) throw ValueError(op.name, "needs at least one tensor", where);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (!tensors[i].defined())
      throw GraphError(op.name, "piece " + std::to_string(i) + " is an empty tensor", where);
  const int axes = tensors[0].ndim() + new_axes;
  if (axis < -axes || axis >= axes)
    throw ShapeError(
        op.name,
        "axis " + std::to_string(axis) + " is not an axis of the result: piece 0 is " + describe(tensors[0]),
        where);
  const JoinAttributes attributes{axis < 0 ? axis + axes : axis};
  DType dtype = tensors[0].dtype();
  bool same = true;
  for (const Tensor& t : tensors) {
    same &= t.dtype() == dtype;
    dtype = promote(dtype, t.dtype());
  }
  if (same) return apply_op(op, tensors, &attributes, where);
  Tensors promoted;
  promoted.reserve(tensors.size());
  for (const Tensor& t : tensors) promoted.push_back(cast(t, dtype, where));
  return apply_op(op, promoted, &attributes, where);
}

}  // namespace

Tensor concatenate(const Tensors& tensors, int axis, SourceLocation where) {
  return join(*concatenate_, tensors, axis, 0, where);
}

Tensor stack(const Tensors& tensors, int axis, SourceLocation where) {
  return join(*stack_, tensors, axis, 1, where);
}

#endif

}  // namespace wengert
