#pragma once

/// \file
/// Rules of elementwise operators that take part in chains (chains.cpp), where they stand beside their
/// operators' blocks: forward rules (inputs...) and derivatives (inputs..., output).

#include "autodiff/kernels/isa.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {
namespace rules {

inline constexpr auto sum = [](auto a, auto b) { return a + b; };
inline constexpr auto difference = [](auto a, auto b) { return a - b; };
inline constexpr auto product = [](auto a, auto b) { return a * b; };
inline constexpr auto quotient = [](auto a, auto b) { return a / b; };
inline constexpr auto safe_product = [](auto a, auto b) { return where(a == 0.0, zeros_like(a), a * b); };
inline constexpr auto opposite = [](auto x) { return -x; };
inline constexpr auto squared = [](auto x) { return x * x; };
inline constexpr auto squared_derivative = [](auto x, auto) { return 2.0 * x; };
inline constexpr auto exponential = [](auto x) { return exp(x); };
inline constexpr auto exp_derivative = [](auto, auto y) { return y; };
inline constexpr auto hyperbolic_tangent = [](auto x) { return tanh(x); };
// (1 - y^2, but without a product that a compiler may join to the difference: chains and row kernels have to
// give the same bits.)
inline constexpr auto tanh_derivative = [](auto, auto y) { return (1.0 - y) * (1.0 + y); };
inline constexpr auto logistic = [](auto x) { return sigmoid(x); };
inline constexpr auto sigmoid_derivative = [](auto, auto y) { return y * (1.0 - y); };
inline constexpr auto rectified = [](auto x) { return maximum(x, zeros_like(x)); };
inline constexpr auto rectified_derivative = [](auto, auto y) {
  return where(y > 0.0, ones_like(y), zeros_like(y));
};

}  // namespace rules
}  // namespace WENGERT_ISA
}  // namespace wengert::ops
