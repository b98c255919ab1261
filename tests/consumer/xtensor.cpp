// A user's program with xtensor in and out.
#include <autodiff/autodiff.hpp>
#include <autodiff/interop/xtensor.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>

int main() {
  const xt::xarray<double> a{0.0, 1.0, 2.0};
  const wengert::Tensor y = wengert::square(wengert::from_xtensor(xt::sin(a)));
  const auto view = wengert::as_xtensor<double>(y);
  const double expected = std::sin(2.0) * std::sin(2.0);
  return std::abs(view(2) - expected) < 1e-12 ? 0 : 1;
}
