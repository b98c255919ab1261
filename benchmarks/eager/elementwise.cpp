// W5: focal loss; W6: a chain of 200,000 operators; W7: a formula on a million elements.
#include <chrono>

#include "benchmarks/common/data.hpp"
#include "benchmarks/common/machine.hpp"
#include "benchmarks/eager/rows.hpp"

namespace wengert::bench {
namespace {

class Focal final : public Evaluation {
 public:
  Focal() {
    const FocalData data;
    const auto loss_and_gradient = [](const Tensor& x, const Tensor& chosen) {
      const Tensor logits = variable(x);
      Tensor log_p = log_softmax(logits), p = exp(log_p);
      Tensor loss = -mean(sum(square(1 - p) * log_p * chosen, -1));
      return Tensors{loss, gradients(loss, {logits})[0]};
    };
    const Tensor logits = to_tensor(data.logits, {w5_rows, w5_classes});
    // What serves each best: eager code reads the matrix, a program makes a row of it where it is used.
    if (replayed)
      step_ =
          make_step([=](const Tensor& x,
                        const Tensor& labels) { return loss_and_gradient(x, one_hot(labels, w5_classes)); },
                    logits, from_vector(data.labels));
    else
      step_ = make_step(loss_and_gradient, logits, to_tensor(data.one_hot(), {w5_rows, w5_classes}));
  }
  Result result() override { return compare(results_[0], {results_[1]}); }
};

class Chain final : public Evaluation {
 public:
  explicit Chain(std::int64_t width) {
    const ChainData data(width);
    step_ = make_step(
        [this](const Tensor& start_value, const Tensor& a, const Tensor& b) {
          const double before = resident_bytes();
          const auto start = std::chrono::steady_clock::now();
          const Tensor x0 = variable(start_value);
          Tensor x = x0;
          for (std::int64_t k = 0; k < w6_steps; ++k) x = x * a + b;
          forward_ns_ =
              std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
          if (bytes_ == 0) bytes_ = resident_bytes() - before;
          Tensor loss = sum(x);
          return Tensors{loss, gradients(loss, {x0})[0]};
        },
        to_tensor(data.x, {width}), to_tensor(data.a, {width}), to_tensor(data.b, {width}));
  }
  Result result() override { return compare(results_[0], {results_[1]}); }
  std::map<std::string, double> figures() override {
    if (replayed) return {};  // of the recording
    return {{"forward_ns_per_operator", forward_ns_ / (2 * w6_steps)},
            {"bytes_per_operator", bytes_ / (2 * w6_steps)}};
  }

 private:
  double forward_ns_ = 0, bytes_ = 0;
};

class Formula final : public Evaluation {
 public:
  Formula() {
    step_ = make_step(
        [](const Tensor& value) {
          const Tensor x = variable(value);
          Tensor loss = sum(tanh(x) * exp(-x * x) + sigmoid(x) * x);
          return Tensors{loss, gradients(loss, {x})[0]};
        },
        to_tensor(normals(w7_size, 71), {w7_size}));
  }
  Result result() override { return compare(results_[0], {results_[1]}); }
};

}  // namespace

std::vector<Row> elementwise_rows() {
  return {{"W5", [] { return std::make_unique<Focal>(); }},
          {"W6/1", [] { return std::make_unique<Chain>(1); }},
          {"W6/64", [] { return std::make_unique<Chain>(64); }},
          {"W7", [] { return std::make_unique<Formula>(); }}};
}

}  // namespace wengert::bench
