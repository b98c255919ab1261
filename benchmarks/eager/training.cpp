// W1, W2, W3a, W3b, W4: training steps; W8: a Hessian-vector product.
#include <nn/nn.hpp>
#include <optional>

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
      change.add_difference(parameters_[i].value().span<float>(), start_[i].span<float>());
    return {loss_.item<double>(), change.norm(), change.projection()};
  }
  int checked_steps() const override { return 3; }
  void reset() override {
    for (std::size_t i = 0; i < parameters_.size(); ++i) nn::Parameter(parameters_[i]).set(start_[i]);
  }

 protected:
  void add(const std::vector<float>& start, const Shape& shape) {
    start_.push_back(to_tensor(start, shape));
    parameters_.push_back(nn::Parameter(start_[start_.size() - 1]));
  }
  nn::Parameters parameters_;
  Tensors start_;
  std::function<Tensors()> step_;
  Tensor loss_;
};

class Xor final : public Training {
 public:
  Xor() {
    add(data_.w1, {w1_inputs, w1_hidden});
    add(data_.b1, {w1_hidden});
    add(data_.w2, {w1_hidden, 1});
    add(data_.b2, {1});
    optimizer_.emplace(parameters_, nn::SGDOptions{.learning_rate = w1_learning_rate});
    step_ = make_step(
        [this](const Tensor& x, const Tensor& t) {
          const nn::Parameters& p = parameters_;
          Tensor hidden = tanh(matmul(x, p[0].value()) + p[1].value());
          Tensor y = sigmoid(matmul(hidden, p[2].value()) + p[3].value());
          Tensor loss = -mean(t * log(y) + (1 - t) * log(1 - y));
          optimizer_->step(gradients(loss, p));
          return Tensors{loss};
        },
        to_tensor(data_.x, {w1_batch, w1_inputs}), to_tensor(data_.t, {w1_batch, 1}));
  }
  void step() override { loss_ = step_()[0]; }

 private:
  XorData data_;
  std::optional<nn::SGD> optimizer_;
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
  Tensor loss(Tensor h, const Tensor& labels) const {
    for (std::size_t l = 0; l < model_.layers(); ++l) {
      h = matmul(h, parameters_[2 * l].value()) + parameters_[2 * l + 1].value();
      if (l + 1 < model_.layers()) h = model_.activation == Activation::relu ? relu(h) : tanh(h);
    }
    return nn::cross_entropy(h, labels);
  }
  const Classifier& model_;
  Tensor x_, labels_;
};

class ClassifierTraining final : public ClassifierRow {
 public:
  explicit ClassifierTraining(const Classifier& model) : ClassifierRow(model) {
    if (model.optimizer == Optimizer::sgd)
      optimizer_ =
          std::make_unique<nn::SGD>(parameters_, nn::SGDOptions{.learning_rate = model.learning_rate});
    else
      optimizer_ =
          std::make_unique<nn::Adam>(parameters_, nn::AdamOptions{.learning_rate = model.learning_rate,
                                                                  .beta1 = adam_beta1,
                                                                  .beta2 = adam_beta2,
                                                                  .epsilon = adam_epsilon});
    step_ = make_step(
        [this](const Tensor& x, const Tensor& labels) {
          Tensor l = loss(x, labels);
          optimizer_->step(gradients(l, parameters_));
          return Tensors{l};
        },
        x_, labels_);
  }
  void step() override { loss_ = step_()[0]; }

 private:
  std::unique_ptr<nn::Optimizer> optimizer_;
};

class HessianVector final : public ClassifierRow {
 public:
  explicit HessianVector(const Classifier& model) : ClassifierRow(model) {
    const auto direction = classifier_direction(model);
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      direction_.push_back(to_tensor(direction[i], parameters_[i].shape()));
    step_ = make_step(
        [this](const Tensor& x, const Tensor& labels) {
          const Tensor l = loss(x, labels);
          const Tensors first = gradients(l, parameters_, {.create_graph = true});
          Tensor along = sum(first[0] * direction_[0]);
          for (std::size_t i = 1; i < first.size(); ++i) along = along + sum(first[i] * direction_[i]);
          Tensors results{l};
          for (const Tensor& product : gradients(along, parameters_)) results.push_back(product);
          return results;
        },
        x_, labels_);
  }
  void step() override {
    results_ = Tensors{};
    results_ = step_();
  }
  int checked_steps() const override { return 1; }
  Result result() override {
    Tensors products;
    for (std::size_t i = 1; i < results_.size(); ++i) products.push_back(results_[i]);
    return compare(results_[0], products);
  }

 private:
  Tensors direction_, results_;
};

}  // namespace

std::vector<Row> training_rows() {
  return {{"W1", [] { return std::make_unique<Xor>(); }},
          {"W2", [] { return std::make_unique<ClassifierTraining>(classifier("W2")); }},
          {"W3a", [] { return std::make_unique<ClassifierTraining>(classifier("W3a")); }},
          {"W3b", [] { return std::make_unique<ClassifierTraining>(classifier("W3b")); }},
          {"W4", [] { return std::make_unique<ClassifierTraining>(classifier("W4")); }},
          {"W8", [] { return std::make_unique<HessianVector>(classifier("W8")); }}};
}

}  // namespace wengert::bench
