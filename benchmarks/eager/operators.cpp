// W9: single operators, forward and backward with a given cotangent.
#include <functional>

#include "benchmarks/common/data.hpp"
#include "benchmarks/eager/rows.hpp"

namespace wengert::bench {
namespace {

using Function = std::function<Tensor(const Tensors&)>;

struct Normal {
  Shape shape;
  std::uint64_t seed;
  Tensor tensor() const {
    return to_tensor(normals(static_cast<std::size_t>(shape.elements()), seed), shape);
  }
};

class OperatorRow final : public Evaluation {
 public:
  OperatorRow(Function function, const std::vector<Normal>& wrt, const Normal& cotangent) {
    const auto run = [function](const Tensors& in, const Tensor& c) {
      const Tensor output = function(in);
      Tensors results{output};
      for (const Tensor& g : gradients(output, in, {.cotangent = c})) results.push_back(g);
      return results;
    };
    if (wrt.size() == 1)
      step_ = make_step([run](const Tensor& a, const Tensor& c) { return run({variable(a)}, c); },
                        wrt[0].tensor(), cotangent.tensor());
    else
      step_ = make_step(
          [run](const Tensor& a, const Tensor& b, const Tensor& c) {
            return run({variable(a), variable(b)}, c);
          },
          wrt[0].tensor(), wrt[1].tensor(), cotangent.tensor());
    only_last_ = wrt.size() == 2 && wrt[1].shape.size() == 1;
  }
  Result result() override {
    // the bias row compares the bias's gradient only: the other is the cotangent itself
    Tensors gradients;
    for (std::size_t i = only_last_ ? 2 : 1; i < results_.size(); ++i) gradients.push_back(results_[i]);
    return compare(results_[0], gradients);
  }

 private:
  bool only_last_ = false;
};

Row row(const char* name, Function function, std::vector<Normal> wrt, Normal cotangent) {
  return {name, [=] { return std::make_unique<OperatorRow>(function, wrt, cotangent); }};
}

}  // namespace

std::vector<Row> operator_rows() {
  constexpr std::int64_t n = w9_matmul, m = w9_bias, s = w9_sum;
  const Shape logits{w9_softmax_rows, w9_softmax_columns};
  const auto gather = [picked = from_vector(integers(w9_picked, w9_table_rows, 101))](const Tensors& in) {
    return take(in[0], picked, 0);
  };
  return {row("W9/log_softmax", [](const Tensors& in) { return log_softmax(in[0]); }, {{logits, 91}},
              {logits, 92}),
          row("W9/matmul", [](const Tensors& in) { return matmul(in[0], in[1]); },
              {{{n, n}, 93}, {{n, n}, 94}}, {{n, n}, 95}),
          row("W9/bias", [](const Tensors& in) { return in[0] + in[1]; }, {{{m, m}, 96}, {{m}, 97}},
              {{m, m}, 98}),
          row("W9/sum_axis_0", [](const Tensors& in) { return sum(in[0], 0); }, {{{s, s}, 99}}, {{s}, 100}),
          row("W9/sum_axis_1", [](const Tensors& in) { return sum(in[0], 1); }, {{{s, s}, 99}}, {{s}, 100}),
          row("W9/gather", gather, {{{w9_table_rows, w9_table_columns}, 102}},
              {{w9_picked, w9_table_columns}, 103})};
}

}  // namespace wengert::bench
