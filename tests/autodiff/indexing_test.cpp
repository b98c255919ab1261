// Slices, take, take_along_axis, one_hot: values against index arithmetic, gradients by hand, error texts.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/samples.hpp"

using namespace wengert;
using samples::values;

namespace {

constexpr std::int64_t none = Slice::none;
using Index = std::vector<std::int64_t>;

double at(const Tensor& x, const Index& index) {
  std::int64_t k = 0;
  for (int d = 0; d < x.ndim(); ++d) k = k * x.shape()[d] + index[static_cast<std::size_t>(d)];
  return x.to_vector<double>()[static_cast<std::size_t>(k)];
}

std::vector<double> list(const Tensor& x) { return cast(x, DType::float64).to_vector<double>(); }

Tensor ints(const std::vector<std::int64_t>& v, const Shape& shape) {
  return from_span<std::int64_t>(v, shape);
}

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

#define CHECK_MESSAGE_HAS(expression, text)                                      \
  CHECK_MESSAGE(message_of([&] { expression; }).find(text) != std::string::npos, \
                message_of([&] { expression; }))

bool share(const Tensor& a, const Tensor& b) { return a.impl().storage == b.impl().storage; }

Tensor pull(const Tensor& y, const Tensor& x, const Tensor& cotangent) {
  return gradients(y, {x}, {.cotangent = cotangent})[0];
}

// Python's rule, from its definition: the indices that range(*slice(a, b, s).indices(n)) gives.
std::vector<std::int64_t> python_range(std::int64_t a, std::int64_t b, std::int64_t step, std::int64_t n) {
  std::vector<std::int64_t> result;
  const std::int64_t lower = step < 0 ? -1 : 0, upper = step < 0 ? n - 1 : n;
  const auto end = [&](std::int64_t v, std::int64_t omitted) {
    if (v == none) return omitted;
    if (v < 0) return std::max(v + n, lower);
    return std::min(v, upper);
  };
  const std::int64_t start = end(a, step < 0 ? upper : lower), stop = end(b, step < 0 ? lower : upper);
  for (std::int64_t i = start; step < 0 ? i > stop : i < stop; i += step) result.push_back(i);
  return result;
}

}  // namespace

TEST_CASE("slice follows Python's rules for every start, stop and step") {
  for (const std::int64_t n : {0, 1, 2, 5}) {
    const Tensor x = arange(n);
    std::vector<std::int64_t> ends{none};
    for (std::int64_t e = -n - 2; e <= n + 2; ++e) ends.push_back(e);
    for (const std::int64_t a : ends)
      for (const std::int64_t b : ends)
        for (const std::int64_t step : {1, 2, 3, 7, -1, -2, -3, -7}) {
          const Tensor y = slice(x, {Slice(a, b, step)});
          INFO("n=", n, " ", a, ":", b, ":", step);
          REQUIRE(y.to_vector<std::int64_t>() == python_range(a, b, step, n));
        }
  }
  const Tensor x = arange(5);
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK(slice(x, {Slice(1, huge, huge)}).to_vector<std::int64_t>() == std::vector<std::int64_t>{1});
  CHECK(slice(x, {Slice(-huge, huge)}).to_vector<std::int64_t>().size() == 5);
  CHECK(slice(x, {Slice(none, none, none)}).to_vector<std::int64_t>() == std::vector<std::int64_t>{4});
}

TEST_CASE("slice of several axes is a view") {
  const Tensor x = values({4, 5, 6});
  const Tensor y = slice(x, {Slice(3, none, -2), -2, Slice(1, 5)});
  CHECK(y.shape() == Shape{2, 4});
  CHECK(share(x, y));
  for (std::int64_t i = 0; i < 2; ++i)
    for (std::int64_t j = 0; j < 4; ++j) CHECK(at(y, {i, j}) == at(x, {3 - 2 * i, 3, 1 + j}));
  CHECK(slice(x, {}).shape() == x.shape());
  CHECK(slice(x, {1, 2, 3}).shape() == Shape{});
  CHECK(slice(x, {1, 2, 3}).item<double>() == at(x, {1, 2, 3}));
  CHECK(list(slice(x, {{0, 2}, 3})) == list(slice(x, {Slice(0, 2), Slice(3)})));
  CHECK(list(slice(x, -1, Slice(0, 2))) == list(slice(x, {Slice(), Slice(), Slice(0, 2)})));
  CHECK(slice(x, 1, 4).shape() == Shape{4, 6});
  const Tensor again = slice(slice(x, 0, Slice(none, none, -1)), 0, Slice(none, none, -1));
  CHECK(again.is_contiguous());
  CHECK(list(again) == list(x));
}

TEST_CASE("elementwise operators read slices with any steps") {
  const Tensor x = values({9, 70});
  for (const Tensor& y :
       {slice(x, {Slice(1, 8), Slice(3, 68)}), slice(x, {Slice(none, none, -1)}),
        slice(x, {Slice(), Slice(none, none, -3)}), slice(x, {Slice(0, none, 4), Slice(5, 6)})})
    CHECK(list(y * 2.0) == list(2.0 * contiguous(y)));
}

TEST_CASE("the derivative of slice puts the cotangent back into zeros") {
  const Tensor x = variable(values({3, 4}));
  const Tensor g = pull(slice(x, {Slice(none, none, -2), Slice(1, 3)}), x,
                        tensor({{1.0, 2.0}, {3.0, 4.0}}, DType::float64));
  CHECK(list(g) == std::vector<double>{0, 3, 4, 0, 0, 0, 0, 0, 0, 1, 2, 0});
  // Overlapping slices add up.
  const Tensor twice = gradients(sum(slice(x, {0})) + sum(slice(x, {Slice(0, 2), 1})), {x})[0];
  CHECK(list(twice) == std::vector<double>{1, 2, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0});
  CHECK(list(pull(slice(x, {Slice(2, 2)}), x, zeros({0, 4}, DType::float64))) ==
        std::vector<double>(12, 0.0));
  // Twice: sum of cubes of a part.
  const Tensor part = slice(x, {1, Slice(0, 2)});
  const Tensor first = gradients(sum(part * part * part), {x}, {.create_graph = true})[0];
  const Tensor second = gradients(sum(first), {x})[0];
  for (std::int64_t i = 0; i < 3; ++i)
    for (std::int64_t j = 0; j < 4; ++j)
      CHECK(at(second, {i, j}) == doctest::Approx(i == 1 && j < 2 ? 6 * at(x, {i, j}) : 0.0));
}

TEST_CASE("slice_to places what slice takes") {
  const Tensor g = values({2, 3});
  const Tensor y = slice_to(transpose(transpose(g)), {2, 5, 3}, {Slice(), -2});
  CHECK(y.shape() == Shape{2, 5, 3});
  CHECK(list(slice(y, {Slice(), -2})) == list(g));
  CHECK(sum(abs(y)).item<double>() == doctest::Approx(sum(abs(g)).item<double>()));
  const Tensor v = variable(g);
  CHECK(list(pull(slice_to(v, {2, 7}, {Slice(), Slice(6, 0, -2)}), v, values({2, 7}))) ==
        list(slice(values({2, 7}), {Slice(), Slice(6, 0, -2)})));
  CHECK_MESSAGE_HAS(slice_to(g, {2, 5}, {Slice(), Slice(0, 4)}),
                    "slice_to: not what the slices leave of the shape [2, 5]: x is float64[2, 3]");
}

TEST_CASE("slice names what is wrong") {
  const Tensor x = values({2, 3});
  CHECK_MESSAGE_HAS(slice(x, {0, 3}), "slice: position 3 is outside axis 1 of float64[2, 3]");
  CHECK_MESSAGE_HAS(slice(x, {-3}), "slice: position -3 is outside axis 0 of float64[2, 3]");
  CHECK_MESSAGE_HAS(slice(x, {0, 0, 0}), "slice: 3 slices for the axes of float64[2, 3]");
  CHECK_MESSAGE_HAS(slice(x, {Slice(0, 1, 0)}), "slice: the step along axis 0 is 0");
  CHECK_MESSAGE_HAS(slice(x, 2, Slice(0, 1)), "slice: axis 2 is not an axis of float64[2, 3]");
  CHECK_THROWS_AS(slice(x, {2}), IndexError);
  CHECK_THROWS_AS(slice(x, {Slice(0, 1, 0)}), ValueError);
  CHECK_THROWS_AS(slice(x, {0, 0, 0}), ShapeError);
  const std::int64_t wide = (std::int64_t{1} << 32) + 1;  // must not be cut to 32 bits, which would be 1
  CHECK_THROWS_AS(slice(x, {wide}), IndexError);
  const unsigned line = __LINE__ + 1;
  CHECK_MESSAGE_HAS(slice(x, {5}), "indexing_test.cpp:" + std::to_string(line));
}

TEST_CASE("take agrees with index arithmetic along every axis, element type and layout") {
  const Tensor base = reshape(arange(3 * 4 * 5), {3, 4, 5});
  for (const DType dtype : {DType::int64, DType::float32, DType::float64, DType::bool_}) {
    const Tensor x = dtype == DType::bool_ ? cast(cast(sign(values({3, 4, 5})) + 1.0, DType::int64), dtype)
                                           : cast(base, dtype);
    for (const Tensor& source :
         {x, contiguous(transpose(x)), transpose(x), swapaxes(x, 1, 2),
          slice(x, {Slice(none, none, -1), Slice(1, 3)}), slice(x, 2, Slice(0, none, 2))})
      for (int axis = -3; axis < 3; ++axis) {
        const int a = axis < 0 ? axis + 3 : axis;
        const std::int64_t n = source.shape()[a];
        const Tensor indices = ints({0, n - 1, -1, -n, 0, n / 2}, {3, 2});
        for (const Tensor& index : {indices, transpose(indices)}) {
          const Tensor y = take(source, index, axis);
          REQUIRE(y.ndim() == 4);
          CHECK(y.dtype() == dtype);
          const std::vector<double> got = list(y), from = list(source), where = list(index);
          std::vector<double> expected;
          std::int64_t outer = 1, inner = 1;
          for (int d = 0; d < a; ++d) outer *= source.shape()[d];
          for (int d = a + 1; d < 3; ++d) inner *= source.shape()[d];
          for (std::int64_t o = 0; o < outer; ++o)
            for (const double p : where)
              for (std::int64_t i = 0; i < inner; ++i) {
                const auto position = static_cast<std::int64_t>(p < 0 ? p + static_cast<double>(n) : p);
                expected.push_back(from[static_cast<std::size_t>((o * n + position) * inner + i)]);
              }
          CHECK(got == expected);
        }
      }
  }
}

TEST_CASE("take handles single positions, no positions and empty rows") {
  const Tensor x = values({4, 3});
  CHECK(take(x, tensor(2)).shape() == Shape{3});
  CHECK(list(take(x, tensor(-1))) == list(slice(x, {3})));
  CHECK(take(values({5}), tensor(2)).shape() == Shape{});
  CHECK(take(x, ints({}, {0})).shape() == Shape{0, 3});
  CHECK(take(zeros({4, 0}), ints({1, 2}, {2})).shape() == Shape{2, 0});
  CHECK(take(zeros({0, 4}), ints({}, {2, 0})).shape() == Shape{2, 0, 4});
  CHECK_MESSAGE_HAS(take(zeros({0, 4}), tensor({0})),
                    "position 0 at indices[0] is outside axis 0 of length 0");
}

TEST_CASE("the derivative of take adds the contributions of repeated positions") {
  const Tensor x = variable(values({4, 2}));
  const Tensor y = take(x, tensor({2, 0, 2, -2}));
  const Tensor g = tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}, {7.0, 8.0}}, DType::float64);
  CHECK(list(pull(y, x, g)) == std::vector<double>{3, 4, 0, 0, 13, 16, 0, 0});
  // Along the last axis, with a strided cotangent.
  const Tensor z = take(x, tensor({1, 1, 0}), -1);
  CHECK(list(pull(z, x,
                  transpose(tensor({{1.0, 2.0, 3.0, 4.0}, {10.0, 20.0, 30.0, 40.0}, {5.0, 6.0, 7.0, 8.0}},
                                   DType::float64)))) == std::vector<double>{5, 11, 6, 22, 7, 33, 8, 44});
  CHECK(list(gradients(sum(take(x, ints({}, {0}))), {x})[0]) == std::vector<double>(8, 0.0));
  CHECK(take_transposed(tensor({1, 1, 1}), tensor({0, 2, 2}), {3}, 0).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, 0, 2});
}

TEST_CASE("scatters add in the order of the positions: float32 sums are those of a plain loop") {
  const std::int64_t count = 1000, rows = 7, width = 19;
  std::vector<std::int64_t> where;
  for (std::int64_t j = 0; j < count; ++j) where.push_back(j * j % 11 % rows);
  const Tensor g = cast(values({count, width}), DType::float32);
  const std::vector<float> from = g.to_vector<float>();
  std::vector<float> expected(static_cast<std::size_t>(rows * width), 0.0f);
  for (std::int64_t j = 0; j < count; ++j)
    for (std::int64_t i = 0; i < width; ++i)
      expected[static_cast<std::size_t>(where[static_cast<std::size_t>(j)] * width + i)] +=
          from[static_cast<std::size_t>(j * width + i)];
  CHECK(take_transposed(g, ints(where, {count}), {rows, width}, 0).to_vector<float>() == expected);
}

TEST_CASE("take_along_axis picks one position for every element") {
  const Tensor x = values({3, 4});
  const Tensor y = take_along_axis(x, ints({3, 0, -1, 1, 2, -4}, {3, 2}), 1);
  CHECK(y.shape() == Shape{3, 2});
  const std::int64_t expected[3][2] = {{3, 0}, {3, 1}, {2, 0}};
  for (std::int64_t i = 0; i < 3; ++i)
    for (std::int64_t j = 0; j < 2; ++j) CHECK(at(y, {i, j}) == at(x, {i, expected[i][j]}));
  const Tensor columns =
      take_along_axis(x, ints({2, 0, 1, -3, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 1, 2, 0}, {5, 4}), 0);
  CHECK(columns.shape() == Shape{5, 4});
  CHECK(at(columns, {0, 0}) == at(x, {2, 0}));
  CHECK(at(columns, {0, 3}) == at(x, {0, 3}));
  CHECK(at(columns, {4, 2}) == at(x, {2, 2}));
  CHECK(take_along_axis(tensor({true, false}), tensor({1, 0, 0}), 0).to_vector<bool>() ==
        std::vector<bool>{false, true, true});
}

TEST_CASE("take_along_axis broadcasts positions and values, in any layout") {
  const Tensor x = values({2, 3, 4});
  for (const Tensor& source : {x, contiguous(transpose(x, {1, 0, 2})), transpose(x, {1, 0, 2}),
                               slice(x, 2, Slice(none, none, -1))}) {
    const Shape& s = source.shape();
    const Tensor index = ints({1, 0, -1, 0, 1, 1, 0, 0}, {1, 2, 4});
    const Tensor y = take_along_axis(source, index, 1);
    REQUIRE(y.shape() == Shape{s[0], 2, 4});
    const std::int64_t where[2][4] = {{1, 0, s[1] - 1, 0}, {1, 1, 0, 0}};
    for (std::int64_t i = 0; i < s[0]; ++i)
      for (std::int64_t j = 0; j < 2; ++j)
        for (std::int64_t k = 0; k < 4; ++k) CHECK(at(y, {i, j, k}) == at(source, {i, where[j][k], k}));
  }
  // Values repeated over the positions: their contributions meet in the same place.
  const Tensor v = variable(values({1, 3}));
  const Tensor y = take_along_axis(v, ints({0, 2, 2, 0}, {4, 1}), 1);
  CHECK(y.shape() == Shape{4, 1});
  CHECK(list(pull(y, v, tensor({{1.0}, {2.0}, {4.0}, {8.0}}, DType::float64))) ==
        std::vector<double>{9, 0, 6});
}

TEST_CASE("take_along_axis accepts one label for each row") {
  const Tensor x = variable(values({3, 4}));
  const Tensor labels = tensor({3, 0, -1});
  const Tensor y = take_along_axis(x, labels, -1);
  CHECK(y.shape() == Shape{3});
  CHECK(list(y) == std::vector<double>{at(x, {0, 3}), at(x, {1, 0}), at(x, {2, 3})});
  CHECK(list(pull(y, x, tensor({1.0, 2.0, 3.0}, DType::float64))) ==
        std::vector<double>{0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3});
  const Tensor batch = values({2, 3, 4});
  CHECK(take_along_axis(batch, ints({0, 1, 2, 3, 0, 1}, {2, 3}), 2).shape() == Shape{2, 3});
  CHECK(take_along_axis(batch, ints({0, 1, 2}, {1, 3}), -1).shape() == Shape{2, 3});
  CHECK(take_along_axis(values({4}), tensor(2), -1).shape() == Shape{});
  CHECK_MESSAGE_HAS(take_along_axis(x, tensor({0, 1, 2, 3}), 0), "the positions don't fit x along axis 0");
}

TEST_CASE("the derivative of take_along_axis adds repeated positions, at every order") {
  const Tensor x = variable(values({2, 3}));
  const Tensor index = ints({1, 1, 0, 2, 2, 2}, {2, 3});
  CHECK(list(pull(take_along_axis(x, index, 1), x,
                  tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}, DType::float64))) ==
        std::vector<double>{3, 3, 0, 0, 0, 15});
  const Tensor y = take_along_axis(x, index, 1);
  const Tensor first = gradients(sum(y * y * y), {x}, {.create_graph = true})[0];
  const Tensor second = gradients(sum(first), {x})[0];
  const double counts[2][3] = {{1, 2, 0}, {0, 0, 3}};
  for (std::int64_t i = 0; i < 2; ++i)
    for (std::int64_t j = 0; j < 3; ++j)
      CHECK(at(second, {i, j}) == doctest::Approx(6 * counts[i][j] * at(x, {i, j})).epsilon(1e-13));
}

TEST_CASE("positions are int64 and inside their axis") {
  const Tensor x = values({4, 3});
  CHECK_MESSAGE_HAS(take(x, tensor({{0, 1}, {2, 4}})),
                    "take: position 4 at indices[1, 1] is outside axis 0 of length 4");
  CHECK_MESSAGE_HAS(take(x, transpose(tensor({{0, 1}, {-4, 0}})), -1),
                    "take: position -4 at indices[0, 1] is outside axis 1 of length 3");
  CHECK_MESSAGE_HAS(take(x, tensor(7)), "take: position 7 is outside axis 0 of length 4");
  CHECK_MESSAGE_HAS(take(x, tensor({INT64_MIN})), "take: position -9223372036854775808 at indices[0]");
  CHECK_MESSAGE_HAS(take(x, tensor({1.0})),
                    "take: the positions must be int64: a is float64[4, 3], b is float32[1]");
  CHECK_MESSAGE_HAS(take(x, tensor({0}), 2), "take: axis 2 is not an axis of float64[4, 3]");
  CHECK_MESSAGE_HAS(take_along_axis(x, tensor({0, 1, 2, 3}), -1),
                    "take_along_axis: position 3 at indices[3] is outside axis 1 of length 3");
  CHECK_MESSAGE_HAS(take_along_axis(x, ints({0, 0}, {2, 1}), 1), "the positions don't fit x along axis 1");
  CHECK_MESSAGE_HAS(take_along_axis(x, tensor({{true}}), 1), "the positions must be int64");
  CHECK_MESSAGE_HAS(take_transposed(x, tensor({0, 9, 1, 1}), {5, 3}, 0),
                    "position 9 at indices[1] is outside axis 0 of length 5");
  CHECK_THROWS_AS(take(x, tensor({4})), IndexError);
  CHECK_THROWS_AS(take(x, ones({1})), DTypeError);
  CHECK_THROWS_AS(take_along_axis(x, tensor({0, 0, 0, 3}), -1), IndexError);
}

TEST_CASE("one_hot writes a 1 at each position") {
  const Tensor y = one_hot(tensor({{1, 0}, {2, 2}}), 3);
  CHECK(y.dtype() == DType::float32);
  CHECK(y.shape() == Shape{2, 2, 3});
  CHECK(list(y) == std::vector<double>{0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1});
  CHECK(list(one_hot(transpose(tensor({{1, 0}, {2, 2}})), 3)) ==
        std::vector<double>{0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1});
  CHECK(one_hot(tensor({1}), 2, DType::bool_).to_vector<bool>() == std::vector<bool>{false, true});
  CHECK(one_hot(tensor({1}), 2, DType::int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1});
  CHECK(one_hot(tensor(1), 2, DType::float64).to_vector<double>() == std::vector<double>{0, 1});
  CHECK(one_hot(ints({}, {0}), 4).shape() == Shape{0, 4});
  CHECK_MESSAGE_HAS(one_hot(tensor({0, 3}), 3), "one_hot: position 3 at indices[1] is outside the 3 classes");
  CHECK_MESSAGE_HAS(one_hot(tensor({-1}), 3), "one_hot: position -1 at indices[0] is outside the 3 classes");
  CHECK_MESSAGE_HAS(one_hot(tensor({0}), -2), "one_hot: asked for -2 classes");
  CHECK_MESSAGE_HAS(one_hot(ones({2}), 3), "one_hot: the positions must be int64");
}

TEST_CASE("cross-entropy by take_along_axis has the gradient softmax - one_hot") {
  const Tensor logits = variable(values({5, 3}));
  const Tensor labels = tensor({0, 2, 1, 1, 0});
  const Tensor loss = -sum(take_along_axis(log_softmax(logits, -1), labels, -1));
  const Tensor g = gradients(loss, {logits})[0];
  const Tensor expected = softmax(logits, -1) - one_hot(labels, 3, DType::float64);
  for (std::int64_t i = 0; i < 5; ++i)
    for (std::int64_t j = 0; j < 3; ++j)
      CHECK(at(g, {i, j}) == doctest::Approx(at(expected, {i, j})).epsilon(1e-13));
}
