// Half the squared distance between a polynomial with coefficients x and the sign function, at n points from
// -1 to 1, and its gradient.

#include <cmath>
#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

/// The powers of the points, [n, m], don't depend on x: they belong to the preparation.
Tensor powers(const Tensor& points, std::int64_t m) {
  Tensor all = ones({points.size(), 1}, DType::float64);
  const Tensor column = reshape(points, {-1, 1});
  for (Tensor next = column; all.dim(1) < m; next = square(next))  // t^(2k) from t^k
    all = concatenate({all, all * next}, 1);
  return contiguous(slice(all, 1, Slice(0, m)));
}

gradbench::Prepared prepare(const gradbench::Json& input, bool gradient) {
  const Tensor x = gradbench::numbers(input["x"]);
  const auto n = input["n"].get<std::int64_t>();
  std::vector<double> t;
  for (std::int64_t i = 0; i < n; ++i)
    t.push_back(-1 + static_cast<double>(2 * i) / static_cast<double>(n - 1));
  const Tensor points = from_vector(t), vandermonde = powers(points, x.size()), target = sign(points);
  const auto f = [=](const Tensor& at) { return 0.5 * sum(square(target - matmul(vandermonde, at))); };
  return gradbench::repeat([=](const Tensors& in) { return Tensors{gradient ? grad(f)(in[0]) : f(in[0])}; },
                           {x});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "primal", "gradient", prepare); }
