// The operators that take part in chains.

#include "autodiff/graph/elementwise.hpp"
#include "autodiff/kernels/chain.hpp"
#include "autodiff/ops/rules.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {
namespace {

template <class F>
struct Member {
  const char* name;
  using Rule = F;
};

/// An operator with its forward rule.
template <class F>
constexpr Member<F> member(const char* name, F) {
  return {name};
}
/// An operator cotangent * f'(x, y), with the derivative of the unary one.
template <class F>
constexpr Member<wengert::rules::Fused<F, 2>> vjp_member(const char* name, F) {
  return {name};
}

template <class... M>
void define_chains([[maybe_unused]] M... members) {
  RowKernel kernels[4] = {};
#if WENGERT_SIMD
  kernels[static_cast<int>(DType::float32)] = kernels::chain_rows<float, typename M::Rule...>;
  kernels[static_cast<int>(DType::float64)] = kernels::chain_rows<double, typename M::Rule...>;
  int i = 0;
  (detail::set_chain_step(members.name, kernels::chain_codes::rule(i++)), ...);
#endif
  detail::set_chain_kernels(kernels);
}

}  // namespace

/// Cheap ones, which are bound by loads and stores, and the commonest of those that are not: while they
/// compute, the others load and store.
void chains() {
  define_chains(member("add", rules::sum), member("subtract", rules::difference),
                member("multiply", rules::product), member("divide", rules::quotient),
                member("safe_multiply", rules::safe_product), member("negative", rules::opposite),
                member("square", rules::squared), member("relu", rules::rectified),
                member("exp", rules::exponential), member("tanh", rules::hyperbolic_tangent),
                member("sigmoid", rules::logistic), vjp_member("square_vjp", rules::squared_derivative),
                vjp_member("exp_vjp", rules::exp_derivative), vjp_member("tanh_vjp", rules::tanh_derivative),
                vjp_member("sigmoid_vjp", rules::sigmoid_derivative),
                vjp_member("relu_vjp", rules::rectified_derivative));
}

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
