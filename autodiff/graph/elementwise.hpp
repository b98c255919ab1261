#pragma once

/// \file
/// Elementwise operators from generic lambdas. One lambda has five lives: with vector registers it is the row
/// kernel, with plain numbers the reference that the kernel is compared with, with tensors the derivative's
/// differentiable rule, with Uses the answer to which values the derivative reads and how much it computes,
/// and with intervals the answer to where the result lies.

#include <bit>
#include <tuple>
#include <type_traits>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/kernels/chain.hpp"
#include "autodiff/kernels/elementwise.hpp"
#include "autodiff/kernels/interval.hpp"
#include "autodiff/kernels/uses.hpp"
#include "autodiff/kernels/vec.hpp"

namespace wengert {

namespace detail {
/// What is compiled of an elementwise rule, by element type.
struct ElementwiseKernels {
  RowKernel rows[4] = {};
  const ChainRule* chains[4] = {};
};
/// Registers an elementwise operator: broadcasting shape rule, arity, what its derivatives read.
OperatorDefinition* register_elementwise(OperatorDefinition definition, const ElementwiseKernels& kernels,
                                         int arity, bool boolean_result);
/// Registers cotangent * f'_i, the operator that the i-th derivative of `op` is computed with.
void register_fused_vjp(OperatorDefinition& op, int input, int flops, const ElementwiseKernels& kernels);
/// "tanh_vjp", "divide_vjp1".
std::string fused_vjp_name(std::string_view op, int input, int arity);
/// The kernels of another instruction set.
void set_elementwise(const char* name, const ElementwiseKernels& kernels);
void set_fused_vjp(const char* op, int input, int arity, const ElementwiseKernels& kernels);
/// The kernels that run a row kernel over any shapes: for any number of inputs, and for one, two and three.
void set_elementwise_kernels(const Kernel (&by_inputs)[4]);
[[noreturn]] void fail_element_type(const Call& call);
}  // namespace detail

inline namespace WENGERT_ISA {

/// Element types that an elementwise rule is compiled for.
enum class Types { floating, numeric, any };

template <Types types, class F, int scalars = 0>
struct TypedRule {};
/// .forward = numeric([](auto a, auto b) { return a + b; }): floating types and int64.
template <class F>
constexpr TypedRule<Types::numeric, F> numeric(F) {
  return {};
}
/// Floating types, int64 and bool.
template <class F>
constexpr TypedRule<Types::any, F> any_type(F) {
  return {};
}

/// .forward = with_scalars<1>([](auto a, auto b, auto scale) { return a + scale * b; }): of three arguments
/// and more, the last so many usually are single elements. That is what chains of operators are compiled for
/// (kernels/chain.hpp); it says nothing about shapes.
template <int scalars, class F>
constexpr TypedRule<Types::floating, F, scalars> with_scalars(F) {
  return {};
}
template <int scalars, Types types, class F>
constexpr TypedRule<types, F, scalars> with_scalars(TypedRule<types, F>) {
  return {};
}

namespace rules {

template <class V, std::size_t>
struct Repeated {
  using type = V;
};
template <class V, std::size_t i>
using Repeat = typename Repeated<V, i>::type;

template <class F, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return std::is_invocable_v<F, Repeat<kernels::Uses, I>...>;
}
/// Number of arguments of a generic lambda.
template <class F>
constexpr int arity() {
  if constexpr (takes<F>(std::make_index_sequence<1>{}))
    return 1;
  else if constexpr (takes<F>(std::make_index_sequence<2>{}))
    return 2;
  else if constexpr (takes<F>(std::make_index_sequence<3>{}))
    return 3;
  else if constexpr (takes<F>(std::make_index_sequence<4>{}))
    return 4;
  else if constexpr (takes<F>(std::make_index_sequence<5>{}))
    return 5;
  else if constexpr (takes<F>(std::make_index_sequence<6>{}))
    return 6;
  else if constexpr (takes<F>(std::make_index_sequence<7>{}))
    return 7;
  else
    return 0;
}

template <class F, class V, class Index>
struct ResultOf;
template <class F, class V, std::size_t... I>
struct ResultOf<F, V, std::index_sequence<I...>> {
  using type = std::invoke_result_t<F, Repeat<V, I>...>;
};
/// What F returns for n arguments of type V.
template <class F, class V, int n>
using Result = typename ResultOf<F, V, std::make_index_sequence<n>>::type;

template <class R>
struct ElementOf {
  using type = typename R::value_type;
};
template <class T, class Arch>
struct ElementOf<kernels::Mask<T, Arch>> {
  using type = bool;
};

template <class F, class T, std::size_t... I>
constexpr RowKernel row_kernel(std::index_sequence<I...> all) {
  using R = typename ElementOf<Result<F, kernels::Vec<T, kernels::Scalar>, all.size()>>::type;
  return kernels::map_rows<F, R, Repeat<T, I>...>;
}
/// The row kernels of F for the element types that it takes, all inputs having one, and its steps of chains.
template <class F, Types types, int n, int scalars = 0>
constexpr detail::ElementwiseKernels compiled() {
  constexpr auto all = std::make_index_sequence<n>{};
  detail::ElementwiseKernels kernels;
  if constexpr (types >= Types::any) kernels.rows[static_cast<int>(DType::bool_)] = row_kernel<F, bool>(all);
  if constexpr (types >= Types::numeric)
    kernels.rows[static_cast<int>(DType::int64)] = row_kernel<F, std::int64_t>(all);
  kernels.rows[static_cast<int>(DType::float32)] = row_kernel<F, float>(all);
  kernels.rows[static_cast<int>(DType::float64)] = row_kernel<F, double>(all);
  kernels.chains[static_cast<int>(DType::float32)] = kernels::chain_rule<F, float, n, scalars>();
  kernels.chains[static_cast<int>(DType::float64)] = kernels::chain_rule<F, double, n, scalars>();
  return kernels;
}

/// Which arguments a derivative rule reads.
template <class F, std::size_t... I>
constexpr std::uint32_t reads(std::index_sequence<I...>) {
  using R = std::invoke_result_t<F, Repeat<kernels::Uses, I>...>;
  if constexpr (std::is_arithmetic_v<R>)
    return 0;
  else
    return F{}(kernels::Uses{1u << I}...).mask;
}

/// Arithmetic operations of F for one element.
template <class F, std::size_t... I>
constexpr int operations(std::index_sequence<I...>) {
  int count = 0;
  F{}(kernels::Uses(1u << I, &count)...);
  return count;
}

/// Whether F returns one of its arguments as it is.
template <class F, std::size_t... I>
constexpr bool is_argument(std::index_sequence<I...>) {
  return F{}(kernels::Uses(1u << I, nullptr)...).plain;
}

/// 0 stays 0 whatever the derivative is: the branch that where() did not choose may be infinite or NaN.
template <class V>
WENGERT_INLINE constexpr auto vjp_product(V cotangent, V derivative) {
  return where(cotangent == 0.0, zeros_like(cotangent), cotangent * derivative);
}

/// cotangent * F(...), where F's arguments are those that it reads; the others are filled in with anything.
template <class F, int n>
struct Fused {
  static constexpr std::uint32_t mask = reads<F>(std::make_index_sequence<n>{});
  static constexpr int inputs = 1 + std::popcount(mask);

  template <class V, class... Read>
  WENGERT_INLINE constexpr auto operator()(V cotangent, Read... read) const {
    return apply(cotangent, std::tuple<Read...>(read...), std::make_index_sequence<n>{});
  }

 private:
  template <class V, class Values, std::size_t... I>
  WENGERT_INLINE static constexpr auto apply(V cotangent, const Values& values, std::index_sequence<I...>) {
    return vjp_product<V>(cotangent, F{}(pick<I>(cotangent, values)...));
  }
  template <std::size_t i, class V, class Values>
  WENGERT_INLINE static constexpr auto pick(V cotangent, const Values& values) {
    if constexpr ((mask >> i & 1) != 0)
      return std::get<std::popcount(mask & ((1u << i) - 1))>(values);
    else
      return cotangent;
  }
};

/// Fused, where F returns one of its arguments as it is: one piece of code for all of them.
struct FusedArgument {
  static constexpr int inputs = 2;

  template <class V>
  WENGERT_INLINE constexpr auto operator()(V cotangent, V argument) const {
    return vjp_product(cotangent, argument);
  }
};

}  // namespace rules

/// The forward rule of an elementwise operator, from a generic lambda without captures.
struct Forward {
  int arity = 0;
  bool boolean_result = false;
  int flops = 0;  ///< for one element
  detail::ElementwiseKernels kernels = {};
  Rule<std::function<double(const double*)>> reference = {};
  Rule<RangeRule> range = {};

  Forward() = default;
  template <class F>
  Forward(F) : Forward(TypedRule<Types::floating, F>{}) {}
  template <Types types, class F, int scalars>
  Forward(TypedRule<types, F, scalars>) {
    static_assert(std::is_empty_v<F>, "an elementwise rule is a lambda without captures");
    constexpr int n = rules::arity<F>();
    static_assert(n > 0,
                  "an elementwise rule takes 1 to 6 arguments (auto) and uses the library's functions");
    arity = n;
    boolean_result = std::is_same_v<
        typename rules::ElementOf<rules::Result<F, kernels::Vec<double, kernels::Scalar>, n>>::type, bool>;
    constexpr int operations = rules::operations<F>(std::make_index_sequence<n>{});
    flops = operations;
    kernels = rules::compiled<F, types, n, scalars>();
    if constexpr (!is_variant) {
      reference = [](const double* in) { return evaluate<F>(in, std::make_index_sequence<n>{}); };
      range = [](const kernels::Interval* in, const Shape&) {
        return range_of<F>(in, std::make_index_sequence<n>{});
      };
    }
  }

 private:
  template <class F, std::size_t... I>
  static double evaluate(const double* in, std::index_sequence<I...>) {
    using V = kernels::Vec<double, kernels::Scalar>;
    return static_cast<double>(F{}(V(in[I])...).v);
  }
  template <class F, std::size_t... I>
  static kernels::Interval range_of(const kernels::Interval* in, std::index_sequence<I...>) {
    return F{}(in[I]...);
  }
};

/// The derivative with respect to one input, from a generic lambda (inputs..., output) without captures. A
/// lambda that returns a plain number states a constant derivative.
struct Derivative {
  int arity = 0;
  std::uint32_t reads = 0;
  double constant = 0;
  int flops = 0;                            ///< of cotangent * f'_i, for one element
  bool identity = false;                    ///< the one value that it reads, as it is
  detail::ElementwiseKernels kernels = {};  ///< none where it is constant
  Rule<std::function<Tensor(std::span<const Tensor>)>> rule = {};

  Derivative() = default;
  template <class F>
  requires(!std::is_same_v<F, Derivative>) Derivative(F) {
    static_assert(std::is_empty_v<F>, "an elementwise rule is a lambda without captures");
    constexpr int n = rules::arity<F>();
    static_assert(n > 1, "a derivative takes the inputs and the output");
    arity = n - 1;
    constexpr auto all = std::make_index_sequence<n>{};
    reads = rules::reads<F>(all);
    using R = rules::Result<F, kernels::Uses, n>;
    if constexpr (std::is_arithmetic_v<R>) {
      constant = constant_of<F>(all);
    } else {
      constexpr int operations = rules::operations<F>(all);
      flops = operations + 1;
      identity = rules::is_argument<F>(all);
      using Fused = std::conditional_t<rules::is_argument<F>(all), rules::FusedArgument, rules::Fused<F, n>>;
      kernels = rules::compiled<Fused, Types::floating, Fused::inputs>();
      if constexpr (!is_variant)
        rule = [](std::span<const Tensor> in) { return evaluate<F>(in, std::make_index_sequence<n>{}); };
    }
  }

 private:
  template <class F, std::size_t... I>
  static double constant_of(std::index_sequence<I...>) {
    return static_cast<double>(F{}(kernels::Uses{1u << I}...));
  }
  template <class F, std::size_t... I>
  static Tensor evaluate(std::span<const Tensor> in, std::index_sequence<I...>) {
    return F{}(in[I]...);
  }
};

struct ElementwiseSpec {
  const char* name;
  const char* doc = "";
  const char* contract = "";
  Forward forward;
  Derivative derivative = {};  ///< of one input
  std::initializer_list<Derivative> derivatives =
      {};  ///< of several; none at all: zero, stated in `contract`
  Rule<RewriteRule> rewrite = {};
  Rule<AtNonzeroRule> at_nonzero = {};
  Rule<SampleRule> samples = {};
  Rule<SampleRule> errors = {};
};

/// Registers an elementwise operator of 1 to 6 inputs, and with it the operators that compute
/// cotangent * f'_i in one pass.
inline const OperatorDefinition* define_elementwise(const ElementwiseSpec& spec) {
  const bool single = spec.derivative.arity > 0;
  const Derivative* derivatives = single ? &spec.derivative : spec.derivatives.begin();
  const int count = single ? 1 : static_cast<int>(spec.derivatives.size());
  const auto fused = [&](int i) {
    return derivatives[i].kernels.rows[static_cast<int>(DType::float32)] != nullptr;
  };
#ifdef WENGERT_VARIANT
  detail::set_elementwise(spec.name, spec.forward.kernels);
  for (int i = 0; i < count; ++i)
    if (fused(i)) detail::set_fused_vjp(spec.name, i, spec.forward.arity, derivatives[i].kernels);
  return nullptr;
#else
  OperatorDefinition op;
  op.name = spec.name;
  op.doc = spec.doc;
  op.contract = spec.contract;
  op.scalar_reference = spec.forward.reference;
  op.flops_per_element = spec.forward.flops;
  op.rewrite = spec.rewrite;
  op.at_nonzero = spec.at_nonzero;
  op.range = spec.forward.range;
  op.samples = spec.samples;
  op.errors = spec.errors;
  for (int i = 0; i < count; ++i)
    op.derivatives.push_back({derivatives[i].rule, derivatives[i].reads, derivatives[i].constant,
                              derivatives[i].identity, nullptr});
  OperatorDefinition* registered = detail::register_elementwise(
      std::move(op), spec.forward.kernels, spec.forward.arity, spec.forward.boolean_result);
  for (int i = 0; i < count; ++i)
    if (fused(i)) detail::register_fused_vjp(*registered, i, derivatives[i].flops, derivatives[i].kernels);
  return registered;
#endif
}

}  // namespace WENGERT_ISA
}  // namespace wengert
