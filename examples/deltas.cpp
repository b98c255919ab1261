// Backpropagation's delta recursions in matrix form, written out by hand, against the engine: one example and
// m examples, regression and softmax, with the weight decay term (lambda / 2) ||W||^2.
//
// Columns are examples: A(1) = X, Z(l+1) = W(l) A(l) + b(l), A(l+1) = f(Z(l+1)).
//   last layer      delta(L) = (A(L) - Y) * f'(Z(L))        regression, 1/2 ||A(L) - Y||^2
//                   delta(L) = A(L) - Y                     softmax with cross-entropy
//   layers before   delta(l) = W(l)^T delta(l+1) * f'(Z(l))
//   gradients       dJ/dW(l) = delta(l+1) A(l)^T / m + lambda W(l)
//                   dJ/db(l) = the mean of delta(l+1) over its columns

#include <algorithm>
#include <autodiff/autodiff.hpp>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

constexpr double lambda = 0.03;

struct Layers {
  Tensors w, b;
};

// Weights [to, from], biases [to, 1].
Layers random_layers(const std::vector<std::int64_t>& sizes) {
  Layers layers;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    layers.w.push_back(variable(random::normal({sizes[l + 1], sizes[l]}, 0.0, 0.7, DType::float64)));
    layers.b.push_back(variable(random::normal({sizes[l + 1], 1}, 0.0, 0.3, DType::float64)));
  }
  return layers;
}

enum class Output { regression, softmax };

// What the engine needs to be told: the cost itself.
Tensor cost(const Layers& net, const Tensor& x, const Tensor& y, Output output) {
  const double m = static_cast<double>(x.dim(1));
  Tensor a = x, decay = full({}, 0.0, DType::float64);
  for (std::size_t l = 0; l < net.w.size(); ++l) {
    const Tensor z = matmul(net.w[l], a) + net.b[l];
    const bool last = l + 1 == net.w.size();
    a = last && output == Output::softmax ? softmax(z, 0) : sigmoid(z);
    decay = decay + sum(square(net.w[l]));
  }
  const Tensor fit = output == Output::softmax ? -sum(y * log(a)) : 0.5 * sum(square(a - y));
  return fit / m + 0.5 * lambda * decay;
}

// The recursions, from the last layer to the first.
Layers deltas(const Layers& net, const Tensor& x, const Tensor& y, Output output) {
  const NoGrad no_grad;
  const std::size_t count = net.w.size();
  const double m = static_cast<double>(x.dim(1));
  Tensors a{x};
  for (std::size_t l = 0; l < count; ++l) {
    const Tensor z = matmul(net.w[l], a[l]) + net.b[l];
    a.push_back(l + 1 == count && output == Output::softmax ? exp(z) / sum(exp(z), 0, true)
                                                            : 1.0 / (1.0 + exp(-z)));
  }
  Tensor delta = a[count] - y;
  if (output == Output::regression) delta = delta * a[count] * (1.0 - a[count]);
  Layers gradient{Tensors(count), Tensors(count)};
  for (std::size_t l = count; l-- > 0;) {
    gradient.w[l] = matmul(delta, transpose(a[l])) / m + lambda * net.w[l];
    gradient.b[l] = mean(delta, 1, true);
    delta = matmul(transpose(net.w[l]), delta) * a[l] * (1.0 - a[l]);
  }
  return gradient;
}

int body(int, char**) {
  random::seed(1);
  Claims claims;
  for (const Output output : {Output::regression, Output::softmax})
    for (const std::int64_t m : {1, 7}) {
      const Layers net = random_layers({5, 8, 6, 4});
      const Tensor x = random::normal({5, m}, DType::float64);
      const Tensor y = output == Output::softmax
                           ? transpose(one_hot(random::integers(0, 4, {m}), 4, DType::float64))
                           : random::uniform({4, m}, 0.1, 0.9, DType::float64);

      Tensors all = net.w;
      for (const Tensor& b : net.b) all.push_back(b);
      const Tensors engine = gradients(cost(net, x, y, output), all);
      const Layers hand = deltas(net, x, y, output);

      const std::size_t count = net.w.size();
      double worst = 0;
      for (std::size_t l = 0; l < count; ++l) {
        worst = std::max(worst, largest_difference(engine[l], hand.w[l]));
        worst = std::max(worst, largest_difference(engine[count + l], hand.b[l]));
      }
      claims.at_most(
          fmt::format("{}, {} example{}: the engine's gradients of every W and b are the recursions'",
                      output == Output::softmax ? "softmax" : "regression", m, m == 1 ? "" : "s"),
          worst, 1e-12);
    }
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
