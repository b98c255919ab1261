#include "autodiff/ops/arithmetic.hpp"

#include "autodiff/graph/elementwise.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/indexing_rules.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/math.hpp"

namespace wengert {
namespace {

const OperatorDefinition *add_, *subtract_, *multiply_, *divide_, *negative_, *power_, *square_, *abs_,
    *sign_, *maximum_, *minimum_, *clip_, *safe_multiply_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {

namespace {

/// x * 1, x / 1, and the signs of factors.
[[maybe_unused]] Rewriting::Value factor_rewritten(Rewriting& r, bool symmetric) {
  Rewriting::Value v = r.without_neutral(1, 1.0);
  if (v == r.none && symmetric) v = r.without_neutral(0, 1.0);
  if (v == r.none) v = r.sign_taken_out(0);
  return v == r.none ? r.sign_taken_out(1) : v;
}

/// A product with numbers that are finite is 0 where the other factor is. Of large ones the program looks
/// whether they are, if that costs less than to compute them.
[[maybe_unused]] Rewriting::Value at_nonzero_factor(Rewriting& r) {
  for (const std::size_t i : {0, 1}) {
    if (!Places::of(r, r.inputs[i])) continue;
    std::vector<Rewriting::Value> bounded;
    if (!r.is_finite(r.inputs[1 - i])) {
      auto conditions = r.large() ? r.finite_where_bounded(1 - i) : std::nullopt;
      if (!conditions) continue;
      bounded = std::move(*conditions);
    }
    if (const auto v = r.at_nonzero(1u << i, *safe_multiply_, bounded); v != r.none) return v;
  }
  return r.none;
}

}  // namespace

void arithmetic() {
  add_ = define_elementwise({
      .name = "add",
      .doc = "a + b",
      .forward = numeric([](auto a, auto b) { return a + b; }),
      .derivatives = {[](auto, auto, auto) { return 1.0; }, [](auto, auto, auto) { return 1.0; }},
      .rewrite =
          [](Rewriting& r) {
            const auto a = r.inputs[0], b = r.inputs[1];
            if (const auto x = r.negated(b); x != r.none) return r.make(*subtract_, {a, x});
            if (const auto x = r.negated(a); x != r.none) return r.make(*subtract_, {b, x});
            if (const auto x = r.at_nonzero(0b11); x != r.none) return x;
            const auto sum = r.accumulated(a, b);
            return sum == r.none ? r.accumulated(b, a) : sum;
          },
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  subtract_ = define_elementwise({
      .name = "subtract",
      .doc = "a - b",
      .forward = numeric([](auto a, auto b) { return a - b; }),
      .derivatives = {[](auto, auto, auto) { return 1.0; }, [](auto, auto, auto) { return -1.0; }},
      .rewrite =
          [](Rewriting& r) {
            if (const auto x = r.negated(r.inputs[1]); x != r.none) return r.make(*add_, {r.inputs[0], x});
            if (const auto x = r.at_nonzero(0b11); x != r.none) return x;
            return r.without_neutral(1, 0.0);
          },
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  multiply_ = define_elementwise({
      .name = "multiply",
      .doc = "a * b",
      .forward = numeric([](auto a, auto b) { return a * b; }),
      .derivatives = {[](auto, auto b, auto) { return b; }, [](auto a, auto, auto) { return a; }},
      .rewrite =
          [](Rewriting& r) {
            const auto v = at_nonzero_factor(r);
            return v == r.none ? factor_rewritten(r, true) : v;
          },
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  divide_ = define_elementwise({
      .name = "divide",
      .doc = "a / b",
      .contract = "integers divide in float64",
      .forward = [](auto a, auto b) { return a / b; },
      .derivatives = {[](auto, auto b, auto) { return 1.0 / b; },
                      [](auto, auto b, auto y) { return -y / b; }},
      .rewrite = [](Rewriting& r) { return factor_rewritten(r, false); },
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  safe_multiply_ = define_elementwise({
      .name = "safe_multiply",
      .doc = "a * b, 0 where a is 0",
      .contract = "0 where a is 0, also for an infinite or NaN b",
      .forward = [](auto a, auto b) { return where(a == 0.0, zeros_like(a), a * b); },
      .derivatives = {[](auto, auto b, auto) { return b; }, [](auto a, auto, auto) { return a; }},
      .rewrite =
          [](Rewriting& r) {
            const auto zero = r.inputs[0], one = r.without_neutral(0, 1.0);
            if (r.is(zero, 0.0) && r.has_type_of_result(zero)) return zero;
            const auto same = one == r.none ? r.without_neutral(1, 1.0) : one;
            if (same != r.none) return same;
            if (const auto v = r.at_nonzero(0b01); v != r.none) return v;
            if (const auto v = at_nonzero_factor(r); v != r.none) return v;
            return r.sign_taken_out(0);
          },
      .at_nonzero = at_places,
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  negative_ = define_elementwise({
      .name = "negative",
      .doc = "-x",
      .forward = numeric([](auto x) { return -x; }),
      .derivative = [](auto, auto) { return -1.0; },
      .rewrite =
          [](Rewriting& r) {
            const auto x = r.negated(r.inputs[0]);
            return x == r.none ? r.at_nonzero(0b1) : x;
          },
      .samples = [] { return samples::reals(); },
  });
  power_ = define_elementwise({
      .name = "power",
      .doc = "a^b",
      .contract =
          "x^0 has derivative 0, x^1 at 0 has 1, x^2 at 0 has 0; by the exponent 0 at base 0 for b > 0",
      .forward = [](auto a, auto b) { return pow(a, b); },
      .derivatives = {[](auto a, auto b, auto) {
                        return where(b == 0.0, zeros_like(a), b * pow(a, b - 1.0));
                      },
                      [](auto a, auto b, auto y) {
                        return where((a == 0.0) & (b > 0.0), zeros_like(y), y * log(a));
                      }},
      .samples = [] { return samples::powers(); },
      .errors = [] { return samples::pair_errors(); },
  });
  square_ = define_elementwise({
      .name = "square",
      .doc = "x^2",
      .forward = numeric([](auto x) { return square(x); }),
      .derivative = [](auto x, auto) { return 2.0 * x; },
      .samples = [] { return samples::reals(); },
  });
  abs_ = define_elementwise({
      .name = "abs",
      .doc = "|x|",
      .contract = "0 at 0",
      .forward = numeric([](auto x) { return abs(x); }),
      .derivative = [](auto x, auto) { return sign(x); },
      .samples = [] { return samples::reals(); },
  });
  sign_ = define_elementwise({
      .name = "sign",
      .doc = "-1, 0 or 1",
      .contract = "0 everywhere, by definition",
      .forward = numeric([](auto x) { return sign(x); }),
      .samples = [] { return samples::reals(); },
  });
  maximum_ = define_elementwise({
      .name = "maximum",
      .doc = "the larger of a and b",
      .contract = "1/2 each over ties",
      .forward = numeric([](auto a, auto b) { return maximum(a, b); }),
      .derivatives = {[](auto a, auto b, auto) {
                        return where(a > b, ones_like(a), where(a == b, 0.5 * ones_like(a), zeros_like(a)));
                      },
                      [](auto a, auto b, auto) {
                        return where(b > a, ones_like(b), where(a == b, 0.5 * ones_like(b), zeros_like(b)));
                      }},
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  minimum_ = define_elementwise({
      .name = "minimum",
      .doc = "the smaller of a and b",
      .contract = "1/2 each over ties",
      .forward = numeric([](auto a, auto b) { return minimum(a, b); }),
      .derivatives = {[](auto a, auto b, auto) {
                        return where(a < b, ones_like(a), where(a == b, 0.5 * ones_like(a), zeros_like(a)));
                      },
                      [](auto a, auto b, auto) {
                        return where(b < a, ones_like(b), where(a == b, 0.5 * ones_like(b), zeros_like(b)));
                      }},
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
  clip_ = define_elementwise({
      .name = "clip",
      .doc = "min(max(x, low), high)",
      .contract = "1 at the bounds themselves, 0 outside",
      .forward = with_scalars<2>(
          numeric([](auto x, auto low, auto high) { return minimum(maximum(x, low), high); })),
      .derivatives = {[](auto x, auto low, auto high, auto) {
                        return where((x >= low) & (x <= high), ones_like(x), zeros_like(x));
                      },
                      [](auto x, auto low, auto high, auto) {
                        return where((x < low) & (low <= high), ones_like(x), zeros_like(x));
                      },
                      [](auto x, auto low, auto high, auto) {
                        return where(maximum(x, low) > high, ones_like(x), zeros_like(x));
                      }},
      .samples = [] { return samples::clips(); },
      .errors = [] { return samples::triple_errors(); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

Tensor add(const Operand& a, const Operand& b) { return apply_elementwise(*add_, a, b, DType::int64); }
Tensor subtract(const Operand& a, const Operand& b) {
  return apply_elementwise(*subtract_, a, b, DType::int64);
}
Tensor multiply(const Operand& a, const Operand& b) {
  return apply_elementwise(*multiply_, a, b, DType::int64);
}
Tensor divide(const Operand& a, const Operand& b) {
  return apply_elementwise(*divide_, a, b, DType::float32);
}
Tensor safe_multiply(const Operand& a, const Operand& b) {
  return apply_elementwise(*safe_multiply_, a, b, DType::float32);
}
Tensor negative(const Tensor& x, SourceLocation where) {
  return apply_elementwise(*negative_, Operand(x, where), DType::int64);
}
Tensor square(const Tensor& x, SourceLocation where) {
  return apply_elementwise(*square_, Operand(x, where), DType::int64);
}
Tensor abs(const Tensor& x, SourceLocation where) {
  return apply_elementwise(*abs_, Operand(x, where), DType::int64);
}
Tensor sign(const Tensor& x, SourceLocation where) {
  return apply_elementwise(*sign_, Operand(x, where), DType::int64);
}
Tensor maximum(const Operand& a, const Operand& b) {
  return apply_elementwise(*maximum_, a, b, DType::int64);
}
Tensor minimum(const Operand& a, const Operand& b) {
  return apply_elementwise(*minimum_, a, b, DType::int64);
}
Tensor clip(const Operand& x, const Operand& low, const Operand& high) {
  const DType dtype = promote(detail::common_dtype(x, low), detail::common_dtype(x, high));
  return apply_op(
      *clip_, {detail::as_tensor(x, dtype), detail::as_tensor(low, dtype), detail::as_tensor(high, dtype)},
      nullptr, x.where());
}

Tensor power(const Operand& a, const Operand& b) {
  if (a.is_tensor() && !b.is_tensor() && is_floating(a.tensor().dtype())) {
    const Tensor& x = a.tensor();
    if (b.number() == 2.0) return square(x, a.where());
    if (b.number() == 1.0) return x;
    if (b.number() == 0.5) return sqrt(x, a.where());
    if (b.number() == -1.0) return divide(Operand(1.0, a.where()), x);
  }
  return apply_elementwise(*power_, a, b, DType::float32);
}

#endif

}  // namespace wengert
