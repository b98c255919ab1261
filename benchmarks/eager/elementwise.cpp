// W5: focal loss; W6: a chain of 200,000 operators; W7: a formula on a million elements.
#include <chrono>

#include "benchmarks/common/data.hpp"
#include "benchmarks/common/machine.hpp"
#include "benchmarks/eager/rows.hpp"

namespace wengert::bench {
namespace {

class Focal final : public Workload {
 public:
  Focal() {
    const FocalData data;
    logits_ = variable(to_tensor(data.logits, {w5_rows, w5_classes}));
    one_hot_ = to_tensor(data.one_hot(), {w5_rows, w5_classes});
  }
  void step() override {
    Tensor log_p = log_softmax(logits_), p = exp(log_p);
    loss_ = -mean(sum(square(1 - p) * log_p * one_hot_, -1));
    gradient_ = gradients(loss_, {logits_});
  }
  Result result() override { return compare(loss_, gradient_); }

 private:
  Tensor logits_, one_hot_, loss_;
  Tensors gradient_;
};

class Chain final : public Workload {
 public:
  explicit Chain(std::int64_t width) {
    const ChainData data(width);
    x_ = variable(to_tensor(data.x, {width}));
    a_ = to_tensor(data.a, {width});
    b_ = to_tensor(data.b, {width});
  }
  void step() override {
    const double before = resident_bytes();
    const auto start = std::chrono::steady_clock::now();
    Tensor x = x_;
    for (std::int64_t k = 0; k < w6_steps; ++k) x = x * a_ + b_;
    forward_ns_ = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    if (bytes_ == 0) bytes_ = resident_bytes() - before;
    loss_ = sum(x);
    gradient_ = gradients(loss_, {x_});
  }
  Result result() override { return compare(loss_, gradient_); }
  std::map<std::string, double> figures() override {
    return {{"forward_ns_per_operator", forward_ns_ / (2 * w6_steps)},
            {"bytes_per_operator", bytes_ / (2 * w6_steps)}};
  }

 private:
  Tensor x_, a_, b_, loss_;
  Tensors gradient_;
  double forward_ns_ = 0, bytes_ = 0;
};

class Formula final : public Workload {
 public:
  void step() override {
    loss_ = sum(tanh(x_) * exp(-x_ * x_) + sigmoid(x_) * x_);
    gradient_ = gradients(loss_, {x_});
  }
  Result result() override { return compare(loss_, gradient_); }

 private:
  Tensor x_ = variable(to_tensor(normals(w7_size, 71), {w7_size})), loss_;
  Tensors gradient_;
};

}  // namespace

std::vector<Row> elementwise_rows() {
  return {{"W5", [] { return std::make_unique<Focal>(); }},
          {"W6/1", [] { return std::make_unique<Chain>(1); }},
          {"W6/64", [] { return std::make_unique<Chain>(64); }},
          {"W7", [] { return std::make_unique<Formula>(); }}};
}

}  // namespace wengert::bench
