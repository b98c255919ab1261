// Backpropagation's recursions in matrix form, written out by hand, against the engine.
//
// Columns are examples: A(1) = X, Z(l+1) = W(l) A(l) + b(l), A(l+1) = f(Z(l+1)).
//   last layer      delta(L) = (A(L) - Y) * f'(Z(L))        regression, 1/2 ||A(L) - Y||^2
//                   delta(L) = A(L) - Y                     softmax with cross-entropy
//   layers before   delta(l) = W(l)^T delta(l+1) * f'(Z(l))
//   gradients       dJ/dW(l) = delta(l+1) A(l)^T / m + lambda W(l)
//                   dJ/db(l) = the mean of delta(l+1) over its columns

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cmath>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

enum class Output { regression, softmax };

struct Layers {
  Tensors w, b;  // [to, from], [to, 1]
};

Layers random_layers(const Sizes& sizes) {
  Layers layers;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    layers.w.push_back(variable(random::normal({sizes[l + 1], sizes[l]}, 0.0, 0.7, DType::float64)));
    layers.b.push_back(variable(random::normal({sizes[l + 1], 1}, 0.0, 0.3, DType::float64)));
  }
  return layers;
}

// What the engine needs to be told: the cost itself.
Tensor cost(const Layers& net, const Tensor& x, const Tensor& y, Output output, double lambda) {
  Tensor a = x, decay = full({}, 0.0, DType::float64);
  for (std::size_t l = 0; l < net.w.size(); ++l) {
    const Tensor z = matmul(net.w[l], a) + net.b[l];
    const bool last = l + 1 == net.w.size();
    a = last && output == Output::softmax ? softmax(z, 0) : sigmoid(z);
    decay += sum(square(net.w[l]));
  }
  const Tensor fit = output == Output::softmax ? -sum(y * log(a)) : 0.5 * sum(square(a - y));
  return fit / static_cast<double>(x.dim(1)) + 0.5 * lambda * decay;
}

// The recursions, from the last layer to the first.
Layers deltas(const Layers& net, const Tensor& x, const Tensor& y, Output output, double lambda) {
  const NoGrad no_grad;
  const std::size_t count = net.w.size();
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
    gradient.w[l] = matmul(delta, transpose(a[l])) / static_cast<double>(x.dim(1)) + lambda * net.w[l];
    gradient.b[l] = mean(delta, 1, true);
    delta = matmul(transpose(net.w[l]), delta) * a[l] * (1.0 - a[l]);
  }
  return gradient;
}

// Forward propagation of one example, one sum at a time: a_i = tanh(sum_j W_ij a_j + b_i), the last layer
// linear.
std::vector<double> forward(const nn::Sequential& net, std::vector<double> a) {
  const nn::Parameters p = net.parameters();
  for (std::size_t l = 0; l < p.size(); l += 2) {
    const std::vector<double> w = p[l].value().to_vector<double>(), b = p[l + 1].value().to_vector<double>();
    std::vector<double> next;
    for (std::size_t i = 0; i < b.size(); ++i) {
      double z = b[i];
      for (std::size_t j = 0; j < a.size(); ++j) z += w[i * a.size() + j] * a[j];
      next.push_back(l + 2 < p.size() ? std::tanh(z) : z);
    }
    a = next;
  }
  return a;
}

std::int64_t between(std::int64_t low, std::int64_t high) {
  return random::integers(low, high + 1, {}).item<std::int64_t>();
}
Sizes random_sizes() {
  Sizes sizes;
  for (std::int64_t l = between(3, 7); l > 0; --l) sizes.push_back(between(1, 12));
  return sizes;
}

int body(int argc, char** argv) {
  Note note("S2",
            "The delta recursions give every dJ/dW and dJ/db, for one example and for m, with weight decay.",
            "Feed-forward networks, \"Backpropagation algorithm\", regression and softmax, 1 and m examples");
  int seeds = 50;
  double lambda = 0.03;
  note.option("--seeds", seeds, "number of random networks of each kind");
  note.option("--lambda", lambda, "weight decay");
  note.start(argc, argv);

  double worst_forward = 0;
  for (int s = 0; s < seeds; ++s) {
    const Sizes sizes = random_sizes();
    const nn::Sequential net = dense(sizes, nn::Tanh(), {.dtype = DType::float64});
    const Tensor x = random::normal({sizes[0]}, DType::float64);
    const Tensor expected = from_vector(forward(net, x.to_vector<double>()));
    worst_forward = std::max(worst_forward, largest_difference(net(x), expected));
  }
  note.at_most(
      fmt::format("forward propagation, {} random networks of 2 to 6 layers: nn::Sequential against sums",
                  seeds),
      worst_forward, 1e-12);

  Picture picture("s02_delta_recursions", 2, 380);
  Panel& agree = picture.panel("Every entry of every dJ/dW and dJ/db", "recursions", "engine");
  Panel& differ =
      picture.panel("and how far apart the two are", "size of the entry", "|engine − recursions|");
  picture.legend_below(2);
  agree.command("set xtics 0.5\nset ytics 0.5");
  differ.command(
      "set logscale xy\nset format xy '10^{%L}'\nset yrange [1e-20:1e-10]\nset xrange [1e-8:10]\nset xtics "
      "1e-8,100\nunset mxtics\nset key top right");
  const std::vector<double> ends{1e-8, 10};
  for (const Output output : {Output::regression, Output::softmax})
    for (const bool one : {true, false}) {
      std::vector<double> by_hand, by_engine, size, difference;
      double worst = 0;
      for (int s = 0; s < seeds; ++s) {
        const Sizes sizes = random_sizes();
        const std::int64_t m = one ? 1 : between(2, 20);
        const Layers net = random_layers(sizes);
        const Tensor x = random::normal({sizes[0], m}, DType::float64);
        const Tensor y =
            output == Output::softmax
                ? transpose(one_hot(random::integers(0, sizes.back(), {m}), sizes.back(), DType::float64))
                : random::uniform({sizes.back(), m}, 0.1, 0.9, DType::float64);
        Tensors all = net.w;
        for (const Tensor& b : net.b) all.push_back(b);
        const Tensors engine = gradients(cost(net, x, y, output, lambda), all);
        Layers hand = deltas(net, x, y, output, lambda);
        for (std::size_t i = 0; i < all.size(); ++i) {
          const Tensor& h = i < net.w.size() ? hand.w[i] : hand.b[i - net.w.size()];
          worst = std::max(worst, largest_difference(engine[i], h));
          const std::vector<double> e = engine[i].to_vector<double>(), v = h.to_vector<double>();
          for (std::size_t k = 0; k < e.size() && s < 10; ++k) {
            by_hand.push_back(v[k]), by_engine.push_back(e[k]);
            size.push_back(std::abs(v[k])), difference.push_back(std::abs(e[k] - v[k]));
          }
        }
      }
      const char* what = output == Output::softmax ? "softmax" : "regression";
      note.at_most(fmt::format("{}, {}, {} random networks: every dJ/dW and dJ/db against the recursions",
                               what, one ? "1 example" : "m examples", seeds),
                   worst, 1e-12);
      agree.points(fmt::format("{}, {}", what, one ? "1 example" : "m examples"), by_hand, by_engine,
                   "ps 0.5");
      differ.points("", size, difference, "ps 0.4");
    }
  differ.lines("allowed: 10^{-12}", ends, {1e-12, 1e-12}, "dt 2 lc 'black'");
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
