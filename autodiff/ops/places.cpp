// Values that are zero but for one place in each row: cotangents of entries that labels chose, and products
// with a one_hot.

#include <algorithm>
#include <bit>
#include <cstring>

#include "autodiff/kernels/index.hpp"
#include "autodiff/kernels/interval.hpp"
#include "autodiff/ops/bounded.hpp"
#include "autodiff/ops/indexing.hpp"
#include "autodiff/ops/indexing_rules.hpp"
#include "autodiff/ops/scratch.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {
namespace {

struct LabelAttributes {
  std::int64_t classes;
  template <class V>
  void visit(V&& v) const {
    v("classes", classes);
  }
};

struct AddAtAttributes {
  bool from_end;  ///< what negative positions count from; otherwise they are errors, those of one_hot
  template <class V>
  void visit(V&& v) const {
    v("from_end", from_end);
  }
};

/// Whether all numbers are at most Interval::assumed in size. Without their signs, the bits of floating
/// numbers are in the order of the numbers, and those of NaN behind all others.
template <class T>
bool are_bounded(const T* x, std::int64_t count) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits size = ~Bits(0) >> 1;
  Bits largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof bits);
    largest = std::max(largest, bits & size);
  }
  return largest <= std::bit_cast<Bits>(static_cast<T>(kernels::Interval::assumed));
}

template <class T>
void bounded_as(const Call& call, detail::TensorImpl& out) {
  const Contiguous<T> v(call[0]), x(call[1]);
  if (!are_bounded(x.data(), call[1].size)) detail::fail_bounds(call.where);
  std::memcpy(out.data, v.data(), static_cast<std::size_t>(out.size) * sizeof(T));
}
void bounded_kernel(const Call& call, detail::TensorImpl& out) {
  out.dtype == DType::float32 ? bounded_as<float>(call, out) : bounded_as<double>(call, out);
}

template <class T>
void bounded_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  if (!are_bounded(reinterpret_cast<const T*>(slots[op.in[1]]), rows * cols)) detail::fail_bounds({});
  std::memcpy(slots[op.out], slots[op.in[0]], static_cast<std::size_t>(rows) * sizeof(T));
}

/// What one_hot takes: of its labels, which stand in a column here, this is about.
detail::PositionRule labels_in(std::int64_t classes) { return {"one_hot", 0, classes, -1, true}; }

template <class T>
void labelled_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t) {
  detail::check_row_positions(slots, op, 1, rows,
                              labels_in(static_cast<const LabelAttributes*>(op.attributes)->classes));
  std::memcpy(slots[op.out], slots[op.in[0]], static_cast<std::size_t>(rows) * sizeof(T));
}
void labelled_kernel(const Call& call, detail::TensorImpl& out) {
  detail::check_positions(call, 1, labels_in(call.attrs<LabelAttributes>().classes));
  kernels::copy(out.data, out.strides, call[0].data, call[0].strides, out.shape,
                static_cast<int>(item_size(out.dtype)));
}

detail::PositionRule places_in(std::int64_t columns, const void* attributes) {
  if (!static_cast<const AddAtAttributes*>(attributes)->from_end) return labels_in(columns);
  return {"add_at", -columns, columns};
}

template <class T>
void add_at(T* out, const T* x, const T* v, const std::int64_t* positions, std::int64_t rows,
            std::int64_t cols) {
  if (out != x) std::memcpy(out, x, static_cast<std::size_t>(rows * cols) * sizeof(T));
  for (std::int64_t r = 0; r < rows; ++r, out += cols)
    out[kernels::indexing::from_start(positions[r], cols)] += v[r];
}
template <class T>
void add_at_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  const auto* const positions = reinterpret_cast<const std::int64_t*>(slots[op.in[2]]);
  detail::check_row_positions(slots, op, 2, rows, places_in(cols, op.attributes));
  add_at(reinterpret_cast<T*>(slots[op.out]), reinterpret_cast<const T*>(slots[op.in[0]]),
         reinterpret_cast<const T*>(slots[op.in[1]]), positions, rows, cols);
}
template <class T>
void add_at_as(const Call& call, detail::TensorImpl& out) {
  const Contiguous<T> x(call[0]), v(call[1]);
  const Contiguous<std::int64_t> positions(call[2]);
  add_at(out.as<T>(), x.data(), v.data(), positions.data(), call[1].size, out.shape.back());
}
void add_at_kernel(const Call& call, detail::TensorImpl& out) {
  if (out.size == 0) return;
  detail::check_positions(call, 2, places_in(out.shape.back(), call.attributes));
  out.dtype == DType::float32 ? add_at_as<float>(call, out) : add_at_as<double>(call, out);
}

[[maybe_unused]] void need_column(const Call& call, std::uint32_t i, Shape rows) {
  if (rows.empty()) detail::fail_shapes(call, "the array has no rows");
  rows[rows.size() - 1] = 1;
  if (call.shape(i) != rows) detail::fail_shapes(call, "not one number for each row");
}
[[maybe_unused]] void need_one_floating_type(const Call& call) {
  if (!is_floating(call.dtype(0)) || call.dtype(0) != call.dtype(1))
    detail::fail_dtypes(call, "takes two arrays of one floating type");
}

}  // namespace

void places() {
  define({
      .name = "labelled",
      .doc = "v, one number a row, if the labels lie in 0 .. classes - 1",
      .contract = "any other label is an error, that of one_hot; by the labels zero",
      .inputs = 2,
      .attributes = attributes_of<LabelAttributes>,
      .infer =
          [](const Call& call) {
            if (!is_floating(call.dtype(0)) || call.dtype(1) != DType::int64)
              detail::fail_dtypes(call, "takes floating numbers and int64 labels");
            for (const std::uint32_t i : {0u, 1u}) need_column(call, i, call.shape(0));
            return Meta{call.dtype(0), call.shape(0)};
          },
      .kernel = labelled_kernel,
      .row = {.kernel = {nullptr, nullptr, labelled_rows<float>, labelled_rows<double>},
              .fits = [](const Call&) { return true; },
              .column_inputs = 0b11,
              .column_result = true},
      .checks_values = true,
      .vjp =
          [](const Call&, const Tensor& g) {
            return Tensors{g, Tensor()};
          },
      .jvp = [](const Call&, const Tensors& t) { return t[0]; },
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 1}), positions_sample({3, 1}, {3, 0, 1})}, LabelAttributes{4})
                .with({samples::values({2, 2, 1}), positions_sample({2, 2, 1}, {0, 1, 3, 2})},
                      LabelAttributes{4})
                .with({samples::values({1}), positions_sample({1}, {0})}, LabelAttributes{1})
                .with({samples::values({0, 1}), positions_sample({0, 1}, {})}, LabelAttributes{3});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({2, 1}), positions_sample({2, 1}, {0, -1})}, LabelAttributes{4})
                .fails_with("one_hot: position -1 at indices[1] is outside the 4 classes")
                .with({samples::values({2, 2, 1}), positions_sample({2, 2, 1}, {0, 1, 4, 0})},
                      LabelAttributes{4})
                .fails_with("one_hot: position 4 at indices[1, 0] is outside the 4 classes")
                .with({samples::values({1}), positions_sample({1}, {4})}, LabelAttributes{4})
                .fails_with("one_hot: position 4 is outside the 4 classes")
                .with({samples::values({2, 1}), positions_sample({3, 1}, {0, 0, 0})}, LabelAttributes{4})
                .fails_with("not one number for each row")
                .with({samples::values({2}), positions_sample({2}, {0, 0})}, LabelAttributes{4})
                .fails_with("not one number for each row")
                .with({samples::values({}), positions_sample({}, {0})}, LabelAttributes{4})
                .fails_with("the array has no rows")
                .with({samples::values({2}), samples::values({2})}, LabelAttributes{4})
                .fails_with("takes floating numbers and int64 labels");
          },
  });
  define({
      .name = "add_at",
      .doc = "x with v[r] added to the entry of row r that positions[r] names",
      .contract = "negative positions count from the end, or are errors; by the positions zero",
      .inputs = 3,
      .attributes = attributes_of<AddAtAttributes>,
      .infer =
          [](const Call& call) {
            need_one_floating_type(call);
            if (call.dtype(2) != DType::int64) detail::fail_dtypes(call, "the positions must be int64");
            need_column(call, 1, call.shape(0));
            need_column(call, 2, call.shape(0));
            return Meta{call.dtype(0), call.shape(0)};
          },
      .kernel = add_at_kernel,
      .row = {.kernel = {nullptr, nullptr, add_at_rows<float>, add_at_rows<double>},
              .fits = [](const Call&) { return true; },
              .column_inputs = 0b110,
              .in_place = true},
      .checks_values = true,
      .reads = reads_inputs(2),
      .vjp =
          [](const Call& call, const Tensor& g) {
            return Tensors{g, take_along_axis(g, call.input(2), -1, call.where), Tensor()};
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const Tensor x = t[0].defined() ? t[0] : zeros(call.shape(0), call.dtype(0));
            return t[1].defined() ? apply_op(call.op, {x, t[1], call.input(2)}, call.attributes, call.where)
                                  : x;
          },
      .flops = [](const Call& call, const Shape&) { return call.shape(1).elements(); },
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 4}), samples::values({3, 1}, 1),
                       positions_sample({3, 1}, {3, 0, -1})},
                      AddAtAttributes{true})
                .with({samples::values({2, 3, 2}), samples::values({2, 3, 1}, 1),
                       positions_sample({2, 3, 1}, {0, 1, 1, 0, 0, -2})},
                      AddAtAttributes{true})
                .with({samples::values({4}), samples::values({1}, 1), positions_sample({1}, {2})},
                      AddAtAttributes{false})
                .with({samples::values({0, 4}), samples::values({0, 1}), positions_sample({0, 1}, {})},
                      AddAtAttributes{false});
          },
      .errors =
          [] {
            return Samples()
                .with({samples::values({1, 4}), samples::values({1, 1}), positions_sample({1, 1}, {4})},
                      AddAtAttributes{true})
                .fails_with("position 4 at indices[0, 0] is outside")
                .with({samples::values({1, 4}), samples::values({1, 1}), positions_sample({1, 1}, {-1})},
                      AddAtAttributes{false})
                .fails_with("one_hot: position -1 at indices[0] is outside the 4 classes")
                .with({samples::values({2, 4}), samples::values({2}), positions_sample({2, 1}, {0, 0})},
                      AddAtAttributes{true})
                .fails_with("not one number for each row")
                .with({samples::values({2, 4}), samples::values({2, 1}), positions_sample({2}, {0, 0})},
                      AddAtAttributes{true})
                .fails_with("not one number for each row")
                .with({samples::values({}), samples::values({}), positions_sample({}, {0})},
                      AddAtAttributes{true})
                .fails_with("the array has no rows")
                .with({samples::values({2, 4}), samples::values({2, 1}), samples::values({2, 1})},
                      AddAtAttributes{true})
                .fails_with("the positions must be int64");
          },
  });
  define({
      .name = "bounded",
      .doc = "v, one number a row, if no element of x is NaN or larger than 2^40 in size",
      .contract = "anything else is an error, for which a captured program computes without it; by x zero",
      .inputs = 2,
      .infer =
          [](const Call& call) {
            need_one_floating_type(call);
            need_column(call, 0, call.shape(1));
            return Meta{call.dtype(0), call.shape(0)};
          },
      .kernel = bounded_kernel,
      .row = {.kernel = {nullptr, nullptr, bounded_rows<float>, bounded_rows<double>},
              .fits = [](const Call&) { return true; },
              .column_inputs = 0b01,
              .column_result = true,
              .data_input = 1},
      .checks_values = true,
      .assumes = true,
      .reads = reads_inputs(0),
      .compose = [](const Call& call) { return call.input(0); },
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 1}), samples::values({3, 4}, 1)})
                .with({samples::values({2, 3, 1}), samples::values({2, 3, 5}, 1)})
                .with({samples::values({1}), samples::values({70}, 1)})
                .with({samples::values({2, 1}), samples::values({2, 1}, 1)})
                .with({samples::values({0, 1}), samples::values({0, 4}, 1)});
          },
      .errors =
          [] {
            const double nan = std::numeric_limits<double>::quiet_NaN();
            const char* const problem = "an element is NaN or larger than 2^40";
            return Samples()
                .with({tensor({{1.0}}), tensor({{1.0, 0x1.1p40}})})
                .fails_with(problem)
                .with({tensor({{1.0}}), tensor({{nan, 1.0}})})
                .fails_with(problem)
                .with({tensor({{1.0}}), tensor({{1.0, -std::numeric_limits<double>::infinity()}})})
                .fails_with(problem)
                .with({samples::values({3}), samples::values({3, 4})})
                .fails_with("not one number for each row")
                .with({tensor(1.0), tensor(1.0)})
                .fails_with("the array has no rows")
                .with({tensor({{1}}), tensor({{1}})})
                .fails_with("takes two arrays of one floating type");
          },
  });
}

}  // namespace WENGERT_ISA

#ifndef WENGERT_VARIANT

namespace {

struct Operators {
  const OperatorDefinition& one_hot = *find_operator("one_hot");
  const OperatorDefinition& product = *find_operator("safe_multiply");
  const OperatorDefinition& take = *find_operator("take_along_axis");
  const OperatorDefinition& transposed = *find_operator("take_along_axis_transposed");
  const OperatorDefinition& expand_dims = *find_operator("expand_dims");
  const OperatorDefinition& bounded = *find_operator("bounded");
  const OperatorDefinition& labelled = *find_operator("labelled");
  const OperatorDefinition& add_at = *find_operator("add_at");
};
const Operators& operators() {
  static const Operators all;
  return all;
}

/// One number for each row of an array of that shape, or a single one.
bool is_narrow(const Rewriting& r, Rewriting::Value v, const Shape& of) {
  const Shape& shape = r.shape_of(v);
  return shape.elements() == 1 || (shape.size() == of.size() && shape.back() == 1);
}

/// One number a row as a column.
Rewriting::Value column(Rewriting& r, Rewriting::Value v, const Shape& of) {
  if (r.shape_of(v).size() == of.size()) return v;
  const AxisAttributes last{of.size() - 1};
  return r.make(operators().expand_dims, {v}, &last);
}

}  // namespace

std::optional<Places> Places::of(const Rewriting& r, Value v) {
  const OperatorDefinition* op = r.op(v);
  const Shape& shape = r.shape_of(v);
  if (op == nullptr || shape.size() == 0 || !is_floating(r.dtype_of(v))) return std::nullopt;
  const auto in = r.inputs_of(v);
  const auto is_one_hot = [&](Value x) { return r.op(x) == &operators().one_hot && r.shape_of(x) == shape; };
  if (is_one_hot(v)) return Places(shape, v, true, r.none);
  if (op == &operators().product) {
    if (is_one_hot(in[0]) && is_narrow(r, in[1], shape)) return Places(shape, in[0], true, in[1]);
    if (is_one_hot(in[1]) && is_narrow(r, in[0], shape) && r.is_finite(in[0]))
      return Places(shape, in[1], true, in[0]);
  }
  if (op != &operators().transposed) return std::nullopt;
  const auto axis = static_cast<const TransposedAttributes*>(r.attributes_of(v))->axis;
  if (!one_a_row(shape, r.shape_of(in[1]), axis)) return std::nullopt;
  return Places(shape, in[1], false, in[0]);
}

Rewriting::Value Places::value(Rewriting& r) const {
  if (value_ == r.none) return r.number(1.0, r.dtype_of(from_));
  return marked_ ? value_ : column(r, value_, shape_);
}

Rewriting::Value Places::positions(Rewriting& r) const {
  return column(r, marked_ ? r.inputs_of(from_)[0] : from_, shape_);
}

Rewriting::Value Places::take(Rewriting& r, Value x, int depth) const {
  const OperatorDefinition* op = r.op(x);
  if (depth > 0 && op != nullptr && op->row.elementwise && op->attributes == nullptr) {
    // One number a row costs less than to keep the whole of x until it is taken from.
    std::vector<Value> inputs(r.inputs_of(x).begin(), r.inputs_of(x).end());
    if (std::all_of(inputs.begin(), inputs.end(),
                    [&](Value v) { return is_narrow(r, v, shape_) || r.shape_of(v) == shape_; })) {
      for (Value& v : inputs)
        if (!is_narrow(r, v, shape_)) v = take(r, v, depth - 1);
      return r.make(*op, inputs);
    }
  }
  const AxisAttributes last{shape_.size() - 1};
  return r.make(operators().take, {x, positions(r)}, &last);
}

Rewriting::Value Places::put(Rewriting& r, Value value) const {
  if (marked_) return r.make(operators().product, {from_, value});
  const TransposedAttributes to{shape_.size() - 1, shape_};
  return r.make(operators().transposed, {value, column(r, from_, shape_)}, &to);
}

Rewriting::Value Places::add(Rewriting& r, Value x, Value value) const {
  const AddAtAttributes at{!marked_};
  return r.make(operators().add_at, {x, value, positions(r)}, &at);
}

Rewriting::Value Places::sum(Rewriting& r) const {
  const Value v = value(r);
  Shape rows = shape_;
  rows[rows.size() - 1] = 1;
  if (r.shape_of(v) != rows) return r.none;
  if (!marked_) return v;
  const LabelAttributes classes{shape_.back()};  // still looked at, without the one_hot
  return r.make(operators().labelled, {v, positions(r)}, &classes);
}

std::uint32_t at_places(Rewriting& r, std::uint32_t which, const OperatorDefinition& by,
                        std::span<const std::uint32_t> bounded) {
  std::optional<Places> places;
  std::vector<std::optional<Places>> found;
  bool wide = false;  // an input of which most numbers will not be looked at
  for (std::size_t i = 0; i < r.inputs.size(); ++i) {
    const auto v = r.inputs[i];
    found.push_back(Places::of(r, v));
    if ((which >> i & 1) != 0) {
      if (!found[i] || !r.has_type_of_result(v) || (places && *places != *found[i])) return r.none;
      if (!places) places = found[i];
    } else if (!is_narrow(r, v, r.shape)) {
      if (r.shape_of(v) != r.shape) return r.none;
      wide = true;
    }
  }
  // A product of a one_hot with one number a row is what would come out.
  if (places->marked() && !wide && &by == &operators().product &&
      (r.inputs[0] == places->from() || r.inputs[1] == places->from()))
    return r.none;
  std::vector<Rewriting::Value> inputs;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto v = r.inputs[i];
    if (found[i] && *found[i] == *places)
      inputs.push_back(found[i]->value(r));
    else
      inputs.push_back(is_narrow(r, v, r.shape) ? v : places->take(r, v));
  }
  auto value = r.make(by, inputs);
  for (const auto v : bounded) value = r.make(operators().bounded, {column(r, value, r.shape), v});
  return places->put(r, value);
}

#endif

}  // namespace wengert::ops

#ifndef WENGERT_VARIANT

namespace wengert::detail {

void fail_bounds(const SourceLocation& where) {
  throw OutOfBounds("bounded", "an element is NaN or larger than 2^40 in size", where);
}

}  // namespace wengert::detail

#endif
