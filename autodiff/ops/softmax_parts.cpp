#include "autodiff/ops/softmax_parts.hpp"

#include "autodiff/kernels/reduce.hpp"
#include "autodiff/ops/reduction.hpp"
#include "autodiff/ops/reduction_rules.hpp"
#include "autodiff/ops/scratch.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {
namespace {

// What softmax shifts its rows by: a NaN need not be found, since the exponentials show it.
template <class T>
void shift_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t cols) {
  T* const out = reinterpret_cast<T*>(slots[op.out]);
  const T* const x = reinterpret_cast<const T*>(slots[op.in[0]]);
  for (std::int64_t r = 0; r < rows; ++r)
    out[r] = kernels::reduce_all(kernels::AnyMax{}, kernels::Identity{}, x + r * cols, cols);
}
template <class T>
void shift(const Call& call, detail::TensorImpl& out) {
  const Contiguous<T> x(call[0]);
  const std::int64_t n = call.shape(0).back();
  for (std::int64_t r = 0; r < out.size; ++r)
    out.as<T>()[r] = kernels::reduce_all(kernels::AnyMax{}, kernels::Identity{}, x.data() + r * n, n);
}
inline void shift_kernel(const Call& call, detail::TensorImpl& out) {
  out.dtype == DType::float32 ? shift<float>(call, out) : shift<double>(call, out);
}

}  // namespace

void softmax_parts() {
  define({
      .name = "softmax_shift",
      .doc = "what softmax subtracts from each row before it takes exponentials: the largest entry",
      .contract = "any number in a row with a NaN; shared evenly among ties",
      .infer =
          [](const Call& call) {
            if (!is_floating(call.dtype(0))) detail::fail_dtypes(call, "takes float32 and float64");
            if (call.shape(0).empty() || call.shape(0).back() == 0)
              detail::fail_shapes(call, "the array has no rows, or rows without entries");
            Meta meta{call.dtype(0), call.shape(0)};
            meta.shape[meta.shape.size() - 1] = 1;
            return meta;
          },
      .kernel = shift_kernel,
      .row = {.kernel = {nullptr, nullptr, shift_rows<float>, shift_rows<double>},
              .fits = [](const Call&) { return true; },
              .column_result = true},
      .reads = reads_inputs(0),
      .compose = [](const Call& call) { return wengert::max(call.input(0), -1, true, call.where); },
      .flops = flops_per_input<1>,
      .samples =
          [] {
            return Samples()
                .with({samples::values({3, 4})})
                .with({samples::values({2, 3, 5}, 1)})
                .with({samples::values({70}, 2)})
                .with({samples::values({2, 1}, 3)})
                .with({samples::values({0, 4}, 4)});
          },
      .errors =
          [] {
            const char* const problem = "the array has no rows, or rows without entries";
            return Samples()
                .with({samples::values({})})
                .fails_with(problem)
                .with({samples::values({2, 0})})
                .fails_with(problem)
                .with({tensor({1, 2})})
                .fails_with("takes float32 and float64");
          },
  });
}

}  // namespace WENGERT_ISA

#ifndef WENGERT_VARIANT

namespace {

const OperatorDefinition& named(const char* name) { return *find_operator(name); }

}  // namespace

bool SoftmaxParts::fit(const Rewriting& r) {
  constexpr std::int64_t shortest = 384, longest = 16384;  // elements, bytes
  return r.large() && r.shape.back() >= shortest &&
         r.shape.back() * static_cast<std::int64_t>(item_size(r.dtype)) <= longest;
}

SoftmaxParts::SoftmaxParts(Rewriting& rewriting) : r_(rewriting) {
  static const OperatorDefinition &shift = named("softmax_shift"), &subtract = named("subtract"),
                                  &sum = named("sum");
  const ReduceAttributes last{{static_cast<std::uint8_t>(1u << (r_.shape.size() - 1))}, true};
  const auto x = r_.inputs[0];
  shifted_ = r_.make(subtract, {x, r_.make(shift, {x})});
  total_ = r_.make(sum, {exponentials()}, &last);
}

Rewriting::Value SoftmaxParts::p() const {
  static const OperatorDefinition &multiply = named("multiply"), &divide = named("divide");
  return r_.make(multiply, {exponentials(), r_.make(divide, {r_.number(1.0, r_.dtype), total_})});
}

Rewriting::Value SoftmaxParts::log_p() const {
  static const OperatorDefinition &subtract = named("subtract"), &log = named("log");
  return r_.make(subtract, {shifted_, r_.make(log, {total_})});
}

Rewriting::Value SoftmaxParts::exponentials() const {
  static const OperatorDefinition& exp = named("exp");
  return r_.make(exp, {shifted_});
}

#endif

}  // namespace wengert::ops
