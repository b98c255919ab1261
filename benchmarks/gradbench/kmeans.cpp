// The sum of squared distances between points and their nearest centroids, and Newton's direction: gradient
// over the diagonal of the Hessian, which has nothing beside its diagonal.

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

/// For each point the position of its nearest centroid. |p - c|^2 = |p|^2 - 2 (p c - |c|^2 / 2).
Tensor nearest(const Tensor& points, const Tensor& centroids) {
  const Tensor products = matmul(centroids, points, {.transpose_b = true});
  return argmax(products - 0.5 * sum(square(centroids), 1, true), 0);
}

/// The minimum over centroids, written as the entry that attains it: only that one has a derivative.
Tensor cost(const Tensor& points, const Tensor& centroids) {
  const Tensor assigned = nearest(points, stop_gradient(centroids));
  return sum(square(points - take(centroids, assigned)));
}

gradbench::Prepared prepare(const gradbench::Json& input, bool direction) {
  const Tensor points = gradbench::numbers(input["points"]);
  const auto f = [=](const Tensor& centroids) { return cost(points, centroids); };
  return gradbench::repeat(
      [=](const Tensors& in) {
        if (!direction) return Tensors{f(in[0])};
        const auto [gradient, diagonal] = jvp(grad(f), {in[0]}, {ones_like(in[0])});
        return Tensors{gradient / diagonal};
      },
      {gradbench::numbers(input["centroids"])});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "cost", "dir", prepare); }
