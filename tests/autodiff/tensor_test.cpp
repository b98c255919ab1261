#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "messages.hpp"

using namespace wengert;

namespace {

using Doubles = std::vector<double>;

}  // namespace

TEST_CASE("nested braces give NumPy's shapes, and the element type of their numbers") {
  const Tensor a = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  CHECK(a.dtype() == DType::float32);
  CHECK(a.shape() == Shape{2, 3});
  CHECK(a.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(tensor({1, 2}).dtype() == DType::int64);
  CHECK(tensor({true, false}).dtype() == DType::bool_);
  CHECK(tensor({1, 2.5}).dtype() == DType::float32);
  CHECK(tensor({true, 2}).dtype() == DType::int64);
  CHECK(tensor(3.5).shape() == Shape{});
  CHECK(tensor({3.5}).shape() == Shape{1});
  CHECK(tensor({{{1}}}).shape() == Shape{1, 1, 1});
  CHECK(tensor({1, 2}, DType::float64).to_vector<double>() == Doubles{1, 2});
  const std::int64_t large = (std::int64_t{1} << 62) + 1;  // not a double
  CHECK(tensor({large}).item<std::int64_t>() == large);
}

TEST_CASE("braces of uneven length or depth are errors with the line") {
  CHECK(located(message([] {
                  tensor({{1.0, 2.0}, {3.0}});
                }),
                "rows of different lengths: expected [2, 2], found a row of 1 at depth 1 ", __LINE__));
  CHECK(located(message([] {
                  tensor({{1.0, 2.0}, 3.0});
                }),
                "a number stands where a row of [2, 2] was expected ", __LINE__));
  CHECK(has(message([] { tensor({1.0, {2.0, 3.0}}); }), "tensor: "));
  CHECK(has(message([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }), "9"));
}

TEST_CASE("spans and vectors are copied in, sizes are checked") {
  std::array<float, 6> data{1, 2, 3, 4, 5, 6};
  const Tensor x = from_span<float>(data, {3, 2});
  data[0] = 100;
  CHECK(x.span<float>()[0] == 1);
  CHECK(from_vector(std::vector<std::int64_t>{7, 8}).shape() == Shape{2});
  CHECK(located(message([&] {
                  from_span<float>(data, {4, 2});
                }),
                "6 values don't fill the shape [4, 2] ", __LINE__));
}

TEST_CASE("constant tensors") {
  CHECK(zeros({2, 2}).to_vector<float>() == std::vector<float>(4, 0));
  CHECK(ones({3}, DType::int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 1, 1});
  CHECK(full({2}, 7).dtype() == DType::int64);
  CHECK(full({2}, 2.5).to_vector<float>() == std::vector<float>{2.5f, 2.5f});
  CHECK(full_like(tensor({1.0, 2.0}, DType::float64), 3).to_vector<double>() == Doubles{3, 3});
  CHECK(arange(3).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2});
  CHECK(arange(1.0, 2.0, 0.25, DType::float64).to_vector<double>() == Doubles{1, 1.25, 1.5, 1.75});
  CHECK(arange(1.0, 0.0, -0.5, DType::float64).to_vector<double>() == Doubles{1, 0.5});
  CHECK(linspace(0, 1, 5, DType::float64).to_vector<double>() == Doubles{0, 0.25, 0.5, 0.75, 1});
  CHECK(eye(2, DType::float64).to_vector<double>() == Doubles{1, 0, 0, 1});
  CHECK(zeros({2, 0, 3}).size() == 0);
  CHECK_THROWS_AS(arange(0.0, 1.0, 0.0), ValueError);
}

TEST_CASE("item converts, and refuses anything but one element") {
  CHECK(tensor(2.5).item<double>() == 2.5);
  CHECK(tensor({{7}}).item<int>() == 7);
  CHECK(tensor(true).item<bool>());
  CHECK(tensor(2.5).item<std::int64_t>() == 2);
  CHECK(located(message([] {
                  (void)tensor({1.0, 2.0}).item<float>();
                }),
                "item: needs exactly one element, got float32[2] ", __LINE__));
  CHECK_THROWS_AS((void)zeros({0}).item<float>(), ShapeError);
}

TEST_CASE("span is typed and needs contiguous elements; to_vector walks any view") {
  const Tensor x = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  CHECK(x.span<float>().size() == 6);
  CHECK(located(message([&] { (void)x.span<double>(); }), "asked for float64, the tensor is float32[2, 3] ",
                __LINE__));
  const Tensor t = transpose(x);
  CHECK_FALSE(t.is_contiguous());
  CHECK(has(message([&] { (void)t.span<float>(); }), "strided view"));
  CHECK(t.to_vector<float>() == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK_THROWS_AS((void)x.to_vector<double>(), DTypeError);
}

TEST_CASE("dim counts from the end for negative axes and refuses others") {
  const Tensor x = zeros({2, 3});
  CHECK(x.dim(0) == 2);
  CHECK(x.dim(-1) == 3);
  CHECK(located(message([&] { (void)x.dim(2); }), "axis 2 is not an axis of float32[2, 3] ", __LINE__));
}

TEST_CASE("copies share the elements; handles are values") {
  const Tensor a = tensor({1.0, 2.0});
  Tensor b = a;
  CHECK(b.span<float>().data() == a.span<float>().data());
  b = b + 1.0;  // rebinds b
  CHECK(a.to_vector<float>() == std::vector<float>{1, 2});
  b += 1.0;
  CHECK(b.to_vector<float>() == std::vector<float>{3, 4});
  Tensor moved = std::move(b);
  CHECK_FALSE(b.defined());  // NOLINT: the state after a move is documented
  CHECK(moved.defined());
  moved = static_cast<const Tensor&>(moved);
  CHECK(moved.to_vector<float>() == std::vector<float>{3, 4});
}

TEST_CASE("views share storage, outlive what they were made from, and no later operation changes them") {
  Tensor x = tensor({{1.0, 2.0}, {3.0, 4.0}}, DType::float64);
  const Tensor row = reshape(x, {4}), t = transpose(x);
  CHECK(row.span<double>().data() == x.span<double>().data());
  x = x * 100.0;  // another tensor under the same name
  for (int i = 0; i < 100; ++i) {
    const Tensor noise = full({2, 2}, i, DType::float64) + 1.0;  // takes back what was freed
  }
  CHECK(row.to_vector<double>() == Doubles{1, 2, 3, 4});
  CHECK(t.to_vector<double>() == Doubles{1, 3, 2, 4});
  Tensor large = ones({1 << 19}, DType::float64);
  const Tensor view = reshape(large, {1 << 10, 1 << 9});
  large = Tensor();
  const Tensor other = full({1 << 19}, 2.0, DType::float64);
  CHECK(view.to_vector<double>()[12345] == 1);
}

TEST_CASE("numbers take the element type of the tensor beside them; tensors promote as in NumPy") {
  CHECK((tensor({1.0}) * 2.0).dtype() == DType::float32);
  CHECK((tensor({1.0}) * 2).dtype() == DType::float32);
  CHECK((tensor({1}) * 2.5).dtype() == DType::float64);
  CHECK((tensor({1}) + 2).dtype() == DType::int64);
  CHECK((tensor({1}) / 2).dtype() == DType::float64);
  CHECK((tensor({true}) + tensor({true})).item<std::int64_t>() == 2);
  CHECK((tensor({1}) + tensor({1.0})).dtype() == DType::float64);
  CHECK((tensor({1.0}) + tensor({1.0}, DType::float64)).dtype() == DType::float64);
  CHECK((1.0 / tensor({4.0})).to_vector<float>()[0] == 0.25f);
  CHECK((tensor({1, 2, 3}) == tensor({1, 5, 3})).to_vector<bool>() == std::vector<bool>{true, false, true});
}

TEST_CASE("shapes of up to eight dimensions, zero-size and 0-d, go through operators") {
  const Tensor eight = ones({1, 2, 1, 2, 1, 2, 1, 2}) + ones({2, 1, 2, 1, 2, 1, 2, 1});
  CHECK(eight.size() == 256);
  CHECK(eight.to_vector<float>()[255] == 2);
  CHECK((zeros({0, 3}) + zeros({3})).shape() == Shape{0, 3});
  CHECK((zeros({1, 3}) + zeros({0, 1})).shape() == Shape{0, 3});
  CHECK((tensor(1.0) + tensor(2.0)).shape() == Shape{});
  CHECK_THROWS_AS(zeros({0}) + zeros({3}), ShapeError);
}

TEST_CASE("the same tensor is read and copied by many threads") {
  const Tensor x = ones({1000}, DType::float64);
  std::vector<std::thread> threads;
  std::vector<double> sums(4);
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const Tensor copy = x;
        const Tensor y = copy + static_cast<double>(t);
        sums[t] = y.span<double>()[999];
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(sums == Doubles{1, 2, 3, 4});
}
