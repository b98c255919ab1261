#include "autodiff/graph/samples.hpp"

#include <cmath>

namespace wengert::samples {

Tensor values(const Shape& shape, int seed) {
  // Weyl's sequence: equidistributed, and no two entries equal.
  std::vector<double> list;
  double u = 0.17 + 0.29 * seed;
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    u += 0.6180339887498949;
    u -= std::floor(u);
    double v = 4.0 * u - 2.0;
    if (std::abs(v) < 0.05) v += 0.1;
    list.push_back(v);
  }
  return from_span<double>(list, shape);
}

namespace {

Tensor positive(const Shape& shape, int seed) {
  std::vector<double> list = values(shape, seed).to_vector<double>();
  for (double& v : list) v = std::abs(v) + 0.3;
  return from_span<double>(list, shape);
}

}  // namespace

Samples reals() {
  return Samples{values({2, 3})}.with({values({}, 1)}).with({values({0, 3})}).with({values({1, 17}, 2)});
}

Samples positives() {
  return Samples{positive({2, 3}, 0)}
      .with({positive({}, 1)})
      .with({positive({0, 3}, 0)})
      .with({positive({1, 17}, 2)});
}

Samples pairs() {
  return Samples{values({2, 3}), values({2, 3}, 1)}
      .with({values({2, 1, 3}), values({4, 1}, 1)})
      .with({values({2, 3}), values({}, 1)})
      .with({values({}), values({3}, 1)})
      .with({values({5, 3}), values({3}, 2)})
      .with({values({0, 3}), values({1, 3}, 1)});
}

Samples powers() {
  return Samples{positive({2, 3}, 0), values({2, 3}, 1)}
      .with({positive({2, 1, 3}, 0), values({4, 1}, 1)})
      .with({positive({2, 3}, 0), values({}, 1)})
      .with({positive({}, 0), values({3}, 1)})
      .with({positive({0, 3}, 0), values({1, 3}, 1)});
}

Samples clips() {
  return Samples{values({3, 5}), tensor(-0.7, DType::float64), tensor(0.9, DType::float64)}
      .with({values({2, 3}), values({3}, 1), tensor(2.5, DType::float64)})
      .with({values({0, 2}), tensor(-1.0, DType::float64), tensor(1.0, DType::float64)});
}

Samples pair_errors() {
  return Samples{values({2, 3}), values({2, 4})}.fails_with(
      "the shapes don't broadcast: a is float64[2, 3], b is float64[2, 4]");
}

Samples triple_errors() {
  return Samples{values({2, 3}), values({2, 4}), values({})}.fails_with("the shapes don't broadcast");
}

}  // namespace wengert::samples
