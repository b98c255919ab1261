#include "autodiff/interop/xtensor.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <xtensor/xarray.hpp>
#include <xtensor/xio.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xrandom.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "autodiff/tensor/creation.hpp"

using namespace wengert;

namespace {

Tensor view(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t offset = 0) {
  return Tensor::adopt(detail::new_view(x.impl(), shape, strides, offset));
}

// The elements of an expression, read one by one.
template <class E>
auto elements(const E& e) {
  std::vector<typename E::value_type> values;
  for (auto it = e.template begin<xt::layout_type::row_major>();
       it != e.template end<xt::layout_type::row_major>(); ++it)
    values.push_back(*it);
  return values;
}

template <class E>
bool assignable(E& e) {
  return requires { e(0) = 1; };
}

}  // namespace

TEST_CASE("an expression becomes a tensor of its shape and values") {
  const xt::xarray<double> a{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}};
  const Tensor x = from_xtensor(xt::sin(a) + 1.0);
  CHECK(x.dtype() == DType::float64);
  CHECK(x.shape() == Shape{2, 3});
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(std::abs(x.span<double>()[i] - (std::sin(i + 1.0) + 1.0)) < 1e-15);

  const xt::xtensor<float, 1> row{10, 20, 30};
  CHECK(from_xtensor(xt::cast<float>(a) + row).to_vector<float>() ==
        std::vector<float>{11, 22, 33, 14, 25, 36});
  CHECK(from_xtensor(a > 3.5).to_vector<bool>() == std::vector<bool>{false, false, false, true, true, true});
  const Tensor sums = from_xtensor(xt::sum(a, {1}));
  CHECK(sums.shape() == Shape{2});
  CHECK(sums.to_vector<double>() == std::vector<double>{6, 15});
}

TEST_CASE("row-major order holds whatever the layout of the expression") {
  xt::xarray<float, xt::layout_type::column_major> column{{1, 2, 3}, {4, 5, 6}};
  CHECK(from_xtensor(column).to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(from_xtensor(column * 2.0f).to_vector<float>() == std::vector<float>{2, 4, 6, 8, 10, 12});
  const xt::xarray<double> a{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}};
  CHECK(from_xtensor(xt::transpose(a)).to_vector<double>() == std::vector<double>{1, 4, 2, 5, 3, 6});
  CHECK(from_xtensor(xt::view(a, xt::all(), xt::range(2, xt::placeholders::_, -1))).to_vector<double>() ==
        std::vector<double>{3, 2, 1, 6, 5, 4});
  CHECK(from_xtensor(xt::view(a, 1, xt::newaxis())).shape() == Shape{1, 3});
}

TEST_CASE("integers of every width become int64") {
  CHECK(from_xtensor(xt::xarray<int>{-1, 2}).to_vector<std::int64_t>() == std::vector<std::int64_t>{-1, 2});
  CHECK(from_xtensor(xt::xarray<std::uint8_t>{255, 0, 1}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{255, 0, 1});
  CHECK(from_xtensor(xt::xarray<std::int8_t>{-128, 127}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{-128, 127});
  CHECK(from_xtensor(xt::arange<std::int64_t>(70) * 3).span<std::int64_t>()[69] == 207);
  CHECK(from_xtensor(xt::xarray<unsigned>{4000000000u}).item<std::int64_t>() == 4000000000);
}

TEST_CASE("0-d and empty expressions keep their shape") {
  const Tensor scalar = from_xtensor(xt::xarray<double>(2.5));
  CHECK(scalar.shape() == Shape{});
  CHECK(scalar.item<double>() == 2.5);
  const Tensor none = from_xtensor(xt::xarray<float>::from_shape({2, 0, 3}));
  CHECK(none.shape() == Shape{2, 0, 3});
  CHECK(none.dtype() == DType::float32);
  CHECK_THROWS_AS(from_xtensor(xt::xarray<float>::from_shape({1, 1, 1, 1, 1, 1, 1, 1, 1})), ShapeError);
}

TEST_CASE("a tensor is seen without a copy, and can only be read") {
  const Tensor x = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}, DType::float64);
  auto all = as_xtensor<double>(x);
  auto fixed = as_xtensor<double, 2>(x);
  CHECK(&all(0, 0) == x.span<double>().data());
  CHECK(&fixed(0, 0) == x.span<double>().data());
  CHECK(all(1, 2) == 6);
  CHECK(fixed(1, 2) == 6);
  CHECK_FALSE(assignable(all));
  CHECK_FALSE(assignable(fixed));
  CHECK(elements(xt::xarray<double>(all * 2.0 + fixed)) == std::vector<double>{3, 6, 9, 12, 15, 18});
  CHECK(elements(xt::eval(xt::exp(fixed)))[5] == doctest::Approx(std::exp(6.0)));
  CHECK(xt::sum(all)() == 21);
  CHECK(xt::amax(fixed)() == 6);
  CHECK(from_xtensor(xt::sqrt(all)).shape() == Shape{2, 3});
}

TEST_CASE("strided views: transposed, sliced, reversed, broadcast") {
  const Tensor x = arange(12);
  using Integers = std::vector<std::int64_t>;
  const auto read = [](const Tensor& t) {
    const auto v = as_xtensor<std::int64_t>(t);
    const auto expected = t.to_vector<std::int64_t>();
    CHECK(elements(v) == expected);                                        // iterators
    CHECK(elements(xt::xarray<std::int64_t>(v)) == expected);              // assignment
    CHECK(from_xtensor(v * 2 - v).to_vector<std::int64_t>() == expected);  // arithmetic
    std::int64_t total = 0;
    for (std::int64_t e : expected) total += e;
    CHECK(xt::sum(v)() == total);
    return expected;
  };
  CHECK(read(view(x, {3, 4}, Strides{1, 3})) == Integers{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11});
  CHECK(read(view(x, {2, 2}, Strides{6, 2}, 1)) == Integers{1, 3, 7, 9});
  CHECK(read(view(x, {4}, Strides{-3}, 11)) == Integers{11, 8, 5, 2});
  CHECK(read(view(x, {2, 3}, Strides{6, -2}, 5)) == Integers{5, 3, 1, 11, 9, 7});
  CHECK(read(view(x, {3, 2}, Strides{0, 1}, 4)) == Integers{4, 5, 4, 5, 4, 5});
  CHECK(read(view(x, {1, 3, 1}, Strides{99, -4, 99}, 10)) == Integers{10, 6, 2});
  CHECK(read(view(x, {2, 0}, Strides{1, -1}, 3)) == Integers{});
  CHECK(read(view(x, {}, Strides{}, 7)) == Integers{7});
  CHECK(as_xtensor<std::int64_t>(view(x, {4}, Strides{-3}, 11))(1) == 8);
  CHECK(xt::view(as_xtensor<std::int64_t>(view(x, {3, 4}, Strides{1, 3})), 1, xt::range(1, 3))(0) == 4);
}

TEST_CASE("every element type can be seen") {
  CHECK(as_xtensor<bool>(tensor({true, false, true}))(2));
  CHECK(elements(xt::eval(!as_xtensor<bool, 1>(tensor({true, false})))) == std::vector<bool>{false, true});
  CHECK(elements(xt::xarray<float>(as_xtensor<float>(tensor({1.5, 2.5})) * 2.0f)) ==
        std::vector<float>{3, 5});
  CHECK(as_xtensor<std::int64_t, 0>(full({}, 7))() == 7);
  CHECK(as_xtensor<float>(full({}, 7.5))() == 7.5f);
}

TEST_CASE("a view keeps the elements alive, also as a copy") {
  auto v = as_xtensor<float>(ones({1000}));  // of a temporary
  auto moved = [copy = v] { return copy; }();
  CHECK(xt::sum(moved)() == 1000);
  CHECK(&moved(0) == &v(0));
  auto fixed = as_xtensor<float, 1>(ones({1000}));
  auto other = fixed;
  CHECK(xt::sum(other * fixed)() == 1000);
}

TEST_CASE("a wrong element type, rank or layout is refused with the user's line") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH_AS(
      as_xtensor<double>(x),
      doctest::Contains("as_xtensor: asked for float64, the tensor is float32[2, 3] (xtensor_test.cpp:"),
      DTypeError);
  CHECK_THROWS_WITH_AS((as_xtensor<float, 1>(x)), doctest::Contains("asked for 1 dimensions, the tensor is"),
                       ShapeError);
  CHECK_THROWS_WITH_AS((as_xtensor<float, 2>(view(x, {3, 2}, Strides{1, 3}))),
                       doctest::Contains("strided view; take contiguous(x)"), ShapeError);
  CHECK_THROWS_AS((as_xtensor<bool, 2>(x)), DTypeError);
  CHECK_THROWS_AS(as_xtensor<float>(Tensor()), GraphError);
}
