// The saddle point of |p|^2 - |q|^2: the p with the least of the maxima over q, each found by gradient
// descent, so that a descent stands inside the function that a descent differentiates. The inner one is a
// program, with its derivative by p.

#include <map>
#include <memory>

#include "benchmarks/gradbench/descent.hpp"

using namespace wengert;
using gradbench::Mode;
using gradbench::Slope;

namespace {

Tensor height(const Tensors& p, const Tensors& q) {
  return (square(p[0]) + square(p[1])) - (square(q[0]) + square(q[1]));
}

/// The height of the highest q by p.
class Ridge {
  struct Program {
    Mode outer, inner;
    int steps;
    /// Of p and the start for q: height, its two derivatives, q, whether the steps were enough.
    Tensors operator()(const Tensors& in) const {
      const Tensors p{in[0], in[1]}, start{in[2], in[3]};
      gradbench::Descent found;
      const Slope top = gradbench::slope(
          outer,
          [&](const Tensors& at) {
            found = gradbench::descend(
                inner, [&](const Tensors& q) { return -height(at, q); }, start, steps);
            return height(at, found.x);
          },
          p);
      return {top.value, top.gradient[0], top.gradient[1], found.x[0], found.x[1], found.arrived};
    }
  };

 public:
  Ridge(const Tensors& start, Mode outer, Mode inner) : start_(start), outer_(outer), inner_(inner) {}

  Slope operator()(const Tensors& p) const {
    const Tensors found = search(p);
    return {found[0], {found[1], found[2]}};
  }
  Tensors highest(const Tensors& p) const {
    const Tensors found = search(p);
    return {found[3], found[4]};
  }

 private:
  Tensors search(const Tensors& p) const {
    while (true) {
      auto program = programs_.find(steps_);
      if (program == programs_.end())
        program = programs_.emplace(steps_, capture(Program{outer_, inner_, steps_})).first;
      Tensors found = program->second({p[0], p[1], start_[0], start_[1]});
      if (found[5].item<bool>()) return found;
      steps_ += 32;
    }
  }

  Tensors start_;
  Mode outer_, inner_;
  mutable int steps_ = 32;  // that were enough so far
  mutable std::map<int, Captured<Program>> programs_;
};

std::function<Tensors()> prepare(const gradbench::Json& input, Mode outer, Mode inner) {
  const Tensor start = gradbench::numbers(input["start"]);
  const Tensors from{contiguous(slice(start, {0})), contiguous(slice(start, {1}))};
  return [from, ridge = std::make_shared<Ridge>(from, outer, inner)] {
    const Tensors p = gradbench::argmin(*ridge, from), q = ridge->highest(p);
    return Tensors{p[0], p[1], q[0], q[1]};
  };
}

}  // namespace

int main(int argc, char** argv) {
  return gradbench::run_modes(argc, argv, prepare,
                              [](const Tensors& found) { return gradbench::nested(stack(found)); });
}
