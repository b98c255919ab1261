// xtensor in and out: any xtensor expression becomes a Tensor, and a Tensor is seen by xtensor without a
// copy.

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <autodiff/interop/xtensor.hpp>
#include <cmath>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

int body(int, char**) {
  Claims claims;
  xt::xarray<double> a = {{0.0, 1.0, 2.0}, {3.0, 4.0, 5.0}};
  Tensor x = from_xtensor(xt::sin(a) + 1.0);
  claims.check("an xtensor expression is a Tensor", describe(x), "float64[2, 3]",
               describe(x) == "float64[2, 3]");
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(x.span<double>()[i] - (std::sin(a.flat(i)) + 1.0)));
  claims.at_most("whose elements are those of the expression", worst, 1e-15);

  Tensor y = square(x);
  auto view = as_xtensor<double>(y);  // no copy; any xtensor function applies
  claims.check("a Tensor is seen without a copy",
               &std::as_const(view)(0, 0) == y.span<double>().data() ? "same memory" : "a copy",
               "same memory", &std::as_const(view)(0, 0) == y.span<double>().data());
  const double theirs = xt::sum(view)(), ours = sum(y).item<double>();
  claims.at_most("xt::sum and sum agree", std::abs(theirs - ours), 1e-13);
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
