// A dense layer has n[l-1] * n[l] weights and n[l] biases; summaries print the counts.

#include <autodiff/autodiff.hpp>
#include <nn/nn.hpp>
#include <vector>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

nn::Sequential dense(const std::vector<std::int64_t>& sizes) {
  std::vector<nn::Layer> layers;
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    layers.push_back(nn::Linear(sizes[l - 1], sizes[l]));
    if (l + 1 < sizes.size()) layers.push_back(nn::Tanh());
  }
  return nn::Sequential(layers);
}

int body(int, char**) {
  Claims claims;
  const nn::Sequential net = dense({10, 10, 5, 1});
  fmt::print("{}\n", net.summary());
  claims.equal("10 inputs to 10 units", nn::Linear(10, 10).parameter_count(), 110);
  claims.equal("10 units to 5", nn::Linear(10, 5).parameter_count(), 55);
  claims.equal("5 units to 1", nn::Linear(5, 1).parameter_count(), 6);
  claims.equal("10-10-5-1 in all", net.parameter_count(), 110 + 55 + 6);

  struct Row {
    std::vector<std::int64_t> sizes;
    long long expected;
  };
  // A shallow network of one input; five layers of 10 units (one input) and of 50 (ten inputs); the four
  // MNIST-1D networks of 1 to 4 hidden layers (Prince, Understanding Deep Learning, chapters 4 and 20).
  for (const Row& row :
       {Row{{1, 6, 1}, 19}, Row{{1, 10, 10, 10, 10, 10, 1}, 471}, Row{{10, 50, 50, 50, 50, 50, 1}, 10801},
        Row{{40, 298, 10}, 15208}, Row{{40, 100, 100, 10}, 15210}, Row{{40, 75, 75, 75, 10}, 15235},
        Row{{40, 63, 63, 63, 63, 10}, 15319}}) {
    claims.equal(fmt::format("{}", fmt::join(row.sizes, "-")), dense(row.sizes).parameter_count(),
                 row.expected);
  }
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
