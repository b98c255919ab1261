#include "autodiff/gradcheck/difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wengert::detail {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// The differences of one step.
struct Step {
  double step = 0;
  double central = 0;
  double gap = 0;    ///< |right-hand - left-hand derivative|
  double noise = 0;  ///< what rounding may contribute to `central`
  bool finite = true;
};

Step take_step(const DifferenceProblem& p, double h) {
  const double right = p.position + h;
  const double left = p.position - h;
  const double ahead = right - p.position;  // what is left of h after rounding
  const double behind = p.position - left;
  const std::vector<double> f_right = p.f(right);
  const std::vector<double> f_left = p.f(left);
  Step s;
  s.step = h;
  double central = 0, forward = 0, backward = 0, noise = 0;
  for (std::size_t i = 0; i < p.base.size(); ++i) {
    const double w = p.weights[i];
    if (w == 0) continue;
    const double r = f_right[i], b = p.base[i], l = f_left[i];
    if (!std::isfinite(r) || !std::isfinite(l)) {
      s.finite = false;
      continue;
    }
    if (r == b && l == b) continue;
    central += w * (r - l);
    forward += w * (r - b);
    backward += w * (b - l);
    noise += std::abs(w) * std::max(std::abs(r), std::abs(l));
  }
  s.central = central / (ahead + behind);
  s.gap = std::abs(forward / ahead - backward / behind);
  s.noise = 2 * p.epsilon * noise / (ahead + behind);
  return s;
}

bool significant(const DifferenceProblem& p, const Step& s, double value) {
  return s.gap > 10 * p.tolerance * std::max(std::abs(value), p.scale) && s.gap > 50 * s.noise;
}

/// Of a smooth function the gap shrinks with the step; at a kink it stays, at a jump it grows.
bool is_kink(const DifferenceProblem& p, const Step& large, const Step& small, double value) {
  if (!small.finite) return false;
  if (!significant(p, small, value) || small.gap < 0.6 * large.gap) return false;
  const Step smaller = take_step(p, small.step / 64);
  return !smaller.finite || (significant(p, smaller, value) && smaller.gap > 0.6 * small.gap);
}

constexpr int levels = 5;

struct Tableau {
  double value = 0;
  double estimate = infinity;
  double noise = infinity;
  Step first, last;
  bool finite = true;
};

Tableau extrapolate(const DifferenceProblem& p, double h) {
  Tableau t;
  double row[levels] = {}, previous[levels] = {};
  for (int k = 0; k < levels; ++k, h /= 2) {
    const Step s = take_step(p, h);
    if (!s.finite) {
      t.finite = false;
      return t;
    }
    if (k == 0) t.first = s;
    t.last = s;
    row[0] = s.central;
    double power = 1;
    for (int m = 1; m <= k; ++m) {
      power *= 4;
      row[m] = row[m - 1] + (row[m - 1] - previous[m - 1]) / (power - 1);
      const double error = std::max(std::abs(row[m] - row[m - 1]), std::abs(row[m] - previous[m - 1]));
      if (error + s.noise < t.estimate) {
        t.value = row[m];
        t.estimate = error + s.noise;
        t.noise = s.noise;
      }
    }
    if (k >= 2 && t.estimate <= 0.01 * p.tolerance * std::max(std::abs(t.value), p.scale)) break;
    if (k >= 2 && t.estimate <= 2 * t.noise) break;
    std::copy(row, row + levels, previous);
  }
  return t;
}

}  // namespace

NumericDerivative differentiate(const DifferenceProblem& p) {
  constexpr int attempts = 8;
  // A power of two, so that few positions round.
  double h = std::exp2(std::floor(std::log2(std::max(std::abs(p.position), 1.0))) - 6);
  Tableau best;
  bool found = false;
  for (int attempt = 0; attempt < attempts; ++attempt, h /= 8) {
    const Tableau t = extrapolate(p, h);
    if (!t.finite) continue;
    // The steps only shrink, and with them the risk that both sides of a far kink agree by accident; a
    // later attempt is taken when it is clearly better.
    if (!found || t.estimate < best.estimate) best = t;
    found = true;
    const double size = std::max(std::abs(best.value), p.scale);
    if (best.estimate <= 0.05 * p.tolerance * size || best.estimate <= 3 * best.noise) break;
  }
  NumericDerivative result;
  if (!found) {
    result.kink = true;
    result.estimate = infinity;
    return result;
  }
  result.value = best.value;
  result.estimate = best.estimate;
  result.noise = best.noise;
  result.kink = is_kink(p, best.first, best.last, best.value);
  if (!result.kink && best.estimate > p.tolerance * std::max(std::abs(best.value), p.scale)) {
    // Undecided at every step: perhaps a kink closer than the best steps reach.
    const Step small = take_step(p, h);
    const Step smaller = take_step(p, h / 8);
    result.kink = !small.finite || !smaller.finite || is_kink(p, small, smaller, best.value);
  }
  return result;
}

}  // namespace wengert::detail
