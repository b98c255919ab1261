// W1, W2, W3a, W3b, W4: training steps; W8: a Hessian-vector product.
#include <cmath>

#include "benchmarks/common/data.hpp"
#include "benchmarks/eager/rows.hpp"

namespace wengert::bench {
namespace {

// A model whose parameters are trained: keeps the starting values, reports how far they moved.
class Training : public Workload {
 public:
  Result result() override {
    Checksum change;
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      change.add_difference(parameters_[i].span<float>(), start_[i].span<float>());
    return {loss_.item<double>(), change.norm(), change.projection()};
  }
  int checked_steps() const override { return 3; }
  void reset() override {
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i] = variable(start_[i]);
  }

 protected:
  void add(const std::vector<float>& start, const Shape& shape) {
    start_.push_back(to_tensor(start, shape));
    parameters_.push_back(variable(start_[start_.size() - 1]));
  }
  void sgd(const Tensors& gradients, double rate) {
    for (std::size_t i = 0; i < gradients.size(); ++i)
      parameters_[i] = variable(no_grad([&] { return parameters_[i] - rate * gradients[i]; }));
  }
  Tensors parameters_, start_;
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
    const Tensors& p = parameters_;
    Tensor hidden = tanh(matmul(x_, p[0]) + p[1]);
    Tensor y = sigmoid(matmul(hidden, p[2]) + p[3]);
    loss_ = -mean(t_ * log(y) + (1 - t_) * log(1 - y));
    sgd(gradients(loss_, p), w1_learning_rate);
  }

 private:
  XorData data_;
  Tensor x_ = to_tensor(data_.x, {w1_batch, w1_inputs}), t_ = to_tensor(data_.t, {w1_batch, 1});
};

class ClassifierRow : public Training {
 public:
  explicit ClassifierRow(const Classifier& model) : model_(model) {
    const ClassifierData data = classifier_data(model);
    x_ = to_tensor(data.x, {model.batch, model.sizes.front()});
    labels_ = from_vector(data.labels);
    for (std::size_t l = 0; l < model.layers(); ++l) {
      add(data.weights[l], {model.sizes[l], model.sizes[l + 1]});
      add(data.biases[l], {model.sizes[l + 1]});
    }
  }

 protected:
  Tensor loss() const {
    Tensor h = x_;
    for (std::size_t l = 0; l < model_.layers(); ++l) {
      h = matmul(h, parameters_[2 * l]) + parameters_[2 * l + 1];
      if (l + 1 < model_.layers()) h = model_.activation == Activation::relu ? relu(h) : tanh(h);
    }
    return -mean(take_along_axis(log_softmax(h), labels_, -1));
  }
  const Classifier& model_;

 private:
  Tensor x_, labels_;
};

class Sgd final : public ClassifierRow {
 public:
  using ClassifierRow::ClassifierRow;
  void step() override {
    loss_ = loss();
    sgd(gradients(loss_, parameters_), model_.learning_rate);
  }
};

class Adam final : public ClassifierRow {
 public:
  explicit Adam(const Classifier& model) : ClassifierRow(model) {
    for (const Tensor& p : parameters_) {
      first_.push_back(zeros_like(p));
      second_.push_back(zeros_like(p));
    }
  }
  void step() override {
    loss_ = loss();
    const Tensors g = gradients(loss_, parameters_);
    ++time_;
    const double rate = model_.learning_rate / (1 - std::pow(adam_beta1, time_));
    const double correction = 1 / std::sqrt(1 - std::pow(adam_beta2, time_));
    NoGrad scope;
    for (std::size_t i = 0; i < g.size(); ++i) {
      first_[i] = adam_beta1 * first_[i] + (1 - adam_beta1) * g[i];
      second_[i] = adam_beta2 * second_[i] + (1 - adam_beta2) * square(g[i]);
      parameters_[i] =
          variable(parameters_[i] - rate * first_[i] / (sqrt(second_[i]) * correction + adam_epsilon));
    }
  }

 private:
  Tensors first_, second_;
  int time_ = 0;
};

class HessianVector final : public ClassifierRow {
 public:
  explicit HessianVector(const Classifier& model) : ClassifierRow(model) {
    const auto direction = classifier_direction(model);
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      direction_.push_back(to_tensor(direction[i], parameters_[i].shape()));
  }
  void step() override {
    loss_ = loss();
    const Tensors first = gradients(loss_, parameters_, {.create_graph = true});
    Tensor along = sum(first[0] * direction_[0]);
    for (std::size_t i = 1; i < first.size(); ++i) along = along + sum(first[i] * direction_[i]);
    product_ = gradients(along, parameters_);
  }
  int checked_steps() const override { return 1; }
  Result result() override { return compare(loss_, product_); }

 private:
  Tensors direction_, product_;
};

}  // namespace

std::vector<Row> training_rows() {
  return {{"W1", [] { return std::make_unique<Xor>(); }},
          {"W2", [] { return std::make_unique<Sgd>(classifier("W2")); }},
          {"W3a", [] { return std::make_unique<Adam>(classifier("W3a")); }},
          {"W3b", [] { return std::make_unique<Adam>(classifier("W3b")); }},
          {"W4", [] { return std::make_unique<Sgd>(classifier("W4")); }},
          {"W8", [] { return std::make_unique<HessianVector>(classifier("W8")); }}};
}

}  // namespace wengert::bench
