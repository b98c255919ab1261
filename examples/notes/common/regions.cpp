#include "examples/notes/common/regions.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/autodiff.hpp"

namespace examples {

using namespace wengert;

std::vector<Piece> pieces(const nn::Sequential& net, const Tensor& origin, const Tensor& direction,
                          double from, double to) {
  // Everything that a ReLU sees, and at the end the network's output.
  const auto pre_activations = [&](const Tensors& t) {
    Tensors all;
    Tensor a = origin + t[0] * direction;
    for (std::size_t l = 0; l < net.size(); ++l) {
      if (dynamic_cast<const nn::ReLU*>(&net[l]) != nullptr) all.push_back(a);
      a = net[l](a);
    }
    all.push_back(a);
    return concatenate(all);
  };
  std::vector<Piece> found;
  // Kinks nearer to each other, or to the end, than this are one: rounding places them there.
  const auto step = [](double t) { return 1e-9 * std::max(1.0, std::abs(t)); };
  double t = from;
  while (to - t > step(t)) {
    const double inside = t + step(t);
    const auto [values, slopes] =
        jvp(pre_activations, {full({}, inside, DType::float64)}, {ones({}, DType::float64)});
    const std::span<const double> z = values.span<double>(), dz = slopes.span<double>();
    const double slope = dz.back();
    if (found.empty() || std::abs(slope - found.back().slope) > 1e-9 * std::max(1.0, std::abs(slope)))
      found.push_back({t, slope});
    double next = to;
    for (std::size_t i = 0; i + 1 < z.size(); ++i)
      if (const double kink = inside - z[i] / dz[i]; kink > inside && kink < next) next = kink;
    t = next;
  }
  return found;
}

}  // namespace examples
