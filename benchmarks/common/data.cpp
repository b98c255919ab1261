#include "benchmarks/common/data.hpp"

#include <cmath>
#include <numbers>
#include <stdexcept>

namespace wengert::bench {
namespace {

class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  double uniform() { return (static_cast<double>(bits() >> 11) + 0.5) * 0x1p-53; }  // never 0 nor 1

 private:
  std::uint64_t state_;
};

std::uint64_t parameter_seed(const Classifier& model, std::size_t layer, std::uint64_t what) {
  return static_cast<std::uint64_t>(model.sizes[0]) * 1000 + layer * 10 + what;
}

}  // namespace

std::vector<float> normals(std::size_t count, std::uint64_t seed, double scale) {
  SplitMix random(seed);
  std::vector<float> values(count + count % 2);
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const double radius = scale * std::sqrt(-2 * std::log(random.uniform()));
    const double angle = 2 * std::numbers::pi * random.uniform();
    values[i] = static_cast<float>(radius * std::cos(angle));
    values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  values.resize(count);
  return values;
}

std::vector<std::int64_t> integers(std::size_t count, std::int64_t bound, std::uint64_t seed) {
  SplitMix random(seed);
  std::vector<std::int64_t> values(count);
  for (auto& value : values) value = static_cast<std::int64_t>(random.uniform() * static_cast<double>(bound));
  return values;
}

const Classifier& classifier(const std::string& name) {
  static const std::vector<Classifier> rows{
      {"W2", {40, 100, 100, 10}, 100, Activation::relu, Optimizer::sgd, 1e-3},
      {"W3a", {784, 128, 10}, 64, Activation::tanh, Optimizer::adam, 1e-4},
      {"W3b", {784, 512, 512, 10}, 128, Activation::relu, Optimizer::adam, 1e-4},
      {"W4", {1024, 2048, 2048, 2048, 1000}, 256, Activation::relu, Optimizer::sgd, 1e-2},
      {"W8", {40, 100, 100, 10}, 100, Activation::relu, Optimizer::sgd, 1e-3},
  };
  for (const auto& row : rows)
    if (row.name == name) return row;
  throw std::out_of_range("no workload of a classifier is called " + name);
}

ClassifierData classifier_data(const Classifier& model) {
  ClassifierData data;
  data.x = normals(static_cast<std::size_t>(model.batch * model.sizes.front()), parameter_seed(model, 0, 1));
  data.labels =
      integers(static_cast<std::size_t>(model.batch), model.sizes.back(), parameter_seed(model, 0, 2));
  for (std::size_t l = 0; l < model.layers(); ++l) {
    const auto in = static_cast<std::size_t>(model.sizes[l]),
               out = static_cast<std::size_t>(model.sizes[l + 1]);
    data.weights.push_back(normals(in * out, parameter_seed(model, l, 3), std::sqrt(2.0 / model.sizes[l])));
    data.biases.push_back(normals(out, parameter_seed(model, l, 4), 0.1));
  }
  return data;
}

std::vector<std::vector<float>> classifier_direction(const Classifier& model) {
  std::vector<std::vector<float>> direction;
  for (std::size_t l = 0; l < model.layers(); ++l) {
    const auto in = static_cast<std::size_t>(model.sizes[l]),
               out = static_cast<std::size_t>(model.sizes[l + 1]);
    direction.push_back(normals(in * out, parameter_seed(model, l, 5)));
    direction.push_back(normals(out, parameter_seed(model, l, 6)));
  }
  return direction;
}

std::vector<float> FocalData::one_hot() const {
  std::vector<float> matrix(static_cast<std::size_t>(w5_rows * w5_classes));
  for (std::size_t i = 0; i < labels.size(); ++i)
    matrix[i * w5_classes + static_cast<std::size_t>(labels[i])] = 1;
  return matrix;
}

ChainData::ChainData(std::int64_t width)
    : x(normals(static_cast<std::size_t>(width), 61)), a(x.size(), -1.0f), b(x.size()) {
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = 1.0f + static_cast<float>(i) / 128.0f;
}

void Checksum::add(double value) {
  index_ = index_ * 1664525u + 1013904223u;  // Numerical Recipes' generator: any fixed pattern will do
  squares_ += value * value;
  projection_ += value * (static_cast<double>(index_ >> 8) * 0x1p-24 - 0.5);
}

void Checksum::add(std::span<const float> values) {
  for (float value : values) add(static_cast<double>(value));
}

void Checksum::add_difference(std::span<const float> values, std::span<const float> start) {
  for (std::size_t i = 0; i < values.size(); ++i)
    add(static_cast<double>(values[i]) - static_cast<double>(start[i]));
}

double Checksum::norm() const { return std::sqrt(squares_); }

}  // namespace wengert::bench
