// The saddle point of |p|^2 - |q|^2: the p with the least of the maxima over q, each found by gradient
// descent, so that a descent stands inside the function that a descent differentiates.

#include "benchmarks/gradbench/descent.hpp"

using namespace wengert;
using gradbench::Mode;

namespace {

Tensor height(const Tensor& p, const Tensor& q) { return sum(square(p)) - sum(square(q)); }

Tensor search(const gradbench::Json& input, Mode outer, Mode inner) {
  const Tensor start = gradbench::numbers(input["start"]);
  const auto answer = [&](const Tensor& p) {
    return gradbench::argmax(
        inner, [&](const Tensor& q) { return height(p, q); }, start);
  };
  const Tensor p = gradbench::argmin(
      outer, [&](const Tensor& at) { return height(at, answer(at)); }, start);
  return concatenate({p, answer(p)});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run_modes(argc, argv, search); }
