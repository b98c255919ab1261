#include "autodiff/ops/updates.hpp"

#include "autodiff/graph/elementwise.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/math.hpp"

namespace wengert {
namespace {

const OperatorDefinition *add_scaled_, *combine_, *lerp_, *lerp_square_, *adam_update_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

using samples::values;

Samples two_and_scale() {
  return Samples{values({2, 3}), values({2, 3}, 1), values({}, 2)}
      .with({values({1, 17}), values({1, 17}, 1), values({}, 2)})
      .with({values({2, 3}), values({3}, 1), values({2, 1}, 2)})
      .with({values({}), values({}, 1), values({}, 2)})
      .with({values({0, 3}), values({0, 3}, 1), values({}, 2)});
}

Samples two_scaled() {
  return Samples{values({2, 3}), values({2, 3}, 1), values({}, 2), values({}, 3)}
      .with({values({1, 17}), values({17}, 1), values({}, 2), values({}, 3)})
      .with({values({0, 3}), values({0, 3}, 1), values({}, 2), values({}, 3)});
}

Samples four_errors() {
  return Samples{values({2, 3}), values({2, 4}), values({}), values({})}.fails_with(
      "the shapes don't broadcast");
}

Samples adam_states() {
  const auto positive = [](const Shape& shape, int seed) { return abs(values(shape, seed)) + 0.3; };
  const auto with = [&](const Shape& shape) {
    return Tensors{std::vector<Tensor>{values(shape), values(shape, 1), positive(shape, 2), positive({}, 3),
                                       positive({}, 4), positive({}, 5)}};
  };
  return Samples().with(with({2, 3})).with(with({1, 17})).with(with({})).with(with({0, 3}));
}

Samples adam_errors() {
  return Samples()
      .with(Tensors{std::vector<Tensor>{values({2, 3}), values({2, 4}), values({2, 3}), values({}),
                                        values({}), values({})}})
      .fails_with("the shapes don't broadcast");
}

}  // namespace

void updates() {
  add_scaled_ = define_elementwise({
      .name = "add_scaled",
      .doc = "a + scale * b",
      .forward = with_scalars<1>([](auto a, auto b, auto scale) { return a + scale * b; }),
      .derivatives = {[](auto, auto, auto, auto) { return 1.0; },
                      [](auto, auto, auto scale, auto) { return scale; },
                      [](auto, auto b, auto, auto) { return b; }},
      .rewrite = [](Rewriting& r) { return r.accumulated(r.inputs[0], r.inputs[1], r.inputs[2]); },
      .samples = [] { return two_and_scale(); },
      .errors = [] { return samples::triple_errors(); },
  });
  combine_ = define_elementwise({
      .name = "combine",
      .doc = "a_scale * a + b_scale * b",
      .forward = with_scalars<2>(
          [](auto a, auto b, auto a_scale, auto b_scale) { return a_scale * a + b_scale * b; }),
      .derivatives = {[](auto, auto, auto a_scale, auto, auto) { return a_scale; },
                      [](auto, auto, auto, auto b_scale, auto) { return b_scale; },
                      [](auto a, auto, auto, auto, auto) { return a; },
                      [](auto, auto b, auto, auto, auto) { return b; }},
      .samples = [] { return two_scaled(); },
      .errors = [] { return four_errors(); },
  });
  lerp_ = define_elementwise({
      .name = "lerp",
      .doc = "a + weight * (b - a)",
      .forward = with_scalars<1>([](auto a, auto b, auto weight) { return a + weight * (b - a); }),
      .derivatives = {[](auto, auto, auto weight, auto) { return 1.0 - weight; },
                      [](auto, auto, auto weight, auto) { return weight; },
                      [](auto a, auto b, auto, auto) { return b - a; }},
      .samples = [] { return two_and_scale(); },
      .errors = [] { return samples::triple_errors(); },
  });
  lerp_square_ = define_elementwise({
      .name = "lerp_square",
      .doc = "a + weight * (b^2 - a)",
      .forward = with_scalars<1>([](auto a, auto b, auto weight) { return a + weight * (b * b - a); }),
      .derivatives = {[](auto, auto, auto weight, auto) { return 1.0 - weight; },
                      [](auto, auto b, auto weight, auto) { return 2.0 * weight * b; },
                      [](auto a, auto b, auto, auto) { return b * b - a; }},
      .samples = [] { return two_and_scale(); },
      .errors = [] { return samples::triple_errors(); },
  });
  adam_update_ = define_elementwise({
      .name = "adam_update",
      .doc = "keep * p - rate * m / (sqrt(v) + epsilon)",
      .contract = "by v: infinite at v = 0; a zero cotangent gives 0",
      .forward = with_scalars<3>([](auto p, auto m, auto v, auto keep, auto rate, auto epsilon) {
        return keep * p - rate * m / (sqrt(v) + epsilon);
      }),
      .derivatives = {[](auto, auto, auto, auto keep, auto, auto, auto) { return keep; },
                      [](auto, auto, auto v, auto, auto rate, auto epsilon, auto) {
                        return -rate / (sqrt(v) + epsilon);
                      },
                      [](auto, auto m, auto v, auto, auto rate, auto epsilon, auto) {
                        return 0.5 * rate * m / (sqrt(v) * square(sqrt(v) + epsilon));
                      },
                      [](auto p, auto, auto, auto, auto, auto, auto) { return p; },
                      [](auto, auto m, auto v, auto, auto, auto epsilon, auto) {
                        return -m / (sqrt(v) + epsilon);
                      },
                      [](auto, auto m, auto v, auto, auto rate, auto epsilon, auto) {
                        return rate * m / square(sqrt(v) + epsilon);
                      }},
      .samples = [] { return adam_states(); },
      .errors = [] { return adam_errors(); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace {

template <std::size_t n>
Tensor apply(const OperatorDefinition& op, const Operand* const (&operands)[n]) {
  detail::TensorImpl* inputs[n];
  const SourceLocation& where = operands[0]->where();
  bool ready = true;  // all are tensors of one floating type: what an optimizer's step gives
  for (std::size_t i = 0; i < n; ++i) {
    inputs[i] = operands[i]->is_tensor() ? operands[i]->tensor().get() : nullptr;
    ready = ready && inputs[i] != nullptr && inputs[i]->dtype == inputs[0]->dtype;
  }
  if (ready && is_floating(inputs[0]->dtype)) return apply_op(op, inputs, n, nullptr, where);

  DType dtype = DType::bool_;
  for (const Operand* x : operands)
    if (x->is_tensor()) dtype = promote(dtype, x->tensor().dtype());
  for (const Operand* x : operands)
    if (!x->is_tensor()) dtype = promote_scalar(dtype, x->kind());
  dtype = promote(dtype, DType::float32);
  Tensor converted[n];
  for (std::size_t i = 0; i < n; ++i) {
    converted[i] = detail::as_tensor(*operands[i], dtype);
    inputs[i] = converted[i].get();
  }
  return apply_op(op, inputs, n, nullptr, where);
}

}  // namespace

Tensor add_scaled(const Operand& a, const Operand& b, const Operand& scale) {
  return apply(*add_scaled_, {&a, &b, &scale});
}
Tensor combine(const Operand& a, const Operand& b, const Operand& a_scale, const Operand& b_scale) {
  return apply(*combine_, {&a, &b, &a_scale, &b_scale});
}
Tensor lerp(const Operand& a, const Operand& b, const Operand& weight) {
  return apply(*lerp_, {&a, &b, &weight});
}
Tensor lerp_square(const Operand& a, const Operand& b, const Operand& weight) {
  return apply(*lerp_square_, {&a, &b, &weight});
}
Tensor adam_update(const Operand& p, const Operand& m, const Operand& v, const Operand& keep,
                   const Operand& rate, const Operand& epsilon) {
  return apply(*adam_update_, {&p, &m, &v, &keep, &rate, &epsilon});
}

#endif

}  // namespace wengert
