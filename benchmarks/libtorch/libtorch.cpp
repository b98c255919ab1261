// The same rows with libtorch's C++ interface: OMP_NUM_THREADS threads, updates without recording, fused
// operators where libtorch has them (linear layers through addmm, cross_entropy, the multi-tensor updates of
// its own optimizers).
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "benchmarks/common/data.hpp"
#include "benchmarks/common/harness.hpp"
#include "benchmarks/common/machine.hpp"

namespace wengert::bench {
namespace {

using torch::Tensor;
using torch::autograd::grad;

Tensor tensor(const std::vector<float>& values, at::IntArrayRef shape) {
  return torch::from_blob(const_cast<float*>(values.data()), shape, torch::kFloat32).clone();
}
Tensor indices(const std::vector<std::int64_t>& values) {
  return torch::from_blob(const_cast<std::int64_t*>(values.data()),
                          {static_cast<std::int64_t>(values.size())}, torch::kInt64)
      .clone();
}
Tensor variable(const std::vector<float>& values, at::IntArrayRef shape) {
  return tensor(values, shape).requires_grad_();
}

std::span<const float> values(const Tensor& t) {
  return {t.data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

Result compare(const Tensor& output, const std::vector<Tensor>& gradients) {
  Checksum y, g;
  const Tensor dense = output.detach().contiguous();
  y.add(values(dense));
  for (const Tensor& gradient : gradients) {
    const Tensor dense_gradient = gradient.detach().contiguous();
    g.add(values(dense_gradient));
  }
  return {output.numel() == 1 ? output.item<double>() : y.projection(), g.norm(), g.projection()};
}

// A model whose parameters are trained: keeps the starting values, reports how far they moved.
class Training : public Workload {
 public:
  Result result() override {
    Checksum change;
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      change.add_difference(values(parameters_[i]), values(start_[i]));
    return {loss_.item<double>(), change.norm(), change.projection()};
  }
  int checked_steps() const override { return 3; }
  void reset() override {
    torch::NoGradGuard guard;
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].copy_(start_[i]);
  }

 protected:
  // The starting values stay the caller's: they must live as long as this object.
  void add(const std::vector<float>& start, at::IntArrayRef shape) {
    parameters_.push_back(variable(start, shape));
    start_.push_back(torch::from_blob(const_cast<float*>(start.data()), shape, torch::kFloat32));
  }
  void sgd(const std::vector<Tensor>& gradients, double rate) {
    torch::NoGradGuard guard;
    torch::_foreach_add_(parameters_, gradients, -rate);
  }
  std::vector<Tensor> parameters_, start_;
  Tensor loss_;
};

class Xor final : public Training {
 public:
  Xor() {
    add(data_.w1, {w1_inputs, w1_hidden});
    add(data_.b1, {w1_hidden});
    add(data_.w2, {w1_hidden, 1});
    add(data_.b2, {1});
  }
  void step() override {
    const auto& p = parameters_;
    const Tensor hidden = torch::tanh(torch::addmm(p[1], x_, p[0]));
    const Tensor y = torch::sigmoid(torch::addmm(p[3], hidden, p[2]));
    loss_ = -torch::mean(t_ * torch::log(y) + (1 - t_) * torch::log(1 - y));
    sgd(grad({loss_}, parameters_), w1_learning_rate);
  }

 private:
  XorData data_;
  Tensor x_ = tensor(data_.x, {w1_batch, w1_inputs}), t_ = tensor(data_.t, {w1_batch, 1});
};

class ClassifierRow : public Training {
 public:
  explicit ClassifierRow(const Classifier& model)
      : model_(model),
        data_(classifier_data(model)),
        x_(tensor(data_.x, {model.batch, model.sizes.front()})),
        labels_(indices(data_.labels)) {
    for (std::size_t l = 0; l < model.layers(); ++l) {
      add(data_.weights[l], {model.sizes[l], model.sizes[l + 1]});
      add(data_.biases[l], {model.sizes[l + 1]});
    }
  }

 protected:
  Tensor loss() const {
    Tensor h = x_;
    for (std::size_t l = 0; l < model_.layers(); ++l) {
      h = torch::addmm(parameters_[2 * l + 1], h, parameters_[2 * l]);
      if (l + 1 < model_.layers())
        h = model_.activation == Activation::relu ? torch::relu(h) : torch::tanh(h);
    }
    return torch::nn::functional::cross_entropy(h, labels_);
  }
  const Classifier& model_;

 private:
  ClassifierData data_;
  Tensor x_, labels_;
};

class Sgd final : public ClassifierRow {
 public:
  using ClassifierRow::ClassifierRow;
  void step() override {
    loss_ = loss();
    sgd(grad({loss_}, parameters_), model_.learning_rate);
  }
};

// Adam over all parameters at once, by libtorch's multi-tensor operators; libtorch 1.13's torch::optim::Adam
// takes one parameter after the other and is no faster.
class Adam final : public ClassifierRow {
 public:
  explicit Adam(const Classifier& model) : ClassifierRow(model) {
    for (const Tensor& p : parameters_) {
      first_.push_back(torch::zeros_like(p.detach()));
      second_.push_back(torch::zeros_like(p.detach()));
    }
  }
  void step() override {
    loss_ = loss();
    const std::vector<Tensor> gradients = grad({loss_}, parameters_);
    torch::NoGradGuard guard;
    ++time_;
    torch::_foreach_mul_(first_, adam_beta1);
    torch::_foreach_add_(first_, gradients, 1 - adam_beta1);
    torch::_foreach_mul_(second_, adam_beta2);
    torch::_foreach_addcmul_(second_, gradients, gradients, 1 - adam_beta2);
    std::vector<Tensor> denominator = torch::_foreach_sqrt(second_);
    torch::_foreach_div_(denominator, std::sqrt(1 - std::pow(adam_beta2, time_)));
    torch::_foreach_add_(denominator, adam_epsilon);
    torch::_foreach_addcdiv_(parameters_, first_, denominator,
                             -model_.learning_rate / (1 - std::pow(adam_beta1, time_)));
  }

 private:
  std::vector<Tensor> first_, second_;
  int time_ = 0;
};

class HessianVector final : public ClassifierRow {
 public:
  explicit HessianVector(const Classifier& model) : ClassifierRow(model) {
    const auto direction = classifier_direction(model);
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      direction_.push_back(tensor(direction[i], parameters_[i].sizes()));
  }
  void step() override {
    product_.clear();
    loss_ = loss();
    const auto gradients = grad({loss_}, parameters_, {}, true, true);
    product_ = grad(gradients, parameters_, direction_);
  }
  int checked_steps() const override { return 1; }
  Result result() override { return compare(loss_, product_); }

 private:
  std::vector<Tensor> direction_, product_;
};

class Focal final : public Workload {
 public:
  void step() override {
    gradient_.reset();  // as in a loop whose results go out of scope; so everywhere below
    const Tensor log_p = torch::log_softmax(logits_, -1), p = torch::exp(log_p);
    loss_ = -torch::mean(torch::sum(torch::square(1 - p) * log_p * one_hot_, -1));
    gradient_ = grad({loss_}, {logits_})[0];
  }
  Result result() override { return compare(loss_, {gradient_}); }

 private:
  FocalData data_;
  Tensor logits_ = variable(data_.logits, {w5_rows, w5_classes});
  Tensor one_hot_ = tensor(data_.one_hot(), {w5_rows, w5_classes});
  Tensor loss_, gradient_;
};

class Chain final : public Workload {
 public:
  explicit Chain(std::int64_t width)
      : data_(width),
        x_(variable(data_.x, {width})),
        a_(tensor(data_.a, {width})),
        b_(tensor(data_.b, {width})) {}
  void step() override {
    gradients_.clear();
    const double before = resident_bytes();
    const auto start = std::chrono::steady_clock::now();
    Tensor x = x_;
    for (std::int64_t k = 0; k < w6_steps; ++k) x = x * a_ + b_;
    forward_ns_ = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    if (bytes_ == 0) bytes_ = resident_bytes() - before;
    loss_ = torch::sum(x);
    gradients_ = grad({loss_}, {x_});
  }
  Result result() override { return compare(loss_, gradients_); }
  std::map<std::string, double> figures() override {
    return {{"forward_ns_per_operator", forward_ns_ / (2 * w6_steps)},
            {"bytes_per_operator", bytes_ / (2 * w6_steps)}};
  }

 private:
  ChainData data_;
  Tensor x_, a_, b_, loss_;
  std::vector<Tensor> gradients_;
  double forward_ns_ = 0, bytes_ = 0;
};

class Formula final : public Workload {
 public:
  void step() override {
    gradient_.reset();
    loss_ = torch::sum(torch::tanh(x_) * torch::exp(-x_ * x_) + torch::sigmoid(x_) * x_);
    gradient_ = grad({loss_}, {x_})[0];
  }
  Result result() override { return compare(loss_, {gradient_}); }

 private:
  Tensor x_ = variable(normals(w7_size, 71), {w7_size}), loss_, gradient_;
};

// W9: a function of some variables and the cotangent of its result.
class Operator final : public Workload {
 public:
  Operator(std::function<Tensor(const std::vector<Tensor>&)> function, std::vector<Tensor> wrt,
           Tensor cotangent)
      : function_(std::move(function)), wrt_(std::move(wrt)), cotangent_(std::move(cotangent)) {}
  void step() override {
    output_.reset();
    gradients_.clear();
    output_ = function_(wrt_);
    gradients_ = grad({output_}, wrt_, {cotangent_});
  }
  Result result() override {
    // the bias row compares the bias's gradient only: the other is the cotangent itself
    return compare(output_, wrt_.size() == 2 && wrt_[1].dim() == 1 ? std::vector{gradients_[1]} : gradients_);
  }

 private:
  std::function<Tensor(const std::vector<Tensor>&)> function_;
  std::vector<Tensor> wrt_;
  Tensor cotangent_, output_;
  std::vector<Tensor> gradients_;
};

Row operator_row(std::string name, std::function<Tensor(const std::vector<Tensor>&)> function,
                 std::function<std::pair<std::vector<Tensor>, Tensor>()> data) {
  return {std::move(name), [=] {
            auto [wrt, cotangent] = data();
            return std::make_unique<Operator>(function, std::move(wrt), std::move(cotangent));
          }};
}

std::vector<Row> operator_rows() {
  using Tensors = std::vector<Tensor>;
  constexpr std::int64_t rows = w9_softmax_rows, columns = w9_softmax_columns, n = w9_matmul, m = w9_bias,
                         s = w9_sum;
  return {operator_row(
              "W9/log_softmax", [](const Tensors& in) { return torch::log_softmax(in[0], -1); },
              [] {
                return std::pair(Tensors{variable(normals(rows * columns, 91), {rows, columns})},
                                 tensor(normals(rows * columns, 92), {rows, columns}));
              }),
          operator_row(
              "W9/matmul", [](const Tensors& in) { return torch::matmul(in[0], in[1]); },
              [] {
                return std::pair(
                    Tensors{variable(normals(n * n, 93), {n, n}), variable(normals(n * n, 94), {n, n})},
                    tensor(normals(n * n, 95), {n, n}));
              }),
          operator_row(
              "W9/bias", [](const Tensors& in) { return in[0] + in[1]; },
              [] {
                return std::pair(Tensors{variable(normals(m * m, 96), {m, m}), variable(normals(m, 97), {m})},
                                 tensor(normals(m * m, 98), {m, m}));
              }),
          operator_row(
              "W9/sum_axis_0", [](const Tensors& in) { return torch::sum(in[0], 0); },
              [] {
                return std::pair(Tensors{variable(normals(s * s, 99), {s, s})}, tensor(normals(s, 100), {s}));
              }),
          operator_row(
              "W9/sum_axis_1", [](const Tensors& in) { return torch::sum(in[0], 1); },
              [] {
                return std::pair(Tensors{variable(normals(s * s, 99), {s, s})}, tensor(normals(s, 100), {s}));
              }),
          {"W9/gather", [] {
             const Tensor picked = indices(integers(w9_picked, w9_table_rows, 101));
             return std::make_unique<Operator>(
                 [picked](const Tensors& in) { return torch::nn::functional::embedding(picked, in[0]); },
                 Tensors{variable(normals(w9_table_rows * w9_table_columns, 102),
                                  {w9_table_rows, w9_table_columns})},
                 tensor(normals(w9_picked * w9_table_columns, 103), {w9_picked, w9_table_columns}));
           }}};
}

}  // namespace
}  // namespace wengert::bench

int main(int argc, char** argv) {
  using namespace wengert::bench;
  const char* threads = std::getenv("OMP_NUM_THREADS");
  torch::set_num_threads(threads != nullptr ? std::max(1, std::atoi(threads)) : 1);
  std::vector<Row> rows{{"W1", [] { return std::make_unique<Xor>(); }},
                        {"W2", [] { return std::make_unique<Sgd>(classifier("W2")); }},
                        {"W3a", [] { return std::make_unique<Adam>(classifier("W3a")); }},
                        {"W3b", [] { return std::make_unique<Adam>(classifier("W3b")); }},
                        {"W4", [] { return std::make_unique<Sgd>(classifier("W4")); }},
                        {"W5", [] { return std::make_unique<Focal>(); }},
                        {"W6/1", [] { return std::make_unique<Chain>(1); }},
                        {"W6/64", [] { return std::make_unique<Chain>(64); }},
                        {"W7", [] { return std::make_unique<Formula>(); }},
                        {"W8", [] { return std::make_unique<HessianVector>(classifier("W8")); }}};
  for (Row& row : operator_rows()) rows.push_back(std::move(row));
  return run_rows(argc, argv, "libtorch", rows);
}
