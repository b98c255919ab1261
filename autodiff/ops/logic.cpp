#include "autodiff/ops/logic.hpp"

#include "autodiff/graph/elementwise.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/ops/elementwise.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert {
namespace {

const OperatorDefinition *equal_, *not_equal_, *less_, *less_equal_, *greater_, *greater_equal_,
    *logical_and_, *logical_or_, *logical_not_, *where_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

constexpr const char* zero_by_definition = "0 by definition: the result is bool";

template <class F>
const OperatorDefinition* compare(const char* name, const char* doc, F f) {
  return define_elementwise({
      .name = name,
      .doc = doc,
      .contract = zero_by_definition,
      .forward = any_type(f),
      .samples = [] { return samples::pairs(); },
      .errors = [] { return samples::pair_errors(); },
  });
}

struct Choose {
  template <class C, class V>
  WENGERT_INLINE auto operator()(C condition, V a, V b) const {
    return where(condition, a, b);
  }
};
template <class T>
constexpr RowKernel choose = kernels::map_rows<Choose, T, bool, T, T>;

}  // namespace

void logic() {
  equal_ = compare("equal", "a == b", [](auto a, auto b) { return a == b; });
  not_equal_ = compare("not_equal", "a != b", [](auto a, auto b) { return a != b; });
  less_ = compare("less", "a < b", [](auto a, auto b) { return a < b; });
  less_equal_ = compare("less_equal", "a <= b", [](auto a, auto b) { return a <= b; });
  greater_ = compare("greater", "a > b", [](auto a, auto b) { return a > b; });
  greater_equal_ = compare("greater_equal", "a >= b", [](auto a, auto b) { return a >= b; });
  logical_and_ = compare("logical_and", "a and b", [](auto a, auto b) { return (a != 0) & (b != 0); });
  logical_or_ = compare("logical_or", "a or b", [](auto a, auto b) { return (a != 0) | (b != 0); });
  logical_not_ = define_elementwise({
      .name = "logical_not",
      .doc = "not x",
      .contract = zero_by_definition,
      .forward = any_type([](auto x) { return x == 0; }),
      .samples = [] { return samples::reals(); },
  });
  where_ = define({
      .name = "where",
      .doc = "a where the condition holds, b elsewhere",
      .contract = "exactly 0 for the branch not chosen, even where its own derivative is infinite or NaN",
      .inputs = 3,
      .infer =
          [](const Call& call) {
            if (call.dtype(0) != DType::bool_) detail::fail_dtypes(call, "the condition must be bool");
            if (call.dtype(1) != call.dtype(2))
              detail::fail_dtypes(call, "the branches differ in element type");
            return Meta{call.dtype(1), detail::broadcast_inputs(call)};
          },
      .kernel =
          [](const Call& call, detail::TensorImpl& out) {
            run_rows(call.op.row.kernel[static_cast<int>(out.dtype)], call, out);
          },
      // 64 bits are picked as they are: integers as if they were numbers of float64.
      .row = {.kernel = {choose<bool>, choose<double>, choose<float>, choose<double>},
              .elementwise = true,
              .data_input = 1},
      .reads = reads_inputs(0),
      .vjp =
          [](const Call& call, const Tensor& g) {
            Tensors parts(3);
            if (call.wants(1))
              parts[1] = sum_to(where(call.input(0), Operand(g, call.where), 0.0), call.shape(1), call.where);
            if (call.wants(2))
              parts[2] = sum_to(where(call.input(0), 0.0, Operand(g, call.where)), call.shape(2), call.where);
            return parts;
          },
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto branch = [&](std::uint32_t i) {
              return t[i].defined() ? t[i] : zeros(call.shape(i), call.dtype(i));
            };
            return where(call.input(0), Operand(branch(1), call.where), branch(2));
          },
      .rewrite =
          [](Rewriting& r) {
            if (r.is(r.inputs[2], 0.0)) return r.at_nonzero(0b010);
            return r.is(r.inputs[1], 0.0) ? r.at_nonzero(0b100) : r.none;
          },
      .range = [](const kernels::Interval* in, const Shape&) { return where(in[0], in[1], in[2]); },
      .samples =
          [] {
            return Samples{tensor({{true, false, true}, {false, false, true}}), samples::values({2, 3}),
                           samples::values({2, 3}, 1)}
                .with({tensor({true, false, true}), samples::values({2, 3}), samples::values({}, 1)})
                .with({tensor(false), samples::values({3}), samples::values({2, 1}, 1)})
                .with({tensor({true, false}), samples::values({0, 2}), samples::values({}, 1)});
          },
      .errors =
          [] {
            return Samples{samples::values({3}), samples::values({3}), samples::values({3})}
                .fails_with("the condition must be bool")
                .with({tensor({true, false}), samples::values({3}), samples::values({3})})
                .fails_with("the shapes don't broadcast");
          },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

Tensor equal(const Operand& a, const Operand& b) { return apply_elementwise(*equal_, a, b); }
Tensor not_equal(const Operand& a, const Operand& b) { return apply_elementwise(*not_equal_, a, b); }
Tensor less(const Operand& a, const Operand& b) { return apply_elementwise(*less_, a, b); }
Tensor less_equal(const Operand& a, const Operand& b) { return apply_elementwise(*less_equal_, a, b); }
Tensor greater(const Operand& a, const Operand& b) { return apply_elementwise(*greater_, a, b); }
Tensor greater_equal(const Operand& a, const Operand& b) { return apply_elementwise(*greater_equal_, a, b); }
Tensor logical_and(const Operand& a, const Operand& b) { return apply_elementwise(*logical_and_, a, b); }
Tensor logical_or(const Operand& a, const Operand& b) { return apply_elementwise(*logical_or_, a, b); }
Tensor logical_not(const Tensor& x, SourceLocation where) {
  return apply_elementwise(*logical_not_, Operand(x, where));
}
Tensor where(const Tensor& condition, const Operand& a, const Operand& b) {
  const DType dtype = detail::common_dtype(a, b);
  const Tensor x = detail::as_tensor(a, dtype);
  const Tensor y = detail::as_tensor(b, dtype);
  detail::TensorImpl* const inputs[] = {condition.get(), x.get(), y.get()};
  return apply_op(*where_, inputs, 3, nullptr, a.where());
}

#endif

}  // namespace wengert
