// Operators of one's own. An elementwise one is a forward lambda and its derivative; a general one has a
// shape rule, an xtensor body and a vjp in tensors. Both pass the checks that the built-in operators pass.

#include <autodiff/autodiff.hpp>
#include <autodiff/operator.hpp>
#include <iostream>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

const Operator soft_clip =
    elementwise({.name = "soft_clip",
                 .forward = [](auto x) { return x / (1.0 + abs(x)); },
                 .derivative = [](auto x, auto /*y*/) { return square(1.0 / (1.0 + abs(x))); },
                 .samples =
                     [] {
                       return Samples{random::normal({2, 3})};
                     }});

const Operator differences = define_operator({// d[i, j] = a[i] - b[j]
                                              .name = "differences",
                                              .shape =
                                                  [](Shapes in) {
                                                    return Shape{in[0][0], in[1][0]};
                                                  },
                                              .forward =
                                                  [](const XArrays<double>& in, XArray<double>& out) {
                                                    xt::noalias(out) =
                                                        xt::view(in[0], xt::all(), xt::newaxis()) -
                                                        xt::view(in[1], xt::newaxis(), xt::all());
                                                  },
                                              .vjp =
                                                  [](const Call&, const Tensor& g) {
                                                    return Tensors{sum(g, 1), -sum(g, 0)};
                                                  },
                                              .samples =
                                                  [] {
                                                    return Samples{random::normal({3}), random::normal({4})};
                                                  }});

template <class Report>
void battery(Claims& claims, const std::string& name, const Report& report) {
  claims.check(name + " passes the battery of the built-in operators", bool(report) ? "passed" : "failed",
               "passed", bool(report));
  if (!report) std::cout << report;
}

int body(int, char**) {
  Claims claims;
  random::seed(3);
  battery(claims, "soft_clip", check_operator(soft_clip));
  battery(claims, "differences", check_operator(differences));

  // They are operators like any other: inside a larger function, differentiated twice.
  const Tensor a = random::normal({3}, DType::float64), b = random::normal({4}, DType::float64);
  const auto f = [](const Tensor& x, const Tensor& y) { return sum(square(soft_clip(differences(x, y)))); };
  const GradcheckReport report = gradcheck(f, {a, b}, {.order = 2});
  claims.check("a function of both has right first and second derivatives",
               fmt::format("{} of {} entries right, largest error {:.1e}", report.right, report.checked(),
                           report.largest_error),
               "all right", bool(report));

  const Tensor x = variable(tensor({-3.0, 0.0, 1.0}, DType::float64));
  const Tensor y = soft_clip(x), slope = gradients(sum(y), {x})[0];
  claims.at_most("soft_clip(-3, 0, 1) is (-3/4, 0, 1/2)",
                 largest_difference(y, tensor({-0.75, 0.0, 0.5}, DType::float64)), 1e-15);
  claims.at_most("its slope there is (1/16, 1, 1/4)",
                 largest_difference(slope, tensor({0.0625, 1.0, 0.25}, DType::float64)), 1e-15);
  claims.at_most("differences(a, b)[i, j] is a[i] - b[j]",
                 largest_difference(differences(a, b), expand_dims(a, 1) - expand_dims(b, 0)), 0);
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
