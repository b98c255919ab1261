#pragma once

/// \file
/// What the evals particle and saddle share: gradient descent with the step rule that their answers depend on
/// (cpp/gradbench/gd.hpp of the suite), as a loop and as a function of tensors, and derivatives in either
/// mode. A point is a list of numbers, each a tensor without dimensions: then a whole path of them is one
/// loop of a captured program.

#include "benchmarks/gradbench/protocol.hpp"

namespace gradbench {

enum class Mode { forward, reverse };

/// A function's value at a point and its gradient there.
struct Slope {
  Tensor value;
  Tensors gradient;
};

/// One reverse walk, or one forward walk a coordinate.
template <class F>
Slope slope(Mode mode, const F& f, const Tensors& x) {
  if (mode == Mode::reverse) {
    auto [value, gradient] = wengert::value_and_grad(f)(x);
    return {value, gradient};
  }
  Slope result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    Tensors direction;
    for (std::size_t j = 0; j < x.size(); ++j)
      direction.push_back(wengert::tensor(i == j ? 1.0 : 0.0, x[j].dtype()));
    auto [value, tangent] = wengert::jvp(f, x, direction);
    result.value = value;
    result.gradient.push_back(tangent);
  }
  return result;
}

inline Tensor norm(const Tensors& x) {
  Tensor squares = wengert::square(x[0]);
  for (std::size_t i = 1; i < x.size(); ++i) squares = squares + wengert::square(x[i]);
  return wengert::sqrt(squares);
}

/// How far steps of length 1 against the gradient get from x: x - rate * gradient.
inline Tensors follow(const Tensors& x, const Tensors& gradient, const wengert::Operand& rate) {
  Tensors next;
  for (std::size_t i = 0; i < x.size(); ++i) next.push_back(x[i] - rate * gradient[i]);
  return next;
}

inline Tensors difference(const Tensors& x, const Tensors& y) { return follow(x, y, 1.0); }

/// Where a function is smallest, from x on: steps against the gradient, twice as long after ten that went
/// down, half as long after one that did not, until the gradient or the step is shorter than 1e-5. `slope`
/// tells value and gradient at a point.
template <class F>
Tensors argmin(const F& slope, Tensors x) {
  const auto number = [](const Tensor& t) { return t.template item<double>(); };
  double rate = 1e-5;
  Slope here = slope(x);
  for (int downhill = 0; number(norm(here.gradient)) > 1e-5;) {
    if (downhill == 10) {
      rate *= 2;
      downhill = 0;
    }
    const Tensors next = follow(x, here.gradient, rate);
    if (number(norm(difference(next, x))) <= 1e-5) break;
    Slope there = slope(next);
    if (number(there.value) < number(here.value)) {
      x = next;
      here = std::move(there);
      ++downhill;
    } else {
      rate /= 2;
      downhill = 0;
    }
  }
  return x;
}

/// The same search as a function without branches, `steps` steps long: once it has arrived nothing changes
/// any more. So it can be captured, and differentiated by whatever f depends on. `arrived` is false when the
/// steps were too few.
struct Descent {
  Tensors x;
  Tensor arrived;
};
template <class F>
Descent descend(Mode mode, const F& f, Tensors x, int steps) {
  using wengert::where;
  const wengert::DType dtype = x[0].dtype();
  Tensor rate = wengert::tensor(1e-5, dtype), downhill = wengert::tensor(0.0, dtype);
  Slope here = slope(mode, f, x);
  Tensor arrived = norm(here.gradient) <= 1e-5;
  for (int step = 0; step < steps; ++step) {
    const Tensor longer = downhill == 10.0;
    rate = where(longer, 2.0 * rate, rate);
    downhill = where(longer, 0.0, downhill);
    const Tensors next = follow(x, here.gradient, rate);
    arrived = arrived | (norm(difference(next, x)) <= 1e-5);
    const Slope there = slope(mode, f, next);
    const Tensor better = there.value < here.value;
    rate = where(better, rate, 0.5 * rate);
    downhill = where(better, downhill + 1.0, 0.0);
    const Tensor moves = better & !arrived;
    const auto choose = [&](const Tensor& a, const Tensor& b) { return where(moves, a, b); };
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = choose(next[i], x[i]);
      here.gradient[i] = choose(there.gradient[i], here.gradient[i]);
    }
    here.value = choose(there.value, here.value);
    arrived = arrived | (norm(here.gradient) <= 1e-5);
  }
  return {x, arrived};
}

/// The main function of an eval that searches: a function for each pair of modes, named by their letters, the
/// outer derivative's first. `prepare` returns the search.
inline int run_modes(int argc, char** argv,
                     std::function<Tensors()> (*prepare)(const Json& input, Mode outer, Mode inner),
                     const std::function<Json(const Tensors&)>& answer) {
  std::vector<Function> functions;
  for (const Mode outer : {Mode::forward, Mode::reverse})
    for (const Mode inner : {Mode::forward, Mode::reverse}) {
      const auto letter = [](Mode mode) { return mode == Mode::forward ? 'f' : 'r'; };
      functions.push_back({{letter(outer), letter(inner)}, [=](const Json& input) {
                             const auto search = prepare(input, outer, inner);
                             search();  // captures what it meets
                             return Prepared{search, answer};
                           }});
    }
  return run(argc, argv, functions);
}

}  // namespace gradbench
