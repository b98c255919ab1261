// Casts, views, joining: values against index arithmetic, sharing of elements, gradients, error texts.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/samples.hpp"

using namespace wengert;
using samples::values;

namespace {

using Index = std::vector<std::int64_t>;

// All positions of a shape in row-major order.
std::vector<Index> positions(const Shape& shape) {
  std::vector<Index> all;
  for (std::int64_t k = 0; k < shape.elements(); ++k) {
    Index index(static_cast<std::size_t>(shape.size()));
    std::int64_t rest = k;
    for (int d = shape.size(); d-- > 0; rest /= shape[d])
      index[static_cast<std::size_t>(d)] = rest % shape[d];
    all.push_back(index);
  }
  return all;
}

std::int64_t offset(const Shape& shape, const Index& index) {
  std::int64_t at = 0;
  for (int d = 0; d < shape.size(); ++d) at = at * shape[d] + index[static_cast<std::size_t>(d)];
  return at;
}

double at(const Tensor& x, const Index& index) {
  return x.to_vector<double>()[static_cast<std::size_t>(offset(x.shape(), index))];
}

std::vector<double> list(const Tensor& x) { return cast(x, DType::float64).to_vector<double>(); }

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

}  // namespace

TEST_CASE("cast converts between all element types") {
  const Tensor f = tensor({1.9, -1.9, 0.0, 0.25}, DType::float64);
  CHECK(cast(f, DType::int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, -1, 0, 0});
  CHECK(cast(f, DType::bool_).to_vector<bool>() == std::vector<bool>{true, true, false, true});
  CHECK(cast(f, DType::float32).to_vector<float>() == std::vector<float>{1.9f, -1.9f, 0.0f, 0.25f});
  CHECK(cast(tensor({true, false}), DType::float32).to_vector<float>() == std::vector<float>{1, 0});
  CHECK(cast(tensor({true, false}), DType::int64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, 0});
  CHECK(cast(tensor({-3, 0, 7}), DType::float64).to_vector<double>() == std::vector<double>{-3, 0, 7});
  CHECK(cast(tensor({-3, 0, 7}), DType::bool_).to_vector<bool>() == std::vector<bool>{true, false, true});
  CHECK(cast(f, DType::float64).get() == f.get());
  CHECK(cast(zeros({0, 3}), DType::int64).shape() == Shape{0, 3});
}

TEST_CASE("casts to integers are defined for every floating value") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Tensor x = from_vector<double>({inf, -inf, std::nan(""), 1e300, 9.3e18, -9.223372036854775808e18});
  for (const std::int64_t v : cast(x, DType::int64).to_vector<std::int64_t>()) CHECK(v == INT64_MIN);
  const Tensor narrow = from_vector<float>({3e38f, std::nanf(""), 16777216.0f, -0.9f});
  CHECK(cast(narrow, DType::int64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{INT64_MIN, INT64_MIN, 16777216, 0});
  CHECK(cast(from_vector<double>({std::nan(""), -0.0}), DType::bool_).to_vector<bool>() ==
        std::vector<bool>{true, false});
}

TEST_CASE("cast reads strided views") {
  const Tensor x = values({5, 7});
  const Tensor strided = slice(transpose(x), {Slice(Slice::none, Slice::none, -2), Slice(1, 5)});
  const Tensor c = cast(strided, DType::float32);
  CHECK(c.is_contiguous());
  for (const Index& i : positions(c.shape()))
    CHECK(at(cast(c, DType::float64), i) == static_cast<float>(at(x, {1 + i[1], 6 - 2 * i[0]})));
}

TEST_CASE("the derivative of cast goes back to the element type, not through integers") {
  const Tensor x = variable(cast(values({3}), DType::float32));
  const Tensor y = cast(x, DType::float64);
  const Tensor g = pull(y, x, tensor({1.0, 2.0, 3.0}, DType::float64));
  CHECK(g.dtype() == DType::float32);
  CHECK(list(g) == std::vector<double>{1, 2, 3});
  CHECK_FALSE(cast(x, DType::int64).requires_grad());
  CHECK_FALSE(cast(x, DType::bool_).requires_grad());
  CHECK(list(pull(x * cast(cast(x, DType::int64), DType::float32), x, ones({3}))) ==
        list(cast(cast(x, DType::int64), DType::float32)));
}

TEST_CASE("alias and stop_gradient share elements; only alias has a history") {
  const Tensor x = variable(values({4}));
  CHECK(share(alias(x), x));
  CHECK(share(stop_gradient(x), x));
  CHECK(alias(x).requires_grad());
  CHECK_FALSE(stop_gradient(x).requires_grad());
  const Tensor g = pull(x * stop_gradient(x), x, ones({4}, DType::float64));
  CHECK(list(g) == list(x));
  CHECK(list(pull(alias(x) * x, x, ones({4}, DType::float64))) == list(2.0 * x));
}

TEST_CASE("contiguous copies strided views and nothing else") {
  const Tensor x = values({3, 4});
  CHECK(contiguous(x).get() == x.get());
  const Tensor t = transpose(x);
  CHECK_FALSE(t.is_contiguous());
  const Tensor c = contiguous(t);
  CHECK(c.is_contiguous());
  CHECK_FALSE(share(c, x));
  CHECK(c.to_vector<double>() == t.to_vector<double>());
  const Tensor v = variable(x);
  CHECK(list(pull(contiguous(transpose(v)), v, transpose(x))) == list(x));
}

TEST_CASE("copies of strided arrays agree with index arithmetic for every item size") {
  // Shapes around the tile sizes; steps backwards, repeated axes, transposed and permuted ones.
  for (const Shape& shape : {Shape{37, 18}, Shape{2, 33, 17}, Shape{1, 1}, Shape{16, 16}, Shape{5, 1, 40}})
    for (const DType dtype : {DType::bool_, DType::int64, DType::float32, DType::float64}) {
      const Tensor x = cast(reshape(arange(shape.elements()), shape), dtype);
      const Tensor backwards = slice(x, -1, Slice(Slice::none, Slice::none, -1));
      for (const Tensor& view : {transpose(x), swapaxes(x, 0, 1), backwards, transpose(backwards),
                                 slice(x, 0, Slice(0, Slice::none, 2)),
                                 transpose(broadcast_to(slice(x, 0, Slice(0, 1)), shape))}) {
        CHECK(list(contiguous(view)) == [&] {
          std::vector<double> expected;
          switch (dtype) {
            case DType::bool_:
              for (bool v : view.to_vector<bool>()) expected.push_back(v);
              break;
            case DType::int64:
              for (auto v : view.to_vector<std::int64_t>()) expected.push_back(static_cast<double>(v));
              break;
            case DType::float32:
              for (float v : view.to_vector<float>()) expected.push_back(v);
              break;
            case DType::float64:
              expected = view.to_vector<double>();
          }
          return expected;
        }());
      }
    }
}

TEST_CASE("reshape of contiguous elements is a view, -1 is worked out") {
  const Tensor x = values({2, 6});
  const Tensor y = reshape(x, {3, -1});
  CHECK(y.shape() == Shape{3, 4});
  CHECK(share(x, y));
  CHECK(list(y) == list(x));
  CHECK(reshape(x, {-1}).shape() == Shape{12});
  CHECK(reshape(values({}), {1, 1}).shape() == Shape{1, 1});
  CHECK(reshape(values({1, 1}), {}).shape() == Shape{});
  CHECK(reshape(zeros({0, 3}), {3, 0}).shape() == Shape{3, 0});
  CHECK(reshape(zeros({0, 3}), {-1, 3}).shape() == Shape{0, 3});
  CHECK(reshape(x, {2, 6}).get() == x.get());
}

TEST_CASE("reshape of strided elements shares them where strides allow it and copies elsewhere") {
  const Tensor x = values({4, 6, 5});
  const Tensor cut = slice(x, {Slice(), Slice(1, 4)});  // [4, 3, 5], gaps between the first axis only
  CHECK(share(reshape(cut, {2, 2, 15}), x));
  CHECK(list(reshape(cut, {2, 2, 15})) == list(cut));
  CHECK(share(reshape(cut, {4, 1, 5, 3}), x));
  CHECK(list(reshape(cut, {4, 1, 5, 3})) == list(cut));
  CHECK_FALSE(share(reshape(cut, {12, 5}), x));
  CHECK(list(reshape(cut, {12, 5})) == list(cut));
  CHECK(list(reshape(transpose(x), {10, 12})) == list(transpose(x)));
  const Tensor repeated = broadcast_to(values({3, 1}), {3, 4});
  CHECK(list(reshape(repeated, {12})) == list(repeated));
  CHECK(share(reshape(repeated, {3, 2, 2}), repeated));
  CHECK(list(reshape(repeated, {3, 2, 2})) == list(repeated));
  const Tensor v = variable(values({2, 3}));
  CHECK(list(pull(reshape(transpose(v), {6}), v, tensor({0.0, 1.0, 2.0, 3.0, 4.0, 5.0}, DType::float64))) ==
        std::vector<double>{0, 2, 4, 1, 3, 5});
}

TEST_CASE("reshape names what does not fit") {
  const Tensor x = values({2, 3});
  const unsigned line = __LINE__ + 1;
  const std::string text = message_of([&] { reshape(x, {4}); });
  CHECK(text ==
        "reshape: the 6 elements don't fit into the shape [4]: x is float64[2, 3] (structure_test.cpp:" +
            std::to_string(line) + ")");
  CHECK_MESSAGE_HAS(reshape(x, {4, -1}), "no length fits for the -1 of [4, -1]: x is float64[2, 3]");
  CHECK_MESSAGE_HAS(reshape(x, {-1, -1}), "only one entry of [-1, -1] may be -1");
  CHECK_MESSAGE_HAS(reshape(zeros({0}), {0, -1}), "no length fits");
  CHECK_MESSAGE_HAS(reshape(x, {-2, -3}), "don't fit into the shape [-2, -3]");
  CHECK_THROWS_AS(reshape(x, {5}), ShapeError);
  CHECK_THROWS_AS(reshape(Tensor(), {5}), GraphError);
}

TEST_CASE("transpose and swapaxes permute axes without a copy") {
  const Tensor x = values({2, 3, 4});
  const Tensor t = transpose(x);
  const Tensor p = transpose(x, {1, -1, 0});
  const Tensor s = swapaxes(x, -1, 0);
  CHECK(t.shape() == Shape{4, 3, 2});
  CHECK(p.shape() == Shape{3, 4, 2});
  CHECK(s.shape() == Shape{4, 3, 2});
  CHECK(share(t, x));
  CHECK(share(p, x));
  CHECK(share(s, x));
  for (const Index& i : positions(x.shape())) {
    CHECK(at(t, {i[2], i[1], i[0]}) == at(x, i));
    CHECK(at(p, {i[1], i[2], i[0]}) == at(x, i));
    CHECK(at(s, {i[2], i[1], i[0]}) == at(x, i));
  }
  CHECK(swapaxes(x, 1, 1).get() == x.get());
  CHECK(transpose(values({})).shape() == Shape{});
  CHECK(transpose(zeros({0, 2})).shape() == Shape{2, 0});

  const Tensor v = variable(x);
  const Tensor g = values({3, 4, 2}, 5);
  CHECK(list(pull(transpose(v, {1, 2, 0}), v, g)) == list(transpose(g, {2, 0, 1})));
  CHECK(list(pull(transpose(v), v, values({4, 3, 2}, 5))) == list(transpose(values({4, 3, 2}, 5))));
  CHECK_MESSAGE_HAS(transpose(x, {0, 1}),
                    "the axes [0, 1] are not a permutation of x's: x is float64[2, 3, 4]");
  CHECK_MESSAGE_HAS(transpose(x, {0, 1, 1}), "are not a permutation");
  CHECK_MESSAGE_HAS(transpose(x, {0, 1, 3}), "transpose: axis 3 is not an axis of float64[2, 3, 4]");
  CHECK_MESSAGE_HAS(swapaxes(x, 0, -4), "swapaxes: axis -4 is not an axis of float64[2, 3, 4]");
}

TEST_CASE("broadcast_to repeats without a copy and its derivative sums") {
  const Tensor x = values({2, 1, 3});
  const Tensor y = broadcast_to(x, {4, 2, 5, 3});
  CHECK(share(x, y));
  for (const Index& i : positions(y.shape())) CHECK(at(y, i) == at(x, {i[1], 0, i[3]}));
  CHECK(broadcast_to(x, {2, 1, 3}).get() == x.get());
  CHECK(broadcast_to(values({1, 3}), {0, 3}).shape() == Shape{0, 3});
  CHECK_MESSAGE_HAS(broadcast_to(x, {2, 5, 4}),
                    "cannot be repeated to the shape [2, 5, 4]: x is float64[2, 1, 3]");
  CHECK_MESSAGE_HAS(broadcast_to(x, {3}), "cannot be repeated to the shape [3]");

  const Tensor v = variable(x);
  const Tensor g = values({4, 2, 5, 3}, 3);
  const Tensor d = pull(broadcast_to(v, g.shape()), v, g);
  CHECK(d.shape() == x.shape());
  for (const Index& i : positions(x.shape())) {
    double sum = 0;
    for (std::int64_t a = 0; a < 4; ++a)
      for (std::int64_t b = 0; b < 5; ++b) sum += at(g, {a, i[0], b, i[2]});
    CHECK(at(d, i) == doctest::Approx(sum).epsilon(1e-14));
  }
  const Tensor none =
      pull(broadcast_to(variable(values({1, 3})), {0, 3}) * 1.0, v, zeros({0, 3}, DType::float64));
  CHECK(list(none) == std::vector<double>(6, 0.0));
}

TEST_CASE("sum_to is the transpose of broadcast_to") {
  const Tensor x = values({4, 2, 5, 3});
  const Tensor y = sum_to(x, {2, 1, 3});
  CHECK(y.shape() == Shape{2, 1, 3});
  const Tensor u = values({2, 1, 3}, 9);
  double left = 0, right = 0;
  for (const Index& i : positions(y.shape())) left += at(y, i) * at(u, i);
  for (const Index& i : positions(x.shape())) right += at(x, i) * at(u, {i[1], 0, i[3]});
  CHECK(left == doctest::Approx(right).epsilon(1e-13));
  CHECK(sum_to(x, x.shape()).get() == x.get());
  CHECK(sum_to(x, {}).shape() == Shape{});
  CHECK(list(sum_to(zeros({0, 2}), {1, 2})) == std::vector<double>{0, 0});
  const Tensor v = variable(x);
  CHECK(list(pull(sum_to(v, {2, 1, 3}), v, u)) == list(broadcast_to(u, x.shape())));
  CHECK_MESSAGE_HAS(sum_to(x, {2, 3}), "sum_to: the shape [2, 3] cannot be repeated to float64[4, 2, 5, 3]");
  CHECK_MESSAGE_HAS(sum_to(values({3}), {2, 3}), "cannot be repeated");
}

TEST_CASE("squeeze and expand_dims remove and add axes of length 1 without a copy") {
  const Tensor x = values({1, 3, 1});
  CHECK(squeeze(x).shape() == Shape{3});
  CHECK(squeeze(x, 0).shape() == Shape{3, 1});
  CHECK(squeeze(x, {0, -1}).shape() == Shape{3});
  CHECK(share(squeeze(x), x));
  CHECK(squeeze(values({2, 3})).shape() == Shape{2, 3});
  CHECK(expand_dims(values({2, 3}), 0).shape() == Shape{1, 2, 3});
  CHECK(expand_dims(values({2, 3}), -1).shape() == Shape{2, 3, 1});
  CHECK(expand_dims(values({2, 3}), -2).shape() == Shape{2, 1, 3});
  CHECK(expand_dims(values({}), 0).shape() == Shape{1});
  // Strided ones stay views as well.
  const Tensor t = transpose(values({2, 1, 3}));
  CHECK(share(squeeze(t), t));
  CHECK(list(squeeze(t)) == list(t));
  CHECK(share(expand_dims(t, 1), t));
  CHECK(list(expand_dims(t, 1)) == list(t));

  const Tensor v = variable(x);
  CHECK(pull(squeeze(v), v, values({3})).shape() == Shape{1, 3, 1});
  CHECK(list(pull(expand_dims(v, 2), v, values({1, 3, 1, 1}))) == list(values({1, 3, 1, 1})));
  CHECK_MESSAGE_HAS(squeeze(x, 1), "axis 1 has length 3, not 1: x is float64[1, 3, 1]");
  CHECK_MESSAGE_HAS(squeeze(x, 3), "squeeze: axis 3 is not an axis of float64[1, 3, 1]");
  CHECK_MESSAGE_HAS(squeeze(x, {0, 0}), "axis 0 comes twice");
  CHECK_MESSAGE_HAS(expand_dims(x, 4), "no axis of the result is 4: x is float64[1, 3, 1]");
  CHECK_MESSAGE_HAS(expand_dims(x, -5), "no axis of the result is -5: x is float64[1, 3, 1]");
}

TEST_CASE("concatenate puts pieces one after the other") {
  const Tensor a = values({2, 3}), b = values({2, 1}, 1), c = zeros({2, 0}, DType::float64);
  const Tensor y = concatenate({a, c, transpose(transpose(b)), a}, -1);
  CHECK(y.shape() == Shape{2, 7});
  for (const Index& i : positions(y.shape()))
    CHECK(at(y, i) == (i[1] < 3 ? at(a, i) : i[1] == 3 ? at(b, {i[0], 0}) : at(a, {i[0], i[1] - 4})));
  const Tensor rows = concatenate({a, transpose(values({3, 4}, 2))}, 0);
  CHECK(rows.shape() == Shape{6, 3});
  CHECK(at(rows, {5, 2}) == at(values({3, 4}, 2), {2, 3}));
  CHECK(concatenate({zeros({0, 3}), zeros({0, 3})}).shape() == Shape{0, 3});

  Tensors many;
  for (int i = 0; i < 100; ++i) many.push_back(variable(full({1, 2}, 1.0 * i, DType::float64)));
  const Tensor long_one = concatenate(many);
  CHECK(long_one.shape() == Shape{100, 2});
  const Tensors g = gradients(sum(long_one * long_one), many);
  for (int i = 0; i < 100; ++i)
    CHECK(list(g[static_cast<std::size_t>(i)]) == std::vector<double>{2.0 * i, 2.0 * i});
}

TEST_CASE("stack joins along a new axis") {
  const Tensor a = values({2, 3}), b = values({2, 3}, 1);
  CHECK(list(stack({a, b})) == list(concatenate({expand_dims(a, 0), expand_dims(b, 0)}, 0)));
  const Tensor y = stack({a, transpose(values({3, 2}, 4)), b}, -1);
  CHECK(y.shape() == Shape{2, 3, 3});
  for (const Index& i : positions(Shape{2, 3})) {
    CHECK(at(y, {i[0], i[1], 0}) == at(a, i));
    CHECK(at(y, {i[0], i[1], 1}) == at(values({3, 2}, 4), {i[1], i[0]}));
    CHECK(at(y, {i[0], i[1], 2}) == at(b, i));
  }
  CHECK(stack({a, b}, 1).shape() == Shape{2, 2, 3});
  CHECK(stack({values({}), values({}, 1)}).shape() == Shape{2});
  const Tensor v = variable(a), w = variable(b);
  const Tensor g = values({2, 2, 3}, 7);
  const auto [dv, dw] = gradients<2>(stack({v, w}, 1), {v, w}, {.cotangent = g});
  for (const Index& i : positions(a.shape())) {
    CHECK(at(dv, i) == at(g, {i[0], 0, i[1]}));
    CHECK(at(dw, i) == at(g, {i[0], 1, i[1]}));
  }
  // The same tensor twice gets both parts.
  CHECK(list(gradients(sum(stack({v, v, v})), {v})[0]) == std::vector<double>(6, 3.0));
}

TEST_CASE("joining brings pieces to one element type and names the piece that doesn't fit") {
  const Tensor f = ones({2}), d = values({2}), i = tensor({1, 2});
  CHECK(concatenate({f, d}).dtype() == DType::float64);
  CHECK(concatenate({i, f}).dtype() == DType::float64);
  CHECK(stack({tensor({true, false}), i}).dtype() == DType::int64);
  const Tensor v = variable(f);
  CHECK(pull(concatenate({v, d}), v, values({4})).dtype() == DType::float32);
  CHECK_MESSAGE_HAS(
      concatenate({values({2, 3}), values({2, 3}), values({2, 4})}, 0),
      "piece 2 is float64[2, 4], piece 0 is float64[2, 3]: their shapes must agree but for the axis");
  CHECK_MESSAGE_HAS(stack({values({2}), values({3})}), "piece 1 is float64[3], piece 0 is float64[2]");
  CHECK_MESSAGE_HAS(concatenate({}), "concatenate: needs at least one tensor");
  CHECK_MESSAGE_HAS(concatenate({f, Tensor()}), "piece 1 is an empty tensor");
  CHECK_MESSAGE_HAS(concatenate({f, f}, 1), "axis 1 is not an axis of the result: piece 0 is float32[2]");
  CHECK_MESSAGE_HAS(concatenate({values({}), values({})}), "axis 0 is not an axis of the result");
  CHECK_MESSAGE_HAS(stack({f, f}, -3), "axis -3 is not an axis of the result");
}

TEST_CASE("views keep their elements when everything else of them is gone") {
  Tensor view;
  std::vector<double> expected;
  {
    Tensor x = values({3, 3}) * 1.0;
    expected = transpose(x).to_vector<double>();
    view = transpose(x);
  }
  // New tensors of the same size would take the freed buffer.
  std::vector<Tensor> others;
  for (int i = 0; i < 20; ++i) others.push_back(full({3, 3}, -1.0, DType::float64));
  CHECK(view.to_vector<double>() == expected);
  // Small values live inside their header.
  {
    Tensor x = values({2, 2}) * 1.0;
    expected = transpose(x).to_vector<double>();
    view = transpose(x);
  }
  for (int i = 0; i < 20; ++i) others.push_back(full({2, 2}, -1.0, DType::float64));
  CHECK(view.to_vector<double>() == expected);
}

TEST_CASE("operations on views leave the elements of the original alone") {
  const Tensor x = variable(values({6, 5}));
  const std::vector<double> before = list(x);
  const Tensor part = slice(x, {Slice(1, 3), Slice(1, 4)});
  const Tensor y = exp(part) + transpose(reshape(transpose(part), {3, 2})) * part;
  gradients(sum(y), {x});
  CHECK(list(x) == before);
}

TEST_CASE("second derivatives pass through views") {
  const Tensor x = variable(values({2, 3}));
  const Tensor y = sum(transpose(x) * transpose(x) * reshape(transpose(x), {3, 2}));  // sum of x^3
  const Tensor g = gradients(y, {x}, {.create_graph = true})[0];
  const Tensor h = gradients(sum(g), {x})[0];
  for (const Index& i : positions(x.shape())) CHECK(at(h, i) == doctest::Approx(6 * at(x, i)).epsilon(1e-13));
}
