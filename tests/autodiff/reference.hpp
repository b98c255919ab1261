#pragma once

// What the tests of operators share: plain loops in double over lists of indices, independent of the
// library's kernels, and the comparison with them.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/samples.hpp"

namespace reference {

using wengert::DType;
using wengert::Shape;
using wengert::Tensor;

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// All elements as double, in row-major order.
inline std::vector<double> values(const Tensor& x) {
  switch (x.dtype()) {
    case DType::float64:
      return x.to_vector<double>();
    case DType::float32: {
      const auto v = x.to_vector<float>();
      return {v.begin(), v.end()};
    }
    case DType::int64: {
      const auto v = x.to_vector<std::int64_t>();
      return {v.begin(), v.end()};
    }
    case DType::bool_: {
      const auto v = x.to_vector<bool>();
      return {v.begin(), v.end()};
    }
  }
  return {};
}

/// The indices of the k-th element in row-major order.
inline std::vector<std::int64_t> indices(const Shape& shape, std::int64_t k) {
  std::vector<std::int64_t> list(static_cast<std::size_t>(shape.size()));
  for (int axis = shape.size() - 1; axis >= 0; --axis) {
    list[static_cast<std::size_t>(axis)] = k % shape[axis];
    k /= shape[axis];
  }
  return list;
}

/// Equal, both NaN, or within `tolerance` of the larger of 1 and |b|.
inline bool close(double a, double b, double tolerance) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

inline void check_close(const Tensor& got, const Shape& shape, const std::vector<double>& expected,
                        double tolerance) {
  REQUIRE(got.shape() == shape);
  const std::vector<double> list = values(got);
  REQUIRE(list.size() == expected.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    INFO("element ", i, ": ", list[i], ", expected ", expected[i]);
    CHECK(close(list[i], expected[i], tolerance));
  }
}
inline void check_close(const Tensor& got, const Tensor& expected, double tolerance) {
  CHECK(got.dtype() == expected.dtype());
  check_close(got, expected.shape(), values(expected), tolerance);
}

/// The message of the Error that f throws; empty when it throws none.
template <class E, class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Deterministic values in (-2, 2) of either floating type.
inline Tensor sample(const Shape& shape, int seed, DType dtype = DType::float64) {
  return wengert::cast(wengert::samples::values(shape, seed), dtype);
}

}  // namespace reference
