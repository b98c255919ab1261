// A particle in the field of two charges, one of which moves with a parameter w: the w for which the
// particle's path, integrated by Euler's method, crosses the axis y = 0 at the origin. The force is a
// derivative, and the search needs the derivative of the path by w: a derivative inside a derivative.
//
// How many steps it is to the axis depends on w. Paths of one length are a program; the one that fits is
// looked for among them.

#include <map>
#include <memory>
#include <tuple>

#include "benchmarks/gradbench/descent.hpp"

using namespace wengert;
using gradbench::Mode;
using gradbench::Slope;

namespace {

struct Path {
  Tensor before, after;  // heights before and after the last step
  Tensor miss;           // squared distance from the origin at which its line crosses the axis
};

Path path(Mode mode, const Tensor& w, int steps) {
  const double delta = 0.1;
  const auto f64 = [](double x) { return tensor(x, DType::float64); };
  const auto potential = [&](const Tensors& at) {
    return 1.0 / gradbench::norm({at[0] - 10.0, at[1] - (10.0 - w)}) +
           1.0 / gradbench::norm({at[0] - 10.0, at[1]});
  };
  Tensors x{f64(0.0), f64(8.0)}, velocity{f64(0.75), f64(0.0)}, before;
  for (int i = 0; i < steps; ++i) {
    if (i > 0)
      velocity = gradbench::follow(velocity, gradbench::slope(mode, potential, before).gradient, delta);
    before = x;
    x = gradbench::follow(x, velocity, -delta);
  }
  return {before[1], x[1], square(x[0] - x[1] / velocity[1] * velocity[0])};
}

/// The squared distance by w.
class Miss {
  struct Program {
    Mode outer, inner;
    int steps;
    std::tuple<Tensor, Tensor, Tensor, Tensor> operator()(const Tensor& w) const {
      Path here;
      const Slope miss = gradbench::slope(
          outer, [&](const Tensors& at) { return (here = path(inner, at[0], steps)).miss; }, {w});
      return {miss.value, miss.gradient[0], here.before, here.after};
    }
  };

 public:
  Miss(Mode outer, Mode inner) : outer_(outer), inner_(inner) {}

  Slope operator()(const Tensors& w) const {
    while (true) {
      auto found = programs_.find(steps_);
      if (found == programs_.end())
        found = programs_.emplace(steps_, capture(Program{outer_, inner_, steps_})).first;
      auto [miss, gradient, before, after] = found->second(w[0]);
      if (after.item<double>() > 0)
        ++steps_;
      else if (before.item<double>() <= 0)
        --steps_;
      else
        return {miss, {gradient}};
    }
  }

 private:
  Mode outer_, inner_;
  mutable int steps_ = 350;  // of the last path: the next one is hardly longer or shorter
  mutable std::map<int, Captured<Program>> programs_;
};

std::function<Tensors()> prepare(const gradbench::Json& input, Mode outer, Mode inner) {
  return [w = gradbench::numbers(input["w"]), miss = std::make_shared<Miss>(outer, inner)] {
    return gradbench::argmin(*miss, {w});
  };
}

}  // namespace

int main(int argc, char** argv) {
  return gradbench::run_modes(argc, argv, prepare, [](const Tensors& w) { return gradbench::nested(w[0]); });
}
