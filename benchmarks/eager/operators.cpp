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

class OperatorRow final : public Workload {
 public:
  OperatorRow(Function function, const std::vector<Normal>& wrt, const Normal& cotangent)
      : function_(std::move(function)), cotangent_(cotangent.tensor()) {
    for (const Normal& input : wrt) wrt_.push_back(variable(input.tensor()));
  }
  void step() override {
    output_ = function_(wrt_);
    gradients_ = gradients(output_, wrt_, {.cotangent = cotangent_});
  }
  Result result() override {
    // the bias row compares the bias's gradient only: the other is the cotangent itself
    return compare(output_, wrt_.size() == 2 && wrt_[1].ndim() == 1 ? Tensors{gradients_[1]} : gradients_);
  }

 private:
  Function function_;
  Tensor cotangent_, output_;
  Tensors wrt_, gradients_;
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
