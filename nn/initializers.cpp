#include "nn/initializers.hpp"

#include <cmath>

#include "autodiff/tensor/random.hpp"

namespace wengert::nn {
namespace {

struct Fans {
  double in;
  double out;
};

Fans fans(const char* name, const Shape& shape) {
  if (shape.size() < 2)
    throw ValueError(name,
                     "needs a weight of at least two dimensions, [out, in, ...], got " + to_string(shape));
  double behind = 1;
  for (int i = 2; i < shape.size(); ++i) behind *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[1]) * behind, static_cast<double>(shape[0]) * behind};
}

Tensor centred(const Shape& shape, double bound, DType dtype) {
  return random::uniform(shape, -bound, bound, dtype);
}

}  // namespace

Tensor he_normal(const Shape& shape, DType dtype) {
  return random::normal(shape, 0.0, std::sqrt(2.0 / fans("he_normal", shape).in), dtype);
}
Tensor he_uniform(const Shape& shape, DType dtype) {
  return centred(shape, std::sqrt(6.0 / fans("he_uniform", shape).in), dtype);
}
Tensor xavier_normal(const Shape& shape, DType dtype) {
  const Fans n = fans("xavier_normal", shape);
  return random::normal(shape, 0.0, std::sqrt(2.0 / (n.in + n.out)), dtype);
}
Tensor xavier_uniform(const Shape& shape, DType dtype) {
  const Fans n = fans("xavier_uniform", shape);
  return centred(shape, std::sqrt(6.0 / (n.in + n.out)), dtype);
}
Tensor lecun_uniform(const Shape& shape, DType dtype) {
  return centred(shape, 1.0 / std::sqrt(fans("lecun_uniform", shape).in), dtype);
}

}  // namespace wengert::nn
