#include <cstring>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/kernels/copy.hpp"
#include "autodiff/ops/indexing.hpp"
#include "autodiff/tensor/axes.hpp"

namespace wengert {
namespace {

const OperatorDefinition *slice_, *slice_to_;

// Positions start, start + step, ... (count of them) of every axis.
struct SliceAttributes {
  Shape starts, counts, steps;
  AxisSet dropped;  // single positions, whose axes are not in the result
  template <class V>
  void visit(V&& v) const {
    v("starts", starts), v("counts", counts), v("steps", steps), v("dropped", dropped);
  }
};

struct SliceToAttributes {
  Shape shape;
  SliceAttributes slices;
  template <class V>
  void visit(V&& v) const {
    v("shape", shape);
    slices.visit(v);
  }
};

struct Range {
  std::int64_t start, count, step;
};

// Python's rules: omitted ends reach to the end that the step comes from or goes to, negative ones count from
// the end, and what lies outside is cut off.
[[maybe_unused]] Range resolve(const Slice& s, std::int64_t length) {
  const bool forward = s.step > 0;
  const auto clamp = [&](std::int64_t end) {
    const std::int64_t position = end < 0 ? end + length : end;
    const std::int64_t low = forward ? 0 : -1, high = forward ? length : length - 1;
    return position < low ? low : position > high ? high : position;
  };
  const std::int64_t start = s.start != Slice::none ? clamp(s.start) : forward ? 0 : length - 1;
  const std::int64_t stop = s.stop != Slice::none ? clamp(s.stop) : forward ? length : -1;
  const std::int64_t span = forward ? stop - start : start - stop;
  if (span <= 0) return {0, 0, 1};
  const std::int64_t step = s.step < -length ? -length : s.step > length ? length : s.step;
  const std::int64_t count = (span - 1) / (forward ? step : -step) + 1;
  return {start, count, count == 1 ? 1 : step};
}

[[maybe_unused]] SliceAttributes resolve(const char* operation, const Slice* slices, std::size_t count,
                                         DType dtype, const Shape& shape, const SourceLocation& where) {
  if (count > static_cast<std::size_t>(shape.size()))
    throw ShapeError(operation, std::to_string(count) + " slices for the axes of " + describe(dtype, shape),
                     where);
  SliceAttributes result{};
  for (int axis = 0; axis < shape.size(); ++axis) {
    const Slice s = axis < static_cast<int>(count) ? slices[axis] : Slice();
    const std::int64_t length = shape[axis];
    if (s.single) {
      if (s.start < -length || s.start >= length)
        throw IndexError(operation,
                         "position " + std::to_string(s.start) + " is outside axis " + std::to_string(axis) +
                             " of " + describe(dtype, shape),
                         where);
      result.dropped.add(axis);
    } else if (s.step == 0) {
      throw ValueError(operation, "the step along axis " + std::to_string(axis) + " is 0", where);
    }
    const Range range = s.single ? Range{s.start < 0 ? s.start + length : s.start, 1, 1} : resolve(s, length);
    result.starts.push_back(range.start);
    result.counts.push_back(range.count);
    result.steps.push_back(range.step);
  }
  return result;
}

// The shape that the slices leave of `shape`; false when they reach outside.
[[maybe_unused]] bool sliced_shape(const Shape& shape, const SliceAttributes& s, Shape& result) {
  if (s.starts.size() != shape.size() || s.counts.size() != shape.size() || s.steps.size() != shape.size())
    return false;
  result = {};
  for (int axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t n = s.counts[axis], first = s.starts[axis], length = shape[axis];
    if (n < 0 || (s.dropped.contains(axis) && n != 1)) return false;
    if (n > 0) {
      const std::int64_t last = first + (n - 1) * s.steps[axis];
      if (first < 0 || first >= length || last < 0 || last >= length) return false;
    }
    if (!s.dropped.contains(axis)) result.push_back(n);
  }
  return true;
}

// Where the slices lie in an array of the given strides, as an offset and the strides of what they leave.
std::int64_t locate(const SliceAttributes& s, const Strides& strides, Strides& result) {
  std::int64_t offset = 0;
  for (int axis = 0; axis < strides.size(); ++axis) {
    if (s.counts[axis] > 0) offset += s.starts[axis] * strides[axis];
    if (!s.dropped.contains(axis)) result.push_back(s.steps[axis] * strides[axis]);
  }
  return offset;
}

[[maybe_unused]] Tensor apply_slice(const Tensor& x, const SliceAttributes& s, const SourceLocation& where) {
  return apply_op(*slice_, {x}, &s, where);
}
[[maybe_unused]] Tensor apply_slice_to(const Tensor& x, const Shape& shape, const SliceAttributes& s,
                                       const SourceLocation& where) {
  const SliceToAttributes attributes{shape, s};
  return apply_op(*slice_to_, {x}, &attributes, where);
}

[[maybe_unused]] SliceAttributes slices_sample(const Shape& shape, std::initializer_list<Slice> slices) {
  return resolve("slice", slices.begin(), slices.size(), DType::float64, shape, {});
}

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

void slice_to_kernel(const Call& call, detail::TensorImpl& out) {
  const int item = static_cast<int>(item_size(out.dtype));
  std::memset(out.data, 0, static_cast<std::size_t>(out.size * item));
  if (call[0].size == 0) return;
  Strides strides;
  const std::int64_t offset = locate(call.attrs<SliceToAttributes>().slices, out.strides, strides);
  kernels::copy(out.data + offset * item, strides, call[0].data, call[0].strides, call[0].shape, item);
}

}  // namespace

void slicing() {
  constexpr auto none = Slice::none;
  slice_ = define({
      .name = "slice",
      .doc = "x[start:stop:step, ...]",
      .attributes = attributes_of<SliceAttributes>,
      .infer =
          [](const Call& call) {
            Meta meta{call.dtype(0), {}};
            if (!sliced_shape(call.shape(0), call.attrs<SliceAttributes>(), meta.shape))
              detail::fail_shapes(call, "the slices don't fit");
            return meta;
          },
      .view =
          [](const Call& call, const Meta& meta) {
            Strides strides;
            const std::int64_t offset = locate(call.attrs<SliceAttributes>(), call[0].strides, strides);
            return detail::new_view(*call.inputs[0], meta.shape, strides,
                                    meta.shape.elements() > 0 ? offset : 0);
          },
      .vjp =
          [](const Call& call, const Tensor& g) {
            return Tensors{apply_slice_to(g, call.shape(0), call.attrs<SliceAttributes>(), call.where)};
          },
      .jvp = [](const Call& call,
                const Tensors& t) { return apply_slice(t[0], call.attrs<SliceAttributes>(), call.where); },
      .samples =
          [] {
            const auto with = [](Samples& s, const Shape& shape, std::initializer_list<Slice> slices) {
              s.with({samples::values(shape)}, slices_sample(shape, slices));
            };
            Samples s;
            with(s, {5, 4}, {Slice(1, 4)});
            with(s, {5, 4}, {Slice(none, none, -2), -1});
            with(s, {2, 7, 3}, {1, Slice(6, 0, -3), Slice(0, 2)});
            with(s, {4}, {2});
            with(s, {4, 3}, {Slice(3, 1)});
            with(s, {}, {});
            with(s, {0, 3}, {Slice(), Slice(1, none)});
            return s;
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({3})}, slices_sample({4}, {3}))
                .fails_with("the slices don't fit: x is float64[3]")
                .with({samples::values({3})}, slices_sample({3, 3}, {}))
                .fails_with("the slices don't fit");
          },
  });
  slice_to_ = define({
      .name = "slice_to",
      .doc = "zeros with x at the places of a slice",
      .attributes = attributes_of<SliceToAttributes>,
      .infer =
          [](const Call& call) {
            const auto& to = call.attrs<SliceToAttributes>();
            Shape sliced;
            if (!sliced_shape(to.shape, to.slices, sliced) || sliced != call.shape(0))
              detail::fail_shapes(call, "not what the slices leave of the shape " + to_string(to.shape));
            return Meta{call.dtype(0), to.shape};
          },
      .kernel = slice_to_kernel,
      .vjp =
          [](const Call& call, const Tensor& g) {
            return Tensors{apply_slice(g, call.attrs<SliceToAttributes>().slices, call.where)};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto& to = call.attrs<SliceToAttributes>();
            return apply_slice_to(t[0], to.shape, to.slices, call.where);
          },
      .samples =
          [] {
            const auto with = [](Samples& s, const Shape& from, const Shape& shape,
                                 std::initializer_list<Slice> slices) {
              s.with({samples::values(from)}, SliceToAttributes{shape, slices_sample(shape, slices)});
            };
            Samples s;
            with(s, {3, 4}, {5, 4}, {Slice(1, 4)});
            with(s, {3}, {5, 4}, {Slice(none, none, -2), -1});
            with(s, {2, 2}, {2, 7, 3}, {1, Slice(6, 0, -3), Slice(0, 2)});
            with(s, {}, {4}, {2});
            with(s, {0, 3}, {4, 3}, {Slice(3, 1)});
            return s;
          },
      .errors =
          [] {
            const SliceToAttributes to{{4}, slices_sample({4}, {Slice(1, 3)})};
            return Samples()
                .with({samples::values({3})}, to)
                .fails_with("not what the slices leave of the shape [4]: x is float64[3]");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

Tensor slice(const Tensor& x, std::initializer_list<Slice> slices, SourceLocation where) {
  return apply_slice(x, resolve("slice", slices.begin(), slices.size(), x.dtype(), x.shape(), where), where);
}

Tensor slice(const Tensor& x, int axis, const Slice& range, SourceLocation where) {
  Slice slices[max_ndim];
  const int position = detail::resolve_axis("slice", axis, x.dtype(), x.shape(), where);
  slices[position] = range;
  return apply_slice(
      x, resolve("slice", slices, static_cast<std::size_t>(position) + 1, x.dtype(), x.shape(), where),
      where);
}

Tensor slice_to(const Tensor& x, const Shape& shape, std::initializer_list<Slice> slices,
                SourceLocation where) {
  return apply_slice_to(x, shape, resolve("slice_to", slices.begin(), slices.size(), x.dtype(), shape, where),
                        where);
}

#endif

}  // namespace wengert
