#include "autodiff/tensor/random.hpp"

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"

// Random tensors as operators without inputs: eager code draws when they are called, a captured program each
// time that it runs, both from the generator of the process.

namespace wengert {
namespace {

const OperatorDefinition *uniform_, *normal_, *bernoulli_, *integers_, *permutation_;

/// Two parameters (low and high, mean and standard deviation) and the type of the result.
struct RealAttributes {
  double first;
  double second;
  Shape shape;
  DType dtype;
  template <class V>
  void visit(V&& v) const {
    v("first", first);
    v("second", second);
    v("shape", shape);
    v("dtype", dtype);
  }
};

struct BernoulliAttributes {
  double p;
  Shape shape;
  template <class V>
  void visit(V&& v) const {
    v("p", p);
    v("shape", shape);
  }
};

struct IntegerAttributes {
  std::int64_t low;
  std::int64_t high;
  Shape shape;
  template <class V>
  void visit(V&& v) const {
    v("low", low);
    v("high", high);
    v("shape", shape);
  }
};

struct PermutationAttributes {
  std::int64_t n;
  template <class V>
  void visit(V&& v) const {
    v("n", n);
  }
};

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

constexpr const char* no_derivative = "no inputs, so nothing to differentiate by";

[[maybe_unused]] void check_lengths(const Call& call, const Shape& shape) {
  for (const std::int64_t d : shape)
    if (d < 0)
      throw ShapeError(call.op.name, "a negative length in the shape " + to_string(shape), call.where);
}

[[maybe_unused]] Samples reals(double first, double second) {
  return Samples()
      .with({}, RealAttributes{first, second, {2, 3}, DType::float64})
      .with({}, RealAttributes{first, second, {}, DType::float64})
      .with({}, RealAttributes{first, second, {0, 3}, DType::float32})
      .with({}, RealAttributes{first, second, {5, 1, 7}, DType::float32});
}

[[maybe_unused]] Samples real_errors(const char* problem) {
  return Samples()
      .with({}, RealAttributes{1, -1, {2}, DType::float32})
      .fails_with(problem)
      .with({}, RealAttributes{0, 1, {2}, DType::int64})
      .fails_with("draws float32 or float64, not int64")
      .with({}, RealAttributes{0, 1, {-2}, DType::float32})
      .fails_with("a negative length in the shape [-2]");
}

/// The rest of an operator that draws from a distribution with two parameters.
template <auto check, auto draw>
OperatorSpec drawn(OperatorSpec spec) {
  spec.contract = no_derivative;
  spec.inputs = 0;
  spec.attributes = attributes_of<RealAttributes>;
  spec.infer = [](const Call& call) {
    const auto& a = call.attrs<RealAttributes>();
    check(a.first, a.second, a.dtype, call.where);
    check_lengths(call, a.shape);
    return Meta{a.dtype, a.shape};
  };
  spec.kernel = [](const Call& call, detail::TensorImpl& out) {
    const auto& a = call.attrs<RealAttributes>();
    draw(out, a.first, a.second);
  };
  spec.differentiable = false;
  spec.draws = true;
  return spec;
}

}  // namespace

void random() {
  uniform_ = define(drawn<wengert::random::check_uniform, wengert::random::draw_uniform>({
      .name = "uniform",
      .doc = "independent values, uniform in [first, second)",
      .samples = [] { return reals(-1, 2); },
      .errors = [] { return real_errors("needs finite low <= high, got 1 and -1"); },
  }));
  normal_ = define(drawn<wengert::random::check_normal, wengert::random::draw_normal>({
      .name = "normal",
      .doc = "independent normal values with mean first and standard deviation second",
      .samples = [] { return reals(0.5, 2); },
      .errors = [] { return real_errors("needs a finite mean and stddev >= 0, got 1 and -1"); },
  }));
  bernoulli_ = define({
      .name = "bernoulli",
      .doc = "independent bools, true with probability p",
      .contract = no_derivative,
      .inputs = 0,
      .attributes = attributes_of<BernoulliAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<BernoulliAttributes>();
            wengert::random::check_bernoulli(a.p, call.where);
            check_lengths(call, a.shape);
            return Meta{DType::bool_, a.shape};
          },
      .kernel =
          [](const Call& call, detail::TensorImpl& out) {
            wengert::random::draw_bernoulli(out, call.attrs<BernoulliAttributes>().p);
          },
      .differentiable = false,
      .draws = true,
      .samples =
          [] {
            return Samples()
                .with({}, BernoulliAttributes{0.25, {4, 5}})
                .with({}, BernoulliAttributes{1, {3}})
                .with({}, BernoulliAttributes{0.5, {0}});
          },
      .errors =
          [] {
            return Samples()
                .with({}, BernoulliAttributes{1.5, {2}})
                .fails_with("a probability lies in [0, 1], got 1.5")
                .with({}, BernoulliAttributes{0.5, {-1}})
                .fails_with("a negative length in the shape [-1]");
          },
  });
  integers_ = define({
      .name = "integers",
      .doc = "independent integers of low, ..., high - 1",
      .contract = no_derivative,
      .inputs = 0,
      .attributes = attributes_of<IntegerAttributes>,
      .infer =
          [](const Call& call) {
            const auto& a = call.attrs<IntegerAttributes>();
            wengert::random::check_integers(a.low, a.high, call.where);
            check_lengths(call, a.shape);
            return Meta{DType::int64, a.shape};
          },
      .kernel =
          [](const Call& call, detail::TensorImpl& out) {
            const auto& a = call.attrs<IntegerAttributes>();
            wengert::random::draw_integers(out, a.low, a.high);
          },
      .differentiable = false,
      .draws = true,
      .samples =
          [] {
            return Samples()
                .with({}, IntegerAttributes{-3, 12, {4, 5}})
                .with({}, IntegerAttributes{0, 1, {}})
                .with({}, IntegerAttributes{0, 9, {0}});
          },
      .errors =
          [] {
            return Samples()
                .with({}, IntegerAttributes{2, 2, {2}})
                .fails_with("needs low < high, got 2 and 2")
                .with({}, IntegerAttributes{0, 2, {-1}})
                .fails_with("a negative length in the shape [-1]");
          },
  });
  permutation_ = define({
      .name = "permutation",
      .doc = "0, ..., n - 1 in random order",
      .contract = no_derivative,
      .inputs = 0,
      .attributes = attributes_of<PermutationAttributes>,
      .infer =
          [](const Call& call) {
            const std::int64_t n = call.attrs<PermutationAttributes>().n;
            wengert::random::check_permutation(n, call.where);
            return Meta{DType::int64, {n}};
          },
      .kernel = [](const Call&, detail::TensorImpl& out) { wengert::random::draw_permutation(out); },
      .differentiable = false,
      .draws = true,
      .samples =
          [] { return Samples().with({}, PermutationAttributes{20}).with({}, PermutationAttributes{0}); },
      .errors =
          [] { return Samples().with({}, PermutationAttributes{-1}).fails_with("a negative count: -1"); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

namespace random {

Tensor uniform(const Shape& shape, double low, double high, DType dtype, SourceLocation where) {
  const RealAttributes a{low, high, shape, dtype};
  return apply_op(*uniform_, nullptr, 0, &a, where);
}
Tensor uniform(const Shape& shape, DType dtype, SourceLocation where) {
  return uniform(shape, 0, 1, dtype, where);
}
Tensor normal(const Shape& shape, double mean, double stddev, DType dtype, SourceLocation where) {
  const RealAttributes a{mean, stddev, shape, dtype};
  return apply_op(*normal_, nullptr, 0, &a, where);
}
Tensor normal(const Shape& shape, DType dtype, SourceLocation where) {
  return normal(shape, 0, 1, dtype, where);
}
Tensor bernoulli(double p, const Shape& shape, SourceLocation where) {
  const BernoulliAttributes a{p, shape};
  return apply_op(*bernoulli_, nullptr, 0, &a, where);
}
Tensor integers(std::int64_t low, std::int64_t high, const Shape& shape, SourceLocation where) {
  const IntegerAttributes a{low, high, shape};
  return apply_op(*integers_, nullptr, 0, &a, where);
}
Tensor permutation(std::int64_t n, SourceLocation where) {
  const PermutationAttributes a{n};
  return apply_op(*permutation_, nullptr, 0, &a, where);
}

}  // namespace random

#endif

}  // namespace wengert
