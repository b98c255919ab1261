#include "autodiff/ops/structure.hpp"

#include <utility>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/kernels/copy.hpp"
#include "autodiff/ops/elementwise.hpp"
#include "autodiff/ops/reduction.hpp"
#include "autodiff/ops/reduction_rules.hpp"

namespace wengert {
namespace {

const OperatorDefinition *alias_, *stop_gradient_, *cast_, *cast_to_discrete_, *contiguous_, *transpose_,
    *permute_dims_, *broadcast_to_;

struct CastAttributes {
  DType dtype;
  template <class V>
  void visit(V&& v) const {
    v("dtype", dtype);
  }
};

struct ShapeAttributes {
  Shape shape;
  template <class V>
  void visit(V&& v) const {
    v("shape", shape);
  }
};

struct PermuteAttributes {
  Shape axes;
  template <class V>
  void visit(V&& v) const {
    v("axes", axes);
  }
};

[[maybe_unused]] Meta same(const Call& call) { return {call.dtype(0), call.shape(0)}; }

[[maybe_unused]] bool is_permutation(const Shape& axes, int ndim) {
  unsigned seen = 0;
  for (const std::int64_t axis : axes)
    if (axis >= 0 && axis < ndim) seen |= 1u << axis;
  return axes.size() == ndim && seen == (1u << ndim) - 1;
}

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

void copy_kernel(const Call& call, detail::TensorImpl& out) {
  kernels::copy(out.data, out.strides, call[0].data, call[0].strides, out.shape,
                static_cast<int>(item_size(out.dtype)));
}

template <class From>
RowKernel conversion(DType to) {
  switch (to) {
    case DType::bool_:
      return kernels::map_rows<kernels::Convert<bool>, bool, From>;
    case DType::int64:
      return kernels::map_rows<kernels::Convert<std::int64_t>, std::int64_t, From>;
    case DType::float32:
      return kernels::map_rows<kernels::Convert<float>, float, From>;
    default:
      return kernels::map_rows<kernels::Convert<double>, double, From>;
  }
}
RowKernel conversion(DType from, DType to) {
  switch (from) {
    case DType::bool_:
      return conversion<bool>(to);
    case DType::int64:
      return conversion<std::int64_t>(to);
    case DType::float32:
      return conversion<float>(to);
    default:
      return conversion<double>(to);
  }
}

template <class From>
void cast_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n) {
  conversion<From>(static_cast<const CastAttributes*>(op.attributes)->dtype)(slots, op, rows, n);
}
constexpr RowSpec cast_row = {
    .kernel = {cast_rows<bool>, cast_rows<std::int64_t>, cast_rows<float>, cast_rows<double>},
    .elementwise = true};

void cast_kernel(const Call& call, detail::TensorImpl& out) {
  if (call.dtype(0) == out.dtype) return copy_kernel(call, out);
  run_rows(conversion(call.dtype(0), out.dtype), call, out);
}

struct Itself {
  template <class V>
  WENGERT_INLINE V operator()(V x) const {
    return x;
  }
};

// Operators that hand the elements on as they lie.
void identities() {
  const auto itself = [](const Call& call, const Meta&) {
    const detail::TensorImpl& x = call[0];
    return detail::new_view(*call.inputs[0], x.shape, x.strides, 0);
  };
  alias_ = define({
      .name = "alias",
      .doc = "x",
      .infer = same,
      .view = itself,
      .vjp = [](const Call&, const Tensor& g) { return Tensors{g}; },
      .jvp = [](const Call&, const Tensors& t) { return t[0]; },
      .samples = [] { return samples::reals(); },
  });
  stop_gradient_ = define({
      .name = "stop_gradient",
      .doc = "x as a constant",
      .contract = "0 by definition",
      .infer = same,
      .view = itself,
      .differentiable = false,
      .samples = [] { return samples::reals(); },
  });
  contiguous_ = define({
      .name = "contiguous",
      .doc = "x in row-major order without gaps",
      .infer = same,
      .kernel = copy_kernel,
      .row = {.kernel = {kernels::map_rows<Itself, bool, bool>, kernels::map_rows<Itself, double, double>,
                         kernels::map_rows<Itself, float, float>, kernels::map_rows<Itself, double, double>},
              .elementwise = true},
      .vjp = [](const Call&, const Tensor& g) { return Tensors{g}; },
      .jvp = [](const Call&, const Tensors& t) { return t[0]; },
      .samples = [] { return samples::reals(); },
  });
}

void casts() {
  const auto infer = [](const Call& call) { return Meta{call.attrs<CastAttributes>().dtype, call.shape(0)}; };
  cast_ = define({
      .name = "cast",
      .doc = "x in another element type",
      .contract = "1 between floating types; nothing passes through integers and bools",
      .attributes = attributes_of<CastAttributes>,
      .infer = infer,
      .kernel = cast_kernel,
      .row = cast_row,
      .vjp =
          [](const Call& call, const Tensor& g) {
            const bool passes = is_floating(call.dtype(0)) && is_floating(g.dtype());
            return Tensors{passes ? cast(g, call.dtype(0), call.where) : Tensor()};
          },
      .jvp = [](const Call& call,
                const Tensors& t) { return cast(t[0], call.attrs<CastAttributes>().dtype, call.where); },
      .samples =
          [] {
            const CastAttributes to{DType::float64};
            return Samples()
                .with({samples::values({2, 3})}, to)
                .with({arange(6, DType::int64)}, to)
                .with({tensor({{true, false, true}})}, to)
                .with({samples::values({}, 1)}, to)
                .with({samples::values({0, 3})}, to);
          },
  });
  cast_to_discrete_ = define({
      .name = "cast_to_discrete",
      .doc = "floating x as int64 (truncated) or bool (x != 0)",
      .contract = "0 by definition: the result is not floating",
      .attributes = attributes_of<CastAttributes>,
      .infer =
          [](const Call& call) {
            const DType dtype = call.attrs<CastAttributes>().dtype;
            if (is_floating(dtype)) detail::fail_dtypes(call, "the result is int64 or bool");
            return Meta{dtype, call.shape(0)};
          },
      .kernel = cast_kernel,
      .row = cast_row,
      .differentiable = false,
      .samples =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, CastAttributes{DType::int64})
                .with({samples::values({}, 1)}, CastAttributes{DType::bool_})
                .with({samples::values({0, 3})}, CastAttributes{DType::int64});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, CastAttributes{DType::float32})
                .fails_with("the result is int64 or bool");
          },
  });
}

void permutations() {
  transpose_ = define({
      .name = "transpose",
      .doc = "x with its axes in reverse order",
      .infer =
          [](const Call& call) {
            Meta meta{call.dtype(0), {}};
            for (int i = call.shape(0).size(); i-- > 0;) meta.shape.push_back(call.shape(0)[i]);
            return meta;
          },
      .view =
          [](const Call& call, const Meta& meta) {
            Strides strides;
            for (int i = meta.shape.size(); i-- > 0;) strides.push_back(call[0].strides[i]);
            return detail::new_view(*call.inputs[0], meta.shape, strides, 0);
          },
      .vjp = [](const Call& call, const Tensor& g) { return Tensors{transpose(g, call.where)}; },
      .jvp = [](const Call& call, const Tensors& t) { return transpose(t[0], call.where); },
      .samples =
          [] {
            return samples::reals().with({samples::values({2, 3, 4})});
          },
  });
  permute_dims_ = define({
      .name = "permute_dims",
      .doc = "x with its axes in another order",
      .attributes = attributes_of<PermuteAttributes>,
      .infer =
          [](const Call& call) {
            const Shape& axes = call.attrs<PermuteAttributes>().axes;
            if (!is_permutation(axes, call.shape(0).size()))
              detail::fail_shapes(call, "the axes " + to_string(axes) + " are not a permutation of x's");
            Meta meta{call.dtype(0), {}};
            for (const std::int64_t axis : axes) meta.shape.push_back(call.shape(0)[static_cast<int>(axis)]);
            return meta;
          },
      .view =
          [](const Call& call, const Meta& meta) {
            Strides strides;
            for (const std::int64_t axis : call.attrs<PermuteAttributes>().axes)
              strides.push_back(call[0].strides[static_cast<int>(axis)]);
            return detail::new_view(*call.inputs[0], meta.shape, strides, 0);
          },
      .vjp =
          [](const Call& call, const Tensor& g) {
            const Shape& axes = call.attrs<PermuteAttributes>().axes;
            Shape inverse = axes;
            for (int i = 0; i < axes.size(); ++i) inverse[static_cast<int>(axes[i])] = i;
            return Tensors{transpose(g, inverse, call.where)};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            return transpose(t[0], call.attrs<PermuteAttributes>().axes, call.where);
          },
      .samples =
          [] {
            return Samples()
                .with({samples::values({2, 3, 4})}, PermuteAttributes{{1, 2, 0}})
                .with({samples::values({2, 1, 3, 2})}, PermuteAttributes{{0, 2, 1, 3}})
                .with({samples::values({3})}, PermuteAttributes{{0}})
                .with({samples::values({})}, PermuteAttributes{{}})
                .with({samples::values({0, 2, 3})}, PermuteAttributes{{2, 0, 1}});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, PermuteAttributes{{0, 0}})
                .fails_with("the axes [0, 0] are not a permutation of x's: x is float64[2, 3]")
                .with({samples::values({2, 3})}, PermuteAttributes{{0}})
                .fails_with("the axes [0] are not a permutation of x's");
          },
  });
}

void repeats() {
  broadcast_to_ = define({
      .name = "broadcast_to",
      .doc = "x repeated to a larger shape",
      .attributes = attributes_of<ShapeAttributes>,
      .infer =
          [](const Call& call) {
            const Shape& shape = call.attrs<ShapeAttributes>().shape;
            Shape both;
            if (!broadcast(call.shape(0), shape, both) || both != shape)
              detail::fail_shapes(call, "cannot be repeated to the shape " + to_string(shape));
            return Meta{call.dtype(0), shape};
          },
      .view =
          [](const Call& call, const Meta& meta) {
            return detail::new_view(*call.inputs[0], meta.shape,
                                    broadcast_strides(call[0].shape, call[0].strides, meta.shape), 0);
          },
      .vjp = [](const Call& call, const Tensor& g) { return Tensors{sum_to(g, call.shape(0), call.where)}; },
      .jvp = [](const Call& call,
                const Tensors& t) { return broadcast_to(t[0], call.result->shape, call.where); },
      .samples =
          [] {
            return Samples()
                .with({samples::values({3})}, ShapeAttributes{{2, 3}})
                .with({samples::values({2, 1, 3})}, ShapeAttributes{{4, 2, 5, 3}})
                .with({samples::values({})}, ShapeAttributes{{3}})
                .with({samples::values({1, 3})}, ShapeAttributes{{0, 3}})
                .with({samples::values({0, 3})}, ShapeAttributes{{2, 0, 3}});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, ShapeAttributes{{4, 3}})
                .fails_with("cannot be repeated to the shape [4, 3]: x is float64[2, 3]")
                .with({samples::values({2, 3})}, ShapeAttributes{{3}})
                .fails_with("cannot be repeated to the shape [3]");
          },
  });
}

}  // namespace

void structure() {
  identities();
  casts();
  permutations();
  repeats();
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

Tensor alias(const Tensor& x, SourceLocation where) { return apply_op(*alias_, {x}, nullptr, where); }
Tensor stop_gradient(const Tensor& x, SourceLocation where) {
  return apply_op(*stop_gradient_, {x}, nullptr, where);
}

Tensor cast(const Tensor& x, DType dtype, SourceLocation where) {
  const DType from = x.dtype();
  if (from == dtype) return x;
  const CastAttributes attributes{dtype};
  const bool to_discrete = is_floating(from) && !is_floating(dtype);
  detail::TensorImpl* const inputs[] = {x.get()};
  return apply_op(to_discrete ? *cast_to_discrete_ : *cast_, inputs, 1, &attributes, where);
}

Tensor contiguous(const Tensor& x, SourceLocation where) {
  return x.is_contiguous() ? x : apply_op(*contiguous_, {x}, nullptr, where);
}

Tensor transpose(const Tensor& x, SourceLocation where) { return apply_op(*transpose_, {x}, nullptr, where); }

Tensor transpose(const Tensor& x, const Shape& axes, SourceLocation where) {
  PermuteAttributes attributes{axes};
  for (std::int64_t& axis : attributes.axes)
    axis = detail::resolve_axis("transpose", axis, x.dtype(), x.shape(), where);
  return apply_op(*permute_dims_, {x}, &attributes, where);
}

Tensor swapaxes(const Tensor& x, int a, int b, SourceLocation where) {
  const int first = detail::resolve_axis("swapaxes", a, x.dtype(), x.shape(), where);
  const int second = detail::resolve_axis("swapaxes", b, x.dtype(), x.shape(), where);
  if (first == second) return x;
  if (x.ndim() == 2) return transpose(x, where);
  PermuteAttributes attributes{x.shape()};
  for (int i = 0; i < x.ndim(); ++i) attributes.axes[i] = i;
  std::swap(attributes.axes[first], attributes.axes[second]);
  return apply_op(*permute_dims_, {x}, &attributes, where);
}

Tensor broadcast_to(const Tensor& x, const Shape& shape, SourceLocation where) {
  if (shape == x.shape()) return x;
  const ShapeAttributes attributes{shape};
  return apply_op(*broadcast_to_, {x}, &attributes, where);
}

Tensor sum_to(const Tensor& x, const Shape& shape, SourceLocation where) {
  const Shape& from = x.shape();
  if (shape == from) return x;
  if (ends_with(from, shape) && is_floating(x.dtype())) return ops::sum_leading(x, shape.size(), where);
  Shape both;
  if (!broadcast(shape, from, both) || both != from)
    throw ShapeError("sum_to", "the shape " + to_string(shape) + " cannot be repeated to " + describe(x),
                     where);
  Shape axes;
  const int leading = from.size() - shape.size();
  for (int i = 0; i < from.size(); ++i)
    if (i < leading || shape[i - leading] != from[i]) axes.push_back(i);
  return reshape(sum(x, Axes(axes), false, where), shape, where);
}

#endif

}  // namespace wengert
