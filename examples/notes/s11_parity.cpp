// Is x_1 + ... + x_n odd? One layer needs 2^(n-1) units if each may recognise only one pattern, as the
// lecture has it; a tree of XORs needs log2(n) layers of about n. But a ReLU unit can count: n of them in one
// layer are enough. And what does training need?

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

// All 2^n patterns of bits, and whether their sum is odd.
nn::Dataset parity(int n) {
  std::vector<float> x, y;
  for (int pattern = 0; pattern < 1 << n; ++pattern) {
    for (int i = 0; i < n; ++i) x.push_back(static_cast<float>(pattern >> i & 1));
    y.push_back(static_cast<float>(__builtin_popcount(static_cast<unsigned>(pattern)) & 1));
  }
  return {from_span<float>(x, {1 << n, n}), from_span<float>(y, {1 << n, 1})};
}

// A network with these weights; `w[l]` is [to, from].
Tensor apply(const std::vector<std::pair<Tensor, Tensor>>& layers, Tensor x) {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    x = matmul(x, layers[l].first, {.transpose_b = true}) + layers[l].second;
    if (l + 1 < layers.size()) x = relu(x);
  }
  return x;
}
struct Built {
  std::vector<std::pair<Tensor, Tensor>> layers;
  int units() const {
    std::int64_t total = 0;
    for (std::size_t l = 0; l + 1 < layers.size(); ++l) total += layers[l].second.size();
    return static_cast<int>(total);
  }
  int hidden_layers() const { return static_cast<int>(layers.size()) - 1; }
  double wrong(const nn::Dataset& data) const { return largest_difference(apply(layers, data.x), data.y); }
};
Tensor matrix(const std::vector<float>& flat, std::size_t rows) {
  return from_span<float>(flat,
                          {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(flat.size() / rows)});
}

// One unit for each odd pattern p: relu(1 - number of bits that differ from p).
Built patterns(int n) {
  std::vector<float> w, b, one;
  for (int p = 0; p < 1 << n; ++p) {
    const int bits = __builtin_popcount(static_cast<unsigned>(p));
    if (bits % 2 == 0) continue;
    for (int i = 0; i < n; ++i) w.push_back(p >> i & 1 ? 1.0f : -1.0f);
    b.push_back(static_cast<float>(1 - bits)), one.push_back(1);
  }
  return {{{matrix(w, b.size()), from_vector(b)}, {matrix(one, 1), zeros({1})}}};
}

// With s the sum: s - 2 relu(s - 1) + 2 relu(s - 2) - ... goes up and down between 0 and 1.
Built counting(int n) {
  std::vector<float> b, c;
  for (int i = 0; i < n; ++i)
    b.push_back(static_cast<float>(-i)), c.push_back(i == 0 ? 1.0f : i % 2 ? -2.0f : 2.0f);
  return {{{ones({n, n}), from_vector(b)}, {matrix(c, 1), zeros({1})}}};
}

// Pairs are joined by a XOR b = relu(a + b) - 2 relu(a + b - 1), layer after layer; the second half of one
// layer's XOR is part of the next layer's weights. A bit without a partner is passed on.
Built tree(int n) {
  Built net;
  Tensor from = eye(n);  // the bits still to be joined, in terms of the last layer's units
  for (int bits = n; bits > 1;) {
    std::vector<Tensor> rows;
    std::vector<float> b, next;
    const int joined = bits / 2, left = bits % 2;
    for (int i = 0; i < joined; ++i) {
      const Tensor pair = slice(from, {Slice(2 * i, 2 * i + 1)}) + slice(from, {Slice(2 * i + 1, 2 * i + 2)});
      rows.push_back(pair), rows.push_back(pair), b.push_back(0), b.push_back(-1);
    }
    if (left) rows.push_back(slice(from, {Slice(bits - 1, bits)})), b.push_back(0);
    const int units = 2 * joined + left;
    for (int i = 0; i < joined + left; ++i)
      for (int j = 0; j < units; ++j) next.push_back(j / 2 != i ? 0.0f : j % 2 ? -2.0f : 1.0f);
    net.layers.emplace_back(concatenate(Tensors(rows)), from_vector(b));
    from = matrix(next, static_cast<std::size_t>(joined + left));
    bits = joined + left;
  }
  net.layers.emplace_back(from, zeros({1}));
  return net;
}

// Whether Adam finds weights that are right for every pattern, from one of several starts.
bool learns(const Sizes& sizes, const nn::Dataset& data, int starts, int steps) {
  for (int i = 0; i < starts; ++i) {
    const nn::Sequential net = dense(sizes, nn::ReLU(), {.weight_init = nn::he_normal});
    for (int part = 0; part < 4; ++part) {
      fit(net, 2.0 * data.x - 1.0, data.y, binary_loss, steps / 4, 0.01);
      if (binary_accuracy(net(2.0 * data.x - 1.0), data.y) == 100) return true;
    }
  }
  return false;
}

int body(int argc, char** argv) {
  Note note("S11",
            "Parity of n bits takes 2^(n-1) units that know one pattern each, or about n units a layer in "
            "log2(n) layers.",
            "Deep networks (after Prince, ch. 4), \"Depth efficiency\" (parity)");
  int largest = 10, starts = 3, steps = 2000;
  note.option("--bits", largest, "the largest n");
  note.option("--starts", starts, "random starts for each width");
  note.option("--steps", steps, "of training");
  note.start(argc, argv);
  if (note.quick()) largest = 6, starts = 2, steps = 800;

  std::vector<double> bits, by_pattern, by_count, by_tree, shallow_n, shallow, deep_n, deep;
  double wrong = 0;
  bool layers_right = true;
  fmt::print(
      "          bits   units: patterns  counting  tree (layers)   smallest trained: 1 layer  deep (layers x "
      "width)\n");
  for (int n = 2; n <= largest; ++n) {
    const nn::Dataset data = parity(n);
    const Built a = patterns(n), b = counting(n), c = tree(n);
    wrong = std::max({wrong, a.wrong(data), b.wrong(data), c.wrong(data)});
    const int depth = static_cast<int>(std::ceil(std::log2(n)));
    layers_right = layers_right && c.hidden_layers() == depth;
    bits.push_back(n), by_pattern.push_back(a.units()), by_count.push_back(b.units()),
        by_tree.push_back(c.units());
    int one = 0, narrow = 0;
    for (int width = 2; width <= 128 && one == 0; width += std::max(1, width / 4))
      if (learns({n, width, 1}, data, starts, steps)) one = width;
    const int hidden = std::max(2, depth);
    for (int width = 2; width <= 32 && narrow == 0; width += std::max(1, width / 4)) {
      Sizes sizes(static_cast<std::size_t>(hidden), width);
      sizes.insert(sizes.begin(), n), sizes.push_back(1);
      if (learns(sizes, data, starts, steps)) narrow = width;
    }
    if (one > 0) shallow_n.push_back(n), shallow.push_back(one);
    if (narrow > 0) deep_n.push_back(n), deep.push_back(narrow * hidden);
    fmt::print("          {:4} {:16} {:9} {:5} ({}) {:26} {:6} x {}\n", n, a.units(), b.units(), c.units(),
               c.hidden_layers(), one, hidden, narrow);
  }
  note.at_most("all three built networks give parity for all patterns; their largest error", wrong, 1e-6);
  note.check("units of one layer that know a pattern each",
             fmt::format("{:.0f} for {} bits", by_pattern.back(), largest), "2^(n-1)",
             by_pattern.back() == std::pow(2, largest - 1));
  note.check("hidden layers of the tree", layers_right ? "log2(n), rounded up" : "another number",
             "log2(n), rounded up", layers_right);
  note.check("units of the tree", fmt::format("{:.0f} for {} bits", by_tree.back(), largest), "at most 3n",
             by_tree.back() <= 3 * largest);
  note.check("trained: smallest single layer and smallest deep network found for every n",
             fmt::format("{} and {} of {}", shallow.size(), deep.size(), bits.size()), "all",
             shallow.size() == bits.size() && deep.size() == bits.size());
  note.remark(
      "2^n is the price of units that know one pattern each; ReLU units that count do it in one layer of n, "
      "and training finds such layers, too");

  Picture picture("s11_parity", 1, 460);
  picture.panel("Hidden units for the parity of n bits", "bits n", "hidden units in all")
      .command("set logscale y 2\nset yrange [1.5:700]\nset xtics 1\nset key top left Left reverse")
      .marks("1 layer, a unit for each odd pattern: 2^{n−1}", bits, by_pattern)
      .marks("1 layer of ReLUs that count: n", bits, by_count)
      .marks("tree of XORs, log_2 n layers", bits, by_tree)
      .marks("smallest trained, 1 layer", shallow_n, shallow, "dt 2")
      .marks("smallest trained, log_2 n layers (2 or more)", deep_n, deep, "dt 2");
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
