#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/kernels/copy.hpp"
#include "autodiff/ops/axis_attributes.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert {
namespace {

const OperatorDefinition *reshape_, *squeeze_, *expand_dims_;

struct ReshapeAttributes {
  Shape shape;
  template <class V>
  void visit(V&& v) const {
    v("shape", shape);
  }
};

// The strides under which x's elements, where they lie, read as `shape`: possible as long as no axis of the
// new shape runs across a gap of the old one.
[[maybe_unused]] bool view_strides(const detail::TensorImpl& x, const Shape& shape, Strides& strides) {
  strides = contiguous_strides(shape);
  if (x.contiguous) return true;
  Shape dims;
  Strides steps;
  for (int i = 0; i < x.shape.size(); ++i)
    if (x.shape[i] != 1) dims.push_back(x.shape[i]), steps.push_back(x.strides[i]);
  for (int from = 0, to = 0; from < dims.size();) {
    // The next groups of old and new axes with as many elements.
    int from_end = from + 1, to_end = to + 1;
    std::int64_t old_count = dims[from], new_count = shape[to];
    while (old_count != new_count) {
      if (old_count < new_count)
        old_count *= dims[from_end++];
      else
        new_count *= shape[to_end++];
    }
    for (int i = from; i + 1 < from_end; ++i)
      if (steps[i] != steps[i + 1] * dims[i + 1]) return false;
    std::int64_t step = steps[from_end - 1];
    for (int i = to_end; i-- > to; step *= shape[i]) strides[i] = step;
    from = from_end;
    to = to_end;
  }
  return true;
}

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {

// Other shapes of the same elements.
void reshaping() {
  const auto reshape_back = [](const Call& call, const Tensor& g) {
    return Tensors{reshape(g, call.shape(0), call.where)};
  };
  const auto reshape_tangent = [](const Call& call, const Tensors& t) {
    return reshape(t[0], call.result->shape, call.where);
  };
  const auto reshaped = [](const Call& call, const Meta& meta) {
    const detail::TensorImpl& x = call[0];
    Strides strides;
    if (view_strides(x, meta.shape, strides))
      return detail::new_view(*call.inputs[0], meta.shape, strides, 0);
    detail::TensorImpl* out = detail::new_tensor(meta.dtype, meta.shape);
    kernels::copy(out->data, contiguous_strides(x.shape), x.data, x.strides, x.shape,
                  static_cast<int>(item_size(x.dtype)));
    return out;
  };
  reshape_ = define({
      .name = "reshape",
      .doc = "the elements of x, in row-major order, under another shape",
      .attributes = attributes_of<ReshapeAttributes>,
      .infer =
          [](const Call& call) {
            const Shape& shape = call.attrs<ReshapeAttributes>().shape;
            bool fits = shape.elements() == call[0].size;
            for (const std::int64_t d : shape) fits &= d >= 0;
            if (!fits)
              detail::fail_shapes(call, "the " + std::to_string(call[0].size) +
                                            " elements don't fit into the shape " + to_string(shape));
            return Meta{call.dtype(0), shape};
          },
      .view = reshaped,
      .vjp = reshape_back,
      .jvp = reshape_tangent,
      .samples =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, ReshapeAttributes{{3, 2}})
                .with({samples::values({2, 6})}, ReshapeAttributes{{2, 1, 3, 2}})
                .with({samples::values({})}, ReshapeAttributes{{1, 1}})
                .with({samples::values({1})}, ReshapeAttributes{{}})
                .with({samples::values({0, 3})}, ReshapeAttributes{{2, 0}});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, ReshapeAttributes{{4}})
                .fails_with("the 6 elements don't fit into the shape [4]: x is float64[2, 3]");
          },
  });
  squeeze_ = define({
      .name = "squeeze",
      .doc = "x without the given axes of length 1",
      .attributes = attributes_of<AxesAttributes>,
      .infer =
          [](const Call& call) {
            const AxisSet axes = call.attrs<AxesAttributes>().axes;
            Meta meta{call.dtype(0), {}};
            for (int i = 0; i < call.shape(0).size(); ++i) {
              if (!axes.contains(i))
                meta.shape.push_back(call.shape(0)[i]);
              else if (call.shape(0)[i] != 1)
                detail::fail_shapes(call, "axis " + std::to_string(i) + " has length " +
                                              std::to_string(call.shape(0)[i]) + ", not 1");
            }
            return meta;
          },
      .view = reshaped,
      .vjp = reshape_back,
      .jvp = reshape_tangent,
      .samples =
          [] {
            return Samples()
                .with({samples::values({1, 3, 1})}, AxesAttributes{{0b101}})
                .with({samples::values({2, 1})}, AxesAttributes{{0b10}})
                .with({samples::values({1})}, AxesAttributes{{0b1}})
                .with({samples::values({})}, AxesAttributes{{0}})
                .with({samples::values({0, 1})}, AxesAttributes{{0b10}});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, AxesAttributes{{0b10}})
                .fails_with("axis 1 has length 3, not 1: x is float64[2, 3]");
          },
  });
  expand_dims_ = define({
      .name = "expand_dims",
      .doc = "x with a new axis of length 1",
      .attributes = attributes_of<AxisAttributes>,
      .infer =
          [](const Call& call) {
            const std::int64_t axis = call.attrs<AxisAttributes>().axis;
            const Shape& shape = call.shape(0);
            if (axis < 0 || axis > shape.size())
              detail::fail_shapes(call, "no axis of the result is " + std::to_string(axis));
            Meta meta{call.dtype(0), {}};
            for (int i = 0; i <= shape.size(); ++i) {
              if (i == axis) meta.shape.push_back(1);
              if (i < shape.size()) meta.shape.push_back(shape[i]);
            }
            return meta;
          },
      .view = reshaped,
      .vjp = reshape_back,
      .jvp = reshape_tangent,
      .samples =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, AxisAttributes{1})
                .with({samples::values({2, 3})}, AxisAttributes{2})
                .with({samples::values({})}, AxisAttributes{0})
                .with({samples::values({0, 3})}, AxisAttributes{0});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 3})}, AxisAttributes{3})
                .fails_with("no axis of the result is 3: x is float64[2, 3]");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

Tensor reshape(const Tensor& x, const Shape& shape, SourceLocation where) {
  if (shape == x.shape()) return x;
  ReshapeAttributes attributes{shape};
  int unknown = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.size(); ++i) {
    if (shape[i] != -1) {
      known *= shape[i];
    } else if (unknown < 0) {
      unknown = i;
    } else {
      throw ShapeError("reshape", "only one entry of " + to_string(shape) + " may be -1: x is " + describe(x),
                       where);
    }
  }
  if (unknown >= 0) {
    if (known <= 0 || x.size() % known != 0)
      throw ShapeError("reshape",
                       "no length fits for the -1 of " + to_string(shape) + ": x is " + describe(x), where);
    attributes.shape[unknown] = x.size() / known;
  }
  return apply_op(*reshape_, {x}, &attributes, where);
}

Tensor squeeze(const Tensor& x, const Axes& axes, SourceLocation where) {
  ops::AxesAttributes attributes{};
  if (axes.all()) {
    for (int i = 0; i < x.ndim(); ++i)
      if (x.shape()[i] == 1) attributes.axes.add(i);
  } else {
    attributes.axes.bits = detail::resolve_axes("squeeze", axes, x.dtype(), x.shape(), where);
  }
  return attributes.axes.bits == 0 ? x : apply_op(*squeeze_, {x}, &attributes, where);
}

Tensor expand_dims(const Tensor& x, int axis, SourceLocation where) {
  const ops::AxisAttributes attributes{axis < 0 ? axis + x.ndim() + 1 : axis};
  if (attributes.axis < 0)
    throw ShapeError("expand_dims",
                     "no axis of the result is " + std::to_string(axis) + ": x is " + describe(x), where);
  return apply_op(*expand_dims_, {x}, &attributes, where);
}

#endif

}  // namespace wengert
