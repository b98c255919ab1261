// map over shapes, strides and types against loops that compute every index.

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>

#include "autodiff/kernels/elementwise.hpp"
#include "kernels_support.hpp"

using namespace wengert;
using namespace kernel_tests;
using namespace wengert::kernels;

namespace {

const auto add_product = [](auto x, auto y) { return x * 2.0 + y; };

template <class T>
void check_two(const Shape& shape, const Strides& sa, std::int64_t from_a, const Strides& sb,
               std::int64_t from_b) {
  Buffer<T> a(20000), b(20000), out(shape.elements());
  const T* in[2] = {a.data() + from_a, b.data() + from_b};
  const Strides strides[2] = {sa, sb};
  map(add_product, out.data(), shape, in, strides);
  std::int64_t wrong = 0;
  naive<2>(shape, {sa, sb},
           [&](std::int64_t k, auto o) { wrong += out.data()[k] != in[0][o[0]] * 2 + in[1][o[1]]; });
  CHECK(wrong == 0);
  CHECK(out.intact());
}

}  // namespace

TEST_CASE_TEMPLATE("contiguous map equals the loop at every length", T, float, double) {
  Buffer<T> a(300), b(300);
  for (std::int64_t n = 0; n <= 200; ++n) {
    Buffer<T> out(n), scaled(n);
    const T* in[2] = {a.data(), b.data()};
    const Strides strides[2] = {{1}, {0}};
    map(add_product, out.data(), n, a.data(), b.data() + 3);  // a view may start anywhere
    map(add_product, scaled.data(), Shape{n}, in, strides);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      wrong += out.data()[i] != a.data()[i] * 2 + b.data()[i + 3];
      wrong += scaled.data()[i] != a.data()[i] * 2 + b.data()[0];
    }
    CHECK(wrong == 0);
    CHECK(out.intact());
    CHECK(scaled.intact());
  }
}

TEST_CASE_TEMPLATE("strided map equals the loop for broadcast, transposed, sliced and reversed inputs", T,
                   float, double, std::int64_t) {
  for (const auto& [m, n] :
       {std::array<std::int64_t, 2>{1, 1}, {1, 70}, {4, 3}, {70, 1}, {33, 17}, {5, 130}, {130, 65}}) {
    const Shape shape{m, n};
    const Strides rows{n, 1};
    check_two<T>(shape, rows, 0, rows, 5);
    check_two<T>(shape, rows, 0, {0, 1}, 1);
    check_two<T>(shape, {1, 0}, 0, rows, 0);
    check_two<T>(shape, {0, 0}, 3, {0, 0}, 0);
    check_two<T>(shape, {1, m}, 0, rows, 0);
    check_two<T>(shape, rows, 0, {1, m}, 7);
    check_two<T>(shape, {1, m}, 0, {0, 1}, 0);
    check_two<T>(shape, {2 * n, 2}, 1, {n, -1}, n - 1);
    check_two<T>(shape, {-n, 1}, (m - 1) * n, {0, -2}, 2 * n);
  }
}

TEST_CASE_TEMPLATE("strided map equals the loop in up to eight dimensions", T, float, double) {
  const Shape cube{3, 4, 5};
  check_two<T>(cube, {20, 5, 1}, 0, {0, 5, 1}, 0);
  check_two<T>(cube, {20, 5, 1}, 0, {0, 1, 0}, 0);
  check_two<T>(cube, {1, 15, 3}, 0, {4, 1, 12}, 0);
  check_two<T>(cube, {20, 5, 1}, 0, {5, 0, 1}, 0);
  const Shape images{2, 3, 7, 9};
  check_two<T>(images, row_major(images), 0, {0, 1, 0, 0}, 0);
  check_two<T>(images, {189, 1, 27, 3}, 0, {0, 0, 9, 1}, 0);
  const Shape eight{2, 1, 3, 2, 1, 2, 3, 5};
  check_two<T>(eight, row_major(eight), 0, {180, 7, 1, 3, 9, 90, 30, 6}, 0);
  check_two<T>(eight, {1, 0, 2, 6, 0, 12, 24, 72}, 0, {0, 1, 0, 1, 0, 2, 0, 5}, 0);
  check_two<T>({}, {}, 0, {}, 9);
  check_two<T>({0, 5}, {5, 1}, 0, {0, 1}, 0);
  check_two<T>({5, 0}, {0, 1}, 0, {1, 0}, 0);
}

TEST_CASE("every number of inputs from one to five works, constant along a row or not") {
  Buffer<float> a(4000);
  const float* p = a.data();
  const Shape shape{13, 40};
  const Strides row{40, 1}, bias{0, 1}, column{1, 0}, transposed{1, 13}, point{0, 0};
  Buffer<float> out(520);
  const auto check = [&](auto expected, const auto& strides) {
    std::int64_t wrong = 0;
    naive(shape, strides, [&](std::int64_t k, auto o) { wrong += out.data()[k] != expected(o); });
    CHECK(wrong == 0);
  };
  {
    const float* in[1] = {p};
    const Strides s[1] = {transposed};
    map([](auto x) { return 1.0 - x; }, out.data(), shape, in, s);
    check([&](auto o) { return 1 - p[o[0]]; }, std::array<Strides, 1>{transposed});
  }
  {
    const float* in[3] = {p, p + 1, p + 2};
    const Strides s[3] = {row, bias, column};
    map([](auto x, auto y, auto z) { return where(x > y, z, y); }, out.data(), shape, in, s);
    check([&](auto o) { return p[o[0]] > p[1 + o[1]] ? p[2 + o[2]] : p[1 + o[1]]; },
          std::array<Strides, 3>{row, bias, column});
  }
  {
    const float* in[4] = {p, p + 1, p + 2, p + 3};
    const Strides s[4] = {column, transposed, point, row};
    map([](auto x, auto y, auto z, auto w) { return x + y * 0.5 - z + w; }, out.data(), shape, in, s);
    check([&](auto o) { return p[o[0]] + p[1 + o[1]] * 0.5f - p[2 + o[2]] + p[3 + o[3]]; },
          std::array<Strides, 4>{column, transposed, point, row});
  }
  {
    const float* in[5] = {p, p + 1, p + 2, p + 3, p + 4};
    const Strides s[5] = {bias, transposed, column, row, point};
    map([](auto x, auto y, auto z, auto w, auto u) { return maximum(x, y) + minimum(z, w) + u; }, out.data(),
        shape, in, s);
    check(
        [&](auto o) {
          return std::fmax(p[o[0]], p[1 + o[1]]) + std::fmin(p[2 + o[2]], p[3 + o[3]]) + p[4 + o[4]];
        },
        std::array<Strides, 5>{bias, transposed, column, row, point});
  }
}

TEST_CASE("operands of different types: comparisons, conditions, casts, masks") {
  Buffer<float> a(4000), b(4000);
  Buffer<bool> mask(4000);
  Buffer<std::int64_t> whole(4000);
  const Shape shape{21, 37};
  for (const Strides& s : {Strides{37, 1}, Strides{0, 1}, Strides{1, 0}, Strides{1, 21}}) {
    const Strides strides[3] = {s, {37, 1}, {0, 1}};
    Buffer<bool> less(777);
    Buffer<float> chosen(777), cast(777);
    Buffer<std::int64_t> truncated(777), sum(777);
    Buffer<bool> both(777);
    map([](auto x, auto y) { return x < y; }, less.data(), shape, strides, a.data(), b.data());
    map([](auto c, auto x, auto y) { return where(c, x, y); }, chosen.data(), shape, strides, mask.data(),
        a.data(), b.data());
    map([](auto x) { return x; }, cast.data(), shape, strides, whole.data());
    map([](auto x) { return x; }, truncated.data(), shape, strides, a.data());
    map([](auto x, auto y) { return x * 3 + y; }, sum.data(), shape, strides, whole.data(), whole.data());
    map([](auto x, auto y) { return x & !y; }, both.data(), shape, strides, mask.data(), mask.data());
    std::int64_t wrong = 0;
    naive<3>(shape, {strides[0], strides[1], strides[2]}, [&](std::int64_t k, auto o) {
      wrong += less.data()[k] != (a.data()[o[0]] < b.data()[o[1]]);
      wrong += chosen.data()[k] != (mask.data()[o[0]] ? a.data()[o[1]] : b.data()[o[2]]);
      wrong += cast.data()[k] != static_cast<float>(whole.data()[o[0]]);
      wrong += truncated.data()[k] != static_cast<std::int64_t>(a.data()[o[0]]);
      wrong += sum.data()[k] != whole.data()[o[0]] * 3 + whole.data()[o[1]];
      wrong += both.data()[k] != (mask.data()[o[0]] && !mask.data()[o[1]]);
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("where picks the chosen value whatever the other one is") {
  Buffer<bool> mask(40);
  Buffer<double> a(40), b(40), out(40);
  for (int i = 0; i < 40; ++i) (mask.data()[i] ? b : a).data()[i] = i % 2 ? NAN : INFINITY;
  map([](auto c, auto x, auto y) { return where(c, x, y); }, out.data(), 40, mask.data(), a.data(), b.data());
  for (int i = 0; i < 40; ++i) CHECK(std::isfinite(out.data()[i]));
}
