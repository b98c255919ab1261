// Row kernels, which programs run tile by tile, give the bits of the kernels that eager calls run.

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/operator.hpp"

using namespace wengert;

namespace {

/// The sample's inputs with their floating ones in one floating type.
Tensors typed(const Sample& sample, DType floating) {
  Tensors inputs;
  for (const Tensor& x : sample.inputs)
    inputs.push_back(contiguous(is_floating(x.dtype()) ? cast(x, floating) : x));
  return inputs;
}

std::size_t bytes(const Tensor& x) { return static_cast<std::size_t>(x.size()) * item_size(x.dtype()); }

Tensor fresh(DType dtype, const Shape& shape) {
  const Tensor x = Tensor::adopt(detail::new_tensor(dtype, shape));
  std::memset(x.get()->data, 0x5a, bytes(x));
  return x;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.size() == b.size() &&
         std::memcmp(a.get()->data, b.get()->data, bytes(a)) == 0;
}

/// `shape` filled with the elements of x in turns.
Tensor tiled(const Tensor& x, const Shape& shape) {
  Tensor result = fresh(x.dtype(), shape);
  const std::size_t item = item_size(x.dtype());
  for (std::int64_t i = 0; i < result.size(); ++i)
    std::memcpy(result.get()->data + static_cast<std::size_t>(i) * item,
                x.get()->data + static_cast<std::size_t>(i % x.size()) * item, item);
  return result;
}

RowKernel kernel_for(const OperatorDefinition& op, const Tensors& inputs) {
  return op.row.kernel[static_cast<int>(inputs[op.row.data_input].dtype())];
}

PitchedRowOp row_op(RowKernel kernel, const void* attributes) {
  PitchedRowOp row;
  row.kernel = kernel;
  row.attributes = attributes;
  for (std::uint32_t i = 0; i < RowOp::max_inputs; ++i) row.in[i] = i + 1;
  return row;
}

/// Full inputs and, where the mask says so, single ones: with a result of its own and in the place of an
/// input.
void check_elements(const OperatorDefinition& op, const Tensors& values, const void* attributes,
                    std::int64_t n, std::uint32_t repeated) {
  Tensors inputs;
  for (std::uint32_t i = 0; i < values.size(); ++i)
    inputs.push_back(tiled(values[i], (repeated >> i & 1) != 0 ? Shape{} : Shape{n}));
  const Tensor once = apply_op(op, inputs, attributes, {});
  const Tensor expected = tiled(once, {n});
  PitchedRowOp row = row_op(kernel_for(op, inputs), attributes);
  row.repeated = repeated;
  std::byte* slots[1 + RowOp::max_inputs] = {};
  for (std::size_t i = 0; i < inputs.size(); ++i) slots[i + 1] = inputs[i].get()->data;
  const Tensor out = fresh(expected.dtype(), {n});
  slots[0] = out.get()->data;
  row.kernel(slots, row, 1, n);
  CHECK_MESSAGE(same_bits(out, expected), op.name, " of ", n, " elements, repeated: ", repeated);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if ((repeated >> i & 1) != 0 || item_size(inputs[i].dtype()) != item_size(expected.dtype())) continue;
    const Tensor place = tiled(inputs[i], {n});
    slots[0] = slots[i + 1] = place.get()->data;
    row.kernel(slots, row, 1, n);
    CHECK_MESSAGE(std::memcmp(place.get()->data, expected.get()->data, bytes(expected)) == 0, op.name, " of ",
                  n, " elements in place of input ", i);
    slots[i + 1] = inputs[i].get()->data;
  }
}

/// A matrix of which one input is a row or a column: a call with pitches, and a call a row.
void check_matrix(const OperatorDefinition& op, const Tensors& values, const void* attributes,
                  std::uint32_t special, bool column, std::int64_t n) {
  const std::int64_t m = 5;
  Tensors inputs;
  for (std::uint32_t i = 0; i < values.size(); ++i)
    inputs.push_back(tiled(values[i], i != special ? Shape{m, n} : column ? Shape{m, 1} : Shape{n}));
  const Tensor expected = apply_op(op, inputs, attributes, {});
  PitchedRowOp row = row_op(kernel_for(op, inputs), attributes);
  if (column) row.repeated = 1u << special;
  const Tensor out = fresh(expected.dtype(), expected.shape());
  std::byte* slots[1 + RowOp::max_inputs] = {out.get()->data};
  std::int64_t pitch[1 + RowOp::max_inputs] = {n * static_cast<std::int64_t>(item_size(out.dtype()))};
  for (std::uint32_t i = 0; i < inputs.size(); ++i) {
    slots[i + 1] = inputs[i].get()->data;
    const auto item = static_cast<std::int64_t>(item_size(inputs[i].dtype()));
    pitch[i + 1] = i != special ? n * item : column ? item : 0;
  }
  row.pitch = pitch;
  row.kernel(slots, row, m, n);
  CHECK_MESSAGE(same_bits(out, expected), op.name, " with pitches, ", column ? "column " : "row ", special);
  std::memset(out.get()->data, 0x5a, bytes(out));
  for (std::int64_t r = 0; r < m; ++r) {
    row.kernel(slots, row, 1, n);
    for (std::uint32_t i = 0; i <= inputs.size(); ++i) slots[i] += pitch[i];
  }
  CHECK_MESSAGE(same_bits(out, expected), op.name, " row by row, ", column ? "column " : "row ", special);
}

void check_elementwise(const OperatorDefinition& op, const Tensors& values, const void* attributes) {
  const auto count = static_cast<std::uint32_t>(values.size());
  for (const std::int64_t n : {1, 7, 16, 17, 100, 600}) {
    for (std::uint32_t repeated = 0; repeated < 1u << count; ++repeated)
      check_elements(op, values, attributes, n, repeated);
    for (std::uint32_t i = 0; count > 1 && i < count; ++i) {
      check_matrix(op, values, attributes, i, false, n);
      check_matrix(op, values, attributes, i, true, n);
    }
  }
}

/// All rows in one call, then one row a call.
void check_rows(const OperatorDefinition& op, const Tensors& inputs, const void* attributes) {
  const Tensor expected = apply_op(op, inputs, attributes, {});
  const RowOp row = row_op(kernel_for(op, inputs), attributes);
  std::int64_t cols = op.row.column_result ? 0 : expected.shape().back(), rows = expected.size();
  for (std::uint32_t i = 0; i < inputs.size(); ++i)
    if ((op.row.column_inputs >> i & 1) == 0) cols = inputs[i].shape().back();
  if (expected.size() == 0) return;
  if (!op.row.column_result) rows /= cols;
  for (const std::int64_t tile : {rows, std::int64_t{1}}) {
    const Tensor out = fresh(expected.dtype(), expected.shape());
    for (std::int64_t r = 0; r < rows; r += tile) {
      const auto at = [&](const Tensor& x, bool column) {
        return x.get()->data + static_cast<std::size_t>(column ? r : r * cols) * item_size(x.dtype());
      };
      std::byte* slots[1 + RowOp::max_inputs] = {at(out, op.row.column_result)};
      for (std::uint32_t i = 0; i < inputs.size(); ++i)
        slots[i + 1] = at(inputs[i], (op.row.column_inputs >> i & 1) != 0);
      row.kernel(slots, row, tile, cols);
    }
    CHECK_MESSAGE(same_bits(out, expected), op.name, " of ", rows, " rows of ", cols, ", ", tile,
                  " at a time");
  }
}

bool fits(const OperatorDefinition& op, const Tensors& inputs, const void* attributes) {
  std::vector<detail::TensorImpl*> list;
  for (const Tensor& x : inputs) list.push_back(x.get());
  return op.row.fits(Call{op, list.data(), static_cast<std::uint32_t>(list.size()), attributes});
}

}  // namespace

TEST_CASE("elementwise row kernels give the bits of the eager kernel, for every operator and sample") {
  int checked = 0;
  for (const OperatorDefinition* op : operators()) {
    if (!op->row.elementwise || !op->samples) continue;
    const Samples samples = op->samples();
    if (samples.list().empty()) continue;  // made by another test
    bool any = false;
    for (const Sample& sample : samples.list()) {
      for (const DType floating : {DType::float32, DType::float64}) {
        const Tensors values = typed(sample, floating);
        bool empty = false;
        for (const Tensor& x : values) empty |= x.size() == 0;
        if (empty || kernel_for(*op, values) == nullptr) continue;
        check_elementwise(*op, values, sample.attribute_data());
        any = true;
      }
      if (any && op->max_inputs > 3) break;  // many masks
    }
    // Operators that other tests define may come without samples.
    if (samples.list().empty()) continue;
    CHECK_MESSAGE(any, op->name, " has no sample for its row kernel");
    ++checked;
  }
  CHECK(checked > 60);
}

TEST_CASE("elementwise row kernels of integers and bools give the bits of the eager kernel") {
  const Tensor whole = tensor({3, -1, 0, 7, 2, -5}), other = tensor({1, -1, 4, 7, 0});
  const Tensor flags = tensor({true, false, false, true}), more = tensor({true, true, false});
  for (const char* name : {"add", "subtract", "multiply", "maximum", "less", "equal", "logical_and"})
    check_elementwise(*find_operator(name), {whole, other}, nullptr);
  for (const char* name : {"equal", "less_equal", "logical_and", "logical_or"})
    check_elementwise(*find_operator(name), {flags, more}, nullptr);
  check_elementwise(*find_operator("clip"), {whole, other, tensor({5, 9})}, nullptr);
  check_elementwise(*find_operator("where"), {flags, whole, other}, nullptr);
  check_elementwise(*find_operator("where"), {flags, more, flags}, nullptr);
  for (const DType from : {DType::bool_, DType::int64, DType::float32, DType::float64})
    for (const DType to : {DType::bool_, DType::int64, DType::float32, DType::float64}) {
      const bool to_discrete = is_floating(from) && !is_floating(to);
      const Tensor x = cast(tensor({0.0, -2.75, 1.0, 1e30, 3.5}), from);
      check_elementwise(*find_operator(to_discrete ? "cast_to_discrete" : "cast"), {x}, &to);
    }
}

TEST_CASE("row kernels of whole rows give the bits of the eager kernel, for every operator and sample") {
  int checked = 0;
  random::Generator generator(11);
  for (const OperatorDefinition* op : operators()) {
    if (op->row.fits == nullptr || !op->samples) continue;
    int fitting = 0;
    const Samples samples = op->samples();
    for (const Sample& sample : samples.list())
      for (const DType floating : {DType::float32, DType::float64}) {
        const Tensors inputs = typed(sample, floating);
        if (kernel_for(*op, inputs) == nullptr || !fits(*op, inputs, sample.attribute_data())) continue;
        ++fitting;
        check_rows(*op, inputs, sample.attribute_data());
        if (inputs[0].ndim() != 2 || op->row.column_inputs != 0) continue;
        for (const Shape& shape : {Shape{1, 1}, Shape{5, 1}, Shape{70, 3}, Shape{3, 16}, Shape{20, 37},
                                   Shape{2, 100}, Shape{150, 7}, Shape{3, 5000}}) {
          Tensors large;
          for (std::size_t i = 0; i < inputs.size(); ++i) large.push_back(generator.normal(shape, floating));
          check_rows(*op, large, sample.attribute_data());
        }
      }
    CHECK_MESSAGE(fitting > 0, op->name, " has no sample that its row rule fits");
    ++checked;
  }
  CHECK(checked >= 15);
}

TEST_CASE("row rules fit the last axis alone") {
  const OperatorDefinition& softmax = *find_operator("softmax");
  const Samples samples = softmax.samples();
  for (const Sample& sample : samples.list()) {
    std::int64_t axis;
    std::memcpy(&axis, sample.attribute_data(), sizeof axis);
    CHECK(fits(softmax, sample.inputs, sample.attribute_data()) == (axis == sample.inputs[0].ndim() - 1));
  }
  // Positions of another number of rows, although as many elements.
  const OperatorDefinition& take = *find_operator("take_along_axis");
  const std::int64_t last = 2, first = 0;
  const auto positions = [](const Shape& shape) { return zeros(shape, DType::int64); };
  CHECK(fits(take, {zeros({2, 3, 4}), positions({2, 3, 1})}, &last));
  CHECK(fits(take, {zeros({2, 3, 4}), positions({2, 3})}, &last));
  CHECK_FALSE(fits(take, {zeros({2, 1, 4}), positions({1, 2, 1})}, &last));
  CHECK_FALSE(fits(take, {zeros({2, 3, 4}), positions({2, 3, 4})}, &last));
  CHECK_FALSE(fits(take, {zeros({2, 3, 4}), positions({1, 3, 4})}, &first));
}

TEST_CASE("sum says when it adds up rows: over the leading axes or all of them") {
  const OperatorDefinition& sum = *find_operator("sum");
  int leading = 0;
  const Samples samples = sum.samples();
  for (const Sample& sample : samples.list()) {
    detail::TensorImpl* inputs[] = {sample.inputs[0].get()};
    const void* const attributes = sample.attribute_data();
    if (!sum.row.sums_rows(Call{sum, inputs, 1, attributes})) continue;
    ++leading;
    const Tensor& x = sample.inputs[0];
    const Tensor y = apply_op(sum, {x}, attributes, {});
    const std::vector<double> total = y.to_vector<double>(), terms = x.to_vector<double>();
    for (std::size_t j = 0; j < total.size(); ++j) {
      double expected = 0;
      for (std::size_t i = j; i < terms.size(); i += total.size()) expected += terms[i];
      CHECK(total[j] == doctest::Approx(expected));
    }
  }
  CHECK(leading >= 3);
}

TEST_CASE("operators that check the values of their inputs say so, and their row kernels throw") {
  for (const char* name :
       {"take", "take_transposed", "take_along_axis", "take_along_axis_transposed", "one_hot"})
    CHECK_MESSAGE(find_operator(name)->checks_values, name);
  for (const char* name : {"add", "sum", "softmax", "where", "cast", "matmul"})
    CHECK_FALSE_MESSAGE(find_operator(name)->checks_values, name);

  const OperatorDefinition& take = *find_operator("take_along_axis");
  const Tensor x = zeros({2, 3}), out = zeros({2});
  const std::int64_t axis = 1;
  const RowOp row = row_op(take.row.kernel[static_cast<int>(DType::float32)], &axis);
  const auto run = [&](const Tensor& positions) {
    std::byte* const slots[] = {out.get()->data, x.get()->data, positions.get()->data};
    row.kernel(slots, row, 2, 3);
  };
  CHECK_NOTHROW(run(tensor({-3, 2})));
  CHECK_THROWS_WITH_AS(run(tensor({0, 3})), "take_along_axis: position 3 is outside axis 1 of length 3",
                       IndexError);
  CHECK_THROWS_AS(run(tensor({-4, 0})), IndexError);
}
