// x^2 and its derivative: does the protocol work?

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

int main(int argc, char** argv) {
  const auto f = [](const Tensor& x) { return square(x); };
  return gradbench::run(argc, argv,
                        {{"square",
                          [=](const gradbench::Json& input) {
                            return gradbench::repeat([=](const Tensors& x) { return Tensors{f(x[0])}; },
                                                     {gradbench::numbers(input)});
                          }},
                         {"double", [=](const gradbench::Json& input) {
                            return gradbench::repeat([=](const Tensors& x) { return Tensors{grad(f)(x[0])}; },
                                                     {gradbench::numbers(input)});
                          }}});
}
