#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/kernels/uses.hpp"

namespace wengert::kernels {

/// Where a floating value lies. Called with intervals instead of values, a generic elementwise lambda returns
/// one that holds its result, whatever way the results of its steps are rounded in float32 or float64:
///
///     auto rule = [](auto p) { return 1.0 - p; };
///     rule(Interval(0, 1))   // a little more than [0, 1], so that its logarithm may be anything
///
/// It offers the operators and functions that Uses offers.
class Interval {
 public:
  /// Programs may count on numbers of at most this size, if they look whether it holds.
  static constexpr double assumed = 0x1p40;

  /// Any number, an infinity or NaN.
  constexpr Interval() = default;
  template <Number N>
  constexpr Interval(N value) : Interval(static_cast<double>(value), static_cast<double>(value)) {}
  /// No NaN, and neither less nor more.
  constexpr Interval(double low, double high) {
    if (low >= -largest && high <= largest) low_ = low, high_ = high;
  }

  constexpr double low() const { return low_; }
  constexpr double high() const { return high_; }
  /// Whether what lies there is finite.
  constexpr bool is_finite() const { return low_ >= -largest; }

  friend Interval operator+(Interval a, Interval b) { return rounded(a.low_ + b.low_, a.high_ + b.high_); }
  friend Interval operator-(Interval a, Interval b) { return a + -b; }
  friend Interval operator*(Interval a, Interval b) {
    if (!a.is_finite() || !b.is_finite()) return {};
    return rounded(corners(a, b, [](double x, double y) { return x * y; }));
  }
  friend Interval operator/(Interval a, Interval b) { return a * reciprocal(b); }
  friend Interval operator-(Interval a) { return {-a.high_, -a.low_}; }
  friend Interval abs(Interval a) {
    const double top = std::max(-a.low_, a.high_);
    return {a.low_ > 0 ? a.low_ : a.high_ < 0 ? -a.high_ : 0.0, top};
  }
  friend Interval maximum(Interval a, Interval b) {
    if (!a.is_finite() || !b.is_finite()) return {};
    return {std::max(a.low_, b.low_), std::max(a.high_, b.high_)};
  }
  friend Interval minimum(Interval a, Interval b) { return -maximum(-a, -b); }
  friend Interval where(Interval, Interval a, Interval b) {
    return {std::min(a.low_, b.low_), std::max(a.high_, b.high_)};
  }

  friend Interval square(Interval a) { return not_negative(abs(a) * abs(a)); }
  friend Interval reciprocal(Interval a) {
    if (!a.is_finite() || (a.low_ <= 0 && a.high_ >= 0)) return {};
    return rounded(1 / a.high_, 1 / a.low_);
  }
  friend Interval sqrt(Interval a) {
    return a.low_ < 0 ? Interval() : not_negative(increasing(a, [](double x) { return std::sqrt(x); }));
  }
  friend Interval exp(Interval a) {
    return not_negative(increasing(a, [](double x) { return std::exp(x); }));
  }
  friend Interval expm1(Interval a) {
    return increasing(a, [](double x) { return std::expm1(x); });
  }
  friend Interval log(Interval a) {
    return a.low_ <= 0 ? Interval() : increasing(a, [](double x) { return std::log(x); });
  }
  friend Interval log1p(Interval a) { return log(a + 1); }
  friend Interval tanh(Interval a) {
    return increasing(a, [](double x) { return std::tanh(x); });
  }
  friend Interval sigmoid(Interval a) {
    return not_negative(increasing(a, [](double x) { return 1 / (1 + std::exp(-x)); }));
  }
  friend Interval softplus(Interval a) {
    return not_negative(
        increasing(a, [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }));
  }
  friend Interval sin(Interval a) { return a.is_finite() ? rounded(-1, 1) : a; }
  friend Interval cos(Interval a) { return sin(a); }
  friend Interval sign(Interval a) { return a.is_finite() ? Interval(-1, 1) : a; }
  friend Interval pow(Interval a, Interval b) {
    if (!a.is_finite() || !b.is_finite()) return {};
    const auto power = [](double x, double y) { return std::pow(x, y); };
    if (a.low_ > 0 || (a.low_ == 0 && b.low_ >= 0)) return not_negative(rounded(corners(a, b, power)));
    if (b.low_ != b.high_ || b.low_ < 0 || b.low_ != std::floor(b.low_)) return {};
    const Interval size = pow(abs(a), b);
    return {-size.high_, size.high_};
  }

  friend Interval operator<(Interval, Interval) { return {0, 1}; }
  friend Interval operator<=(Interval, Interval) { return {0, 1}; }
  friend Interval operator>(Interval, Interval) { return {0, 1}; }
  friend Interval operator>=(Interval, Interval) { return {0, 1}; }
  friend Interval operator==(Interval, Interval) { return {0, 1}; }
  friend Interval operator!=(Interval, Interval) { return {0, 1}; }
  friend Interval operator&(Interval, Interval) { return {0, 1}; }
  friend Interval operator|(Interval, Interval) { return {0, 1}; }
  friend Interval operator!(Interval) { return {0, 1}; }
  friend Interval isnan(Interval) { return {0, 1}; }
  friend Interval isfinite(Interval) { return {0, 1}; }
  friend Interval isinf(Interval) { return {0, 1}; }
  friend Interval zeros_like(Interval) { return {0, 0}; }
  friend Interval ones_like(Interval) { return {1, 1}; }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  /// Below the largest float32 by a margin, as the steps of a function may exceed its result.
  static constexpr double largest = 1e37;

  /// Wider by what a result that is off by some units in the last place of float32, or is rounded to zero,
  /// may be off.
  static Interval rounded(double low, double high) {
    return {low - (1e-6 * std::abs(low) + 1e-37), high + (1e-6 * std::abs(high) + 1e-37)};
  }
  static Interval rounded(Interval a) { return rounded(a.low_, a.high_); }
  static Interval not_negative(Interval a) { return {std::max(a.low_, 0.0), a.high_}; }
  template <class F>
  static Interval increasing(Interval a, F f) {
    return a.is_finite() ? rounded(f(a.low_), f(a.high_)) : a;
  }
  template <class F>
  static Interval corners(Interval a, Interval b, F f) {
    const double all[] = {f(a.low_, b.low_), f(a.low_, b.high_), f(a.high_, b.low_), f(a.high_, b.high_)};
    return {*std::min_element(all, all + 4), *std::max_element(all, all + 4)};
  }

  double low_ = -infinity, high_ = infinity;
};

}  // namespace wengert::kernels
