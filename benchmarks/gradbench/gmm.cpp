// The log posterior of a mixture of Gaussians with a Wishart prior on its precision matrices, and its
// gradient. Component k has the lower triangular factor Q_k of its precision: exp(q_k) on the diagonal, l_k
// below it, column by column. The formulas are those of the eval's README, "Implementation".

#include <cmath>
#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

class Mixture {
 public:
  explicit Mixture(const gradbench::Json& input)
      : d_(input["d"].get<std::int64_t>()),
        k_(input["k"].get<std::int64_t>()),
        n_(input["n"].get<std::int64_t>()),
        m_(input["m"].get<int>()),
        gamma_(input["gamma"].get<double>()),
        x_(gradbench::numbers(input["x"])),
        zero_(zeros({k_, 1}, DType::float64)) {
    const std::int64_t below = d_ * (d_ - 1) / 2;
    // Where each entry of Q_k stands in (exp(q_k), l_k, 0).
    std::vector<std::int64_t> places(static_cast<std::size_t>(d_ * d_), d_ + below);
    std::int64_t next = d_;
    for (std::int64_t column = 0; column < d_; ++column) {
      places[static_cast<std::size_t>(column * d_ + column)] = column;
      for (std::int64_t row = column + 1; row < d_; ++row)
        places[static_cast<std::size_t>(row * d_ + column)] = next++;
    }
    places_ = from_vector(places);

    const double degrees = static_cast<double>(d_ + m_ + 1), d = static_cast<double>(d_);
    double log_gamma = 0.25 * d * (d - 1) * std::log(M_PI);  // of the multivariate gamma function
    for (std::int64_t j = 0; j < d_; ++j) log_gamma += std::lgamma(0.5 * (degrees - static_cast<double>(j)));
    constant_ = -0.5 * static_cast<double>(n_) * d * std::log(2 * M_PI) +
                static_cast<double>(k_) * (degrees * d * std::log(gamma_ / std::sqrt(2)) - log_gamma);
  }

  /// parameters: alpha [k], mu [k, d], q [k, d], l [k, d (d - 1) / 2].
  Tensor log_posterior(const Tensors& parameters) const {
    const Tensor &alpha = parameters[0], &mu = parameters[1], &q = parameters[2], &l = parameters[3];
    const Tensor factors = reshape(take(concatenate({exp(q), l, zero_}, 1), places_, 1), {k_, d_, d_});
    // Q_k (x - mu_k) for all components and points in one product: [k d, n].
    const Tensor centres = reshape(matmul(factors, expand_dims(mu, -1)), {k_ * d_, 1});
    const Tensor residuals = matmul(reshape(factors, {k_ * d_, d_}), x_, {.transpose_b = true}) - centres;
    const Tensor distances = sum(reshape(square(residuals), {k_, d_, n_}), 1);
    const Tensor log_determinants = sum(q, 1);
    const Tensor terms = expand_dims(alpha + log_determinants, 1) - 0.5 * distances;
    const Tensor likelihood = sum(logsumexp(terms, 0)) - static_cast<double>(n_) * logsumexp(alpha);
    const Tensor prior =
        static_cast<double>(m_) * sum(log_determinants) - 0.5 * gamma_ * gamma_ * sum(square(factors));
    return likelihood + prior + constant_;
  }

 private:
  std::int64_t d_, k_, n_;
  int m_;
  double gamma_;
  Tensor x_, zero_, places_;
  double constant_;
};

Tensors parameters(const gradbench::Json& input) {
  // A single dimension has nothing below the diagonal, and [[], []] says nothing of its shape.
  const auto k = input["k"].get<std::int64_t>(), d = input["d"].get<std::int64_t>();
  return {gradbench::numbers(input["alpha"]), gradbench::numbers(input["mu"]), gradbench::numbers(input["q"]),
          reshape(gradbench::numbers(input["l"]), {k, d * (d - 1) / 2})};
}

}  // namespace

int main(int argc, char** argv) {
  return gradbench::run(
      argc, argv,
      {{"objective",
        [](const gradbench::Json& input) {
          return gradbench::repeat(
              [mixture = Mixture(input)](const Tensors& in) { return Tensors{mixture.log_posterior(in)}; },
              parameters(input));
        }},
       {"jacobian", [](const gradbench::Json& input) {
          return gradbench::repeat(
              [mixture = Mixture(input)](const Tensors& in) {
                return grad([&](const Tensors& at) { return mixture.log_posterior(at); })(in);
              },
              parameters(input),
              [](const Tensors& g) {
                return gradbench::Json{{"alpha", gradbench::nested(g[0])},
                                       {"mu", gradbench::nested(g[1])},
                                       {"q", gradbench::nested(g[2])},
                                       {"l", gradbench::nested(g[3])}};
              });
        }}});
}
