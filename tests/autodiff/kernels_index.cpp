// Reading and adding at indices, and copies between layouts, against loops that name every element.

#include <doctest/doctest.h>

#include <cstring>

#include "autodiff/kernels/copy.hpp"
#include "autodiff/kernels/index.hpp"
#include "kernels_support.hpp"

using namespace wengert;
using namespace wengert::kernels;
using namespace kernel_tests;

namespace {

// Indices in [-n, n) with repetitions.
Buffer<std::int64_t> indices(std::int64_t count, std::int64_t n) {
  Buffer<std::int64_t> index(count);
  for (std::int64_t i = 0; i < count; ++i) index[i] = (i * 7 + i * i) % (2 * n) - n;
  return index;
}

struct Size {
  std::int64_t outer, n, inner, count;
};
const Size sizes[] = {{1, 5, 1, 12}, {3, 7, 1, 4},   {1, 50, 64, 30}, {2, 4, 3, 9},
                      {2, 6, 33, 5}, {1, 3, 200, 2}, {2, 3, 4, 0}};

}  // namespace

TEST_CASE_TEMPLATE("take reads rows, take_add adds them up in order", T, float, double, std::int64_t, bool) {
  for (const Size& s : sizes) {
    Buffer<T> in(s.outer * s.n * s.inner), out(s.outer * s.count * s.inner);
    Buffer<std::int64_t> index = indices(s.count, s.n);
    take(out.data(), in.data(), s.outer, s.n, s.inner, index.data(), s.count);
    Buffer<T> sums(in.n), expected(in.n);
    take_add(sums.data(), out.data(), s.outer, s.n, s.inner, index.data(), s.count);
    std::int64_t wrong = 0;
    for (std::int64_t o = 0; o < s.outer; ++o)
      for (std::int64_t i = 0; i < s.count; ++i)
        for (std::int64_t c = 0; c < s.inner; ++c) {
          const std::int64_t row = index[i] < 0 ? index[i] + s.n : index[i];
          const T value = in[(o * s.n + row) * s.inner + c];
          wrong += out[(o * s.count + i) * s.inner + c] != value;
          T& to = expected[(o * s.n + row) * s.inner + c];
          to = static_cast<T>(to + value);
        }
    for (std::int64_t i = 0; i < in.n; ++i) wrong += sums[i] != expected[i];
    CHECK(wrong == 0);
    CHECK(out.intact());
    CHECK(sums.intact());
  }
}

TEST_CASE_TEMPLATE("take_along_axis has an index of its own for every element", T, float, double,
                   std::int64_t, bool) {
  for (const Size& s : sizes) {
    const std::int64_t picked = s.outer * s.count * s.inner;
    Buffer<T> in(s.outer * s.n * s.inner), out(picked);
    Buffer<std::int64_t> index = indices(picked, s.n);
    Along along{{s.outer, s.count, s.inner},
                {s.count * s.inner, s.inner, 1},
                {s.n * s.inner, 0, 1},
                {},
                s.n,
                s.inner};
    along.index = along.values;
    take_along_axis(out.data(), in.data(), index.data(), along);
    Buffer<T> sums(in.n), expected(in.n);
    take_along_axis_add(sums.data(), out.data(), index.data(), along);
    std::int64_t wrong = 0;
    for (std::int64_t k = 0; k < picked; ++k) {
      const std::int64_t o = k / (s.count * s.inner), c = k % s.inner;
      const std::int64_t row = index[k] < 0 ? index[k] + s.n : index[k];
      const std::int64_t from = (o * s.n + row) * s.inner + c;
      wrong += out[k] != in[from];
      expected[from] = static_cast<T>(expected[from] + in[from]);
    }
    for (std::int64_t i = 0; i < in.n; ++i) wrong += sums[i] != expected[i];
    CHECK(wrong == 0);
  }
}

TEST_CASE("an index out of range is found, wherever it stands") {
  Buffer<std::int64_t> index(100);
  for (int i = 0; i < 100; ++i) index[i] = i % 2 ? -5 : 4;
  CHECK(out_of_range(index.data(), 100, -5, 5) == -1);
  CHECK(out_of_range(index.data(), 0, -0, 0) == -1);
  CHECK(out_of_range(index.data(), 100, -4, 4) == 0);
  CHECK(out_of_range(index.data(), 100, 0, 5) == 1);
  for (const int at : {0, 17, 99})
    for (const std::int64_t value : {std::int64_t(5), std::int64_t(-6), INT64_MAX, INT64_MIN}) {
      const std::int64_t kept = index[at];
      index[at] = value;
      CHECK(out_of_range(index.data(), 100, -5, 5) == at);
      index[at] = kept;
    }
}

TEST_CASE_TEMPLATE("one_hot sets one element a row", T, float, double, std::int64_t, bool) {
  const std::int64_t index[] = {2, 0, -1, 2};
  Buffer<T> out(16);
  one_hot(out.data(), index, 4, 4);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) CHECK(out[i * 4 + j] == T((index[i] + 4) % 4 == j));
}

TEST_CASE_TEMPLATE("copy moves exactly the named elements between any two layouts", T, float, double, bool) {
  struct Case {
    Shape shape;
    Strides to, from;
    std::int64_t first = 0;
  };
  const Case cases[] = {{{}, {}, {}},
                        {{100}, {1}, {1}},
                        {{100}, {3}, {-2}, 198},
                        {{67, 45}, {45, 1}, {1, 67}},
                        {{67, 45}, {1, 67}, {45, 1}},
                        {{67, 45}, {45, 1}, {0, 1}},
                        {{67, 45}, {45, 1}, {1, 0}},
                        {{67, 45}, {90, 2}, {-45, 1}, 66 * 45},
                        {{5, 16, 16}, {256, 16, 1}, {256, 1, 16}},
                        {{4, 5, 6, 7}, {210, 42, 7, 1}, {1, 4, 20, 120}},
                        {{4, 5, 6, 7}, {210, 42, 7, 1}, {210, 7, 35, 1}},
                        {{0, 7}, {7, 1}, {7, 1}}};
  for (const Case& k : cases) {
    Buffer<T> from(7000), to(7000), expected(7000);
    for (std::int64_t i = 0; i < to.n; ++i) to[i] = expected[i] = T(i % 5 == 0);
    copy(to.data(), k.to, from.data() + k.first, k.from, k.shape, sizeof(T));
    naive<2>(k.shape, {k.to, k.from}, [&](std::int64_t, auto o) { expected[o[0]] = from[k.first + o[1]]; });
    CHECK(std::memcmp(to.data(), expected.data(), to.n * sizeof(T)) == 0);
  }
}

TEST_CASE("converting truncates, and what does not fit into int64 becomes its smallest value") {
  const double inf = std::numeric_limits<double>::infinity();
  Buffer<double> from(6);
  const double values[] = {-2.7, 2.7, inf, -inf, std::numeric_limits<double>::quiet_NaN(), 0};
  std::memcpy(from.data(), values, sizeof(values));
  Buffer<std::int64_t> whole(6);
  Buffer<bool> flag(6);
  map(Convert<std::int64_t>{}, whole.data(), 6, from.data());
  map(Convert<bool>{}, flag.data(), 6, from.data());
  const std::int64_t expected[] = {-2, 2, INT64_MIN, INT64_MIN, INT64_MIN, 0};
  for (int i = 0; i < 6; ++i) {
    CHECK(whole[i] == expected[i]);
    CHECK(flag[i] == (values[i] != 0));
  }
  Buffer<float> narrow(6);
  const double* const in[1] = {from.data()};
  const Strides strides[1] = {{1, 2}};
  map(Convert<float>{}, narrow.data(), {2, 3}, in, strides);
  CHECK(narrow[1] == inf);
  CHECK(narrow[3] == 2.7f);
}
