#pragma once

/// \file
/// What the evals particle and saddle share: gradient descent with the step rule that their answers depend on
/// (cpp/gradbench/gd.hpp of the suite), and derivatives in either mode.

#include <cmath>

#include "benchmarks/gradbench/protocol.hpp"

namespace gradbench {

enum class Mode { forward, reverse };

/// The gradient of a scalar f at a vector x: one reverse walk, or one forward walk an element.
template <class F>
wengert::Tensor gradient(Mode mode, const F& f, const wengert::Tensor& x) {
  if (mode == Mode::reverse) return wengert::grad(f)(x);
  return wengert::reshape(wengert::jacobian(f, wengert::JacobianMode::forward)(x), x.shape());
}

inline double norm(const wengert::Tensor& x) {
  return std::sqrt(wengert::sum(wengert::square(x)).item<double>());
}

/// Where f is smallest, from x on: steps against the gradient, twice as long after ten that went down, half
/// as long after one that did not, until the gradient or the step is shorter than 1e-5.
template <class F>
wengert::Tensor argmin(Mode mode, const F& f, wengert::Tensor x) {
  using wengert::Tensor;
  double rate = 1e-5, value = f(x).template item<double>();
  Tensor g = gradient(mode, f, x);
  for (int downhill = 0; norm(g) > 1e-5;) {
    if (downhill == 10) {
      rate *= 2;
      downhill = 0;
      continue;
    }
    const Tensor next = x - rate * g;
    if (norm(next - x) <= 1e-5) break;
    const double next_value = f(next).template item<double>();
    if (next_value < value) {
      x = next;
      value = next_value;
      g = gradient(mode, f, x);
      ++downhill;
    } else {
      rate /= 2;
      downhill = 0;
    }
  }
  return x;
}

template <class F>
wengert::Tensor argmax(Mode mode, const F& f, const wengert::Tensor& x) {
  return argmin(
      mode, [&](const wengert::Tensor& at) { return -f(at); }, x);
}

/// The main function of an eval that searches: a function for each pair of modes, named by their letters, the
/// outer derivative's first.
inline int run_modes(int argc, char** argv,
                     wengert::Tensor (*search)(const Json& input, Mode outer, Mode inner)) {
  std::vector<Function> functions;
  for (const Mode outer : {Mode::forward, Mode::reverse})
    for (const Mode inner : {Mode::forward, Mode::reverse}) {
      const auto letter = [](Mode mode) { return mode == Mode::forward ? 'f' : 'r'; };
      functions.push_back({{letter(outer), letter(inner)}, [=](const Json& input) {
                             return Prepared{[=] { return Tensors{search(input, outer, inner)}; },
                                             [](const Tensors& results) { return nested(results[0]); }};
                           }});
    }
  return run(argc, argv, functions);
}

}  // namespace gradbench
