// A hidden layer as a transform of the plane: z = Wx + b shears and shifts it, tanh bends it, and the last
// unit draws one straight line there. Two units bend a plane into a plane, so that what is enclosed stays
// enclosed: they suffice when the outer class leaves a gap, and three are needed when it is a whole ring.

#include <autodiff/autodiff.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

constexpr double pi = 3.141592653589793;

// A disc around 0 (label 0) and an arc around it (label 1) that leaves `gap` degrees open.
nn::Dataset circle(int n, double gap) {
  const std::vector<double> u = random::uniform({2, n}, DType::float64).to_vector<double>();
  std::vector<double> x, y;
  for (int i = 0; i < n; ++i) {
    const bool outer = i % 2 == 1;
    const double radius = outer ? 1.8 + 0.8 * u[i] : u[i];
    const double angle = (outer ? 2 * pi - gap * pi / 180 : 2 * pi) * (u[n + i] - 0.5);
    x.push_back(radius * std::cos(angle)), x.push_back(radius * std::sin(angle)), y.push_back(outer);
  }
  return {from_span<double>(x, {n, 2}), from_span<double>(y, {n, 1})};
}

// The best of several starts; a little weight decay keeps tanh from saturating, so that one sees it bend.
nn::Sequential train(int units, const nn::Dataset& data, int starts, int steps, double& best) {
  best = -1;
  std::vector<nn::Sequential> kept;
  for (int i = 0; i < starts && best < 100; ++i) {
    const nn::Sequential net = dense({2, units, 1}, nn::Tanh(), {.dtype = DType::float64});
    fit(net, data.x, data.y, binary_loss, steps, 0.05, 2e-3);
    if (const double a = binary_accuracy(net(data.x), data.y); a > best) best = a, kept.push_back(net);
  }
  return nn::Sequential(kept.back());
}

// Two directions to look at the hidden units from: with two, the units themselves; with three, the normal of
// the last unit's plane, so that the plane is seen edge-on as a line, and the direction across it in which
// `a` is widest.
Tensor view(const nn::Sequential& net, const Tensor& a) {
  const Tensor w = reshape(stop_gradient(net.parameters()[2].value()), {-1, 1});
  if (w.size() == 2) return eye(2, DType::float64);
  const Tensor normal = w / sqrt(sum(square(w)));
  Tensor across = ones({w.size(), 1}, DType::float64);
  const Tensor centred = a - mean(a, 0, true);
  for (int i = 0; i < 50; ++i) {  // power iteration within the plane
    across = matmul(transpose(centred), matmul(centred, across));
    across = across - normal * sum(normal * across);
    across = across / sqrt(sum(square(across)));
  }
  return concatenate({normal, across}, 1);
}

// Two perpendicular directions of length 1 in the plane of z = Wx + b.
Tensor plane(const nn::Sequential& net) {
  const Tensor w = stop_gradient(net.parameters()[0].value());
  if (w.dim(0) == 2) return eye(2, DType::float64);
  const auto unit = [](const Tensor& v) { return v / sqrt(sum(square(v))); };
  const Tensor first = unit(slice(w, 1, Slice(0))), second = slice(w, 1, Slice(1));
  return stack({first, unit(second - first * sum(first * second))}, 1);
}

void column(Panel* panels[3], const nn::Sequential& net, const nn::Dataset& data, bool legend) {
  constexpr double edge = 3;
  const Field field{-edge, edge, 81, sigmoid(net(Field::places(-edge, edge, 81, DType::float64)))};
  panels[0]->colours(field, 0, 1).contour(legend ? "boundary" : "", field, 0.5, "lc 'black'");
  const Tensor basis = view(net, tanh(net[0](data.x)));
  const Tensor flat = plane(net);
  const auto z = [&](const Tensor& x) { return matmul(net[0](x), flat); };
  const auto a = [&](const Tensor& x) { return matmul(tanh(net[0](x)), basis); };
  const auto part = [](const Tensor& t, int i) { return slice(t, 1, Slice(i)); };

  // The lines of a grid in x, bent with the plane.
  const Tensor along = linspace(-edge, edge, 241, DType::float64);
  for (double c = -edge; c <= edge; c += 0.5)
    for (const bool across : {false, true}) {
      const Tensor fixed = full({241}, c, DType::float64);
      const Tensor line = across ? stack({fixed, along}, 1) : stack({along, fixed}, 1);
      panels[1]->lines("", part(z(line), 0), part(z(line), 1), "lc '#bbbbbb' lw 1");
      panels[2]->lines("", part(a(line), 0), part(a(line), 1), "lc '#bbbbbb' lw 1");
    }
  const std::vector<double> y = data.y.to_vector<double>();
  for (const int label : {0, 1}) {
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < y.size(); ++i)
      if (y[i] == label) rows.push_back(static_cast<std::int64_t>(i));
    const Tensor x = take(data.x, from_vector(rows));
    const std::string style = fmt::format("lt {} ps 0.6", label + 1);
    panels[0]->points(!legend ? "" : label ? "outer class" : "inner class", part(x, 0), part(x, 1), style);
    panels[1]->points("", part(z(x), 0), part(z(x), 1), style);
    panels[2]->points("", part(a(x), 0), part(a(x), 1), style);
  }
  // w . a + b = 0 in the coordinates of the view.
  const Tensor w = matmul(net.parameters()[2].value(), basis);
  const double u = w.to_vector<double>()[0], v = w.to_vector<double>()[1],
               b = net.parameters()[3].value().item<double>();
  const double n = std::hypot(u, v), length = 4;
  panels[2]->lines("", {-b * u / n / n - length * v / n, -b * u / n / n + length * v / n},
                   {-b * v / n / n + length * u / n, -b * v / n / n - length * u / n}, "lc 'black'");
  const double limit = basis.dim(0) == 2 ? 1.15 : 1.9;
  panels[2]->command(fmt::format("set xrange [-{0}:{0}]\nset yrange [-{0}:{0}]", limit));
}

int body(int argc, char** argv) {
  Note note("S5",
            "Two tanh units make the circle data linearly separable, if the outer class leaves a gap; three "
            "make a ring so.",
            "Deep neural networks, \"Feature space transformation\"");
  int examples = 240, starts = 20, steps = 1500;
  note.option("--examples", examples, "of each data set");
  note.option("--starts", starts, "random starts at the most");
  note.option("--steps", steps, "of training");
  note.start(argc, argv);
  if (note.quick()) starts = 8, steps = 600;

  const nn::Dataset arc = circle(examples, 120), ring = circle(examples, 0);
  double two_arc, two_ring, three_ring;
  const nn::Sequential two = train(2, arc, starts, steps, two_arc);
  train(2, ring, starts, steps, two_ring);
  const nn::Sequential three = train(3, ring, starts, steps, three_ring);
  note.check("2 tanh units, outer class with a gap", fmt::format("{:.1f} % right", two_arc), "100 %",
             two_arc == 100);
  note.check(fmt::format("2 tanh units, a whole ring, best of {} starts", starts),
             fmt::format("{:.1f} % right", two_ring),
             "less than 100 %: tanh(Wx + b) of two units keeps inside what is inside", two_ring < 100);
  note.check("3 tanh units, a whole ring", fmt::format("{:.1f} % right", three_ring), "100 %",
             three_ring == 100);
  note.remark(
      "tanh(z) of three units is drawn as seen along the plane of the last unit, which is a line from there");

  Picture picture("s05_feature_space", 2, 1080);
  picture.legend_below(1);
  const char* square = "set size square";
  Panel* panels[2][3];
  const char* titles[3][2] = {{"Gap, 2 units: x", "Ring, 3 units: x"},
                              {"z = Wx + b", "z = Wx + b, in its plane"},
                              {"tanh(z) and the last unit's line", "tanh(z) and the last unit's plane"}};
  const char* labels[3][2][2] = {{{"x_1", "x_2"}, {"x_1", "x_2"}},
                                 {{"z_1", "z_2"}, {"along W_1", "perpendicular to W_1"}},
                                 {{"a_1", "a_2"}, {"across the plane", "along the plane"}}};
  for (int row = 0; row < 3; ++row)
    for (int c = 0; c < 2; ++c)
      panels[c][row] = &picture.panel(titles[row][c], labels[row][c][0], labels[row][c][1]).command(square);
  column(panels[0], two, arc, true);
  column(panels[1], three, ring, false);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
