// The workloads' sizes and data. Every competitor draws from here, so all of them compute on the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wengert::bench {

/// Standard normal float32 numbers times `scale`: SplitMix64 (Steele, Lea and Flood 2014) and Box-Muller.
/// The generator is this small on purpose: it must not depend on any library that is being compared.
std::vector<float> normals(std::size_t count, std::uint64_t seed, double scale = 1.0);

/// Integers in [0, bound).
std::vector<std::int64_t> integers(std::size_t count, std::int64_t bound, std::uint64_t seed);

enum class Activation { tanh, relu };
enum class Optimizer { sgd, adam };

/// A fully connected classifier and how it is trained: the rows W2, W3a, W3b and W4 (and W8, whose loss is
/// W2's).
struct Classifier {
  std::string name;
  std::vector<std::int64_t> sizes;  ///< inputs, hidden layers, classes
  std::int64_t batch;
  Activation activation;
  Optimizer optimizer;
  double learning_rate;

  std::size_t layers() const { return sizes.size() - 1; }
};

/// The row of that name; throws std::out_of_range when there is none.
const Classifier& classifier(const std::string& name);

/// Inputs, labels and starting parameters of a classifier. weights[l] is [sizes[l], sizes[l + 1]], row-major.
struct ClassifierData {
  std::vector<float> x;
  std::vector<std::int64_t> labels;
  std::vector<std::vector<float>> weights, biases;
};

ClassifierData classifier_data(const Classifier& model);

/// One random tensor for each parameter, weights and biases in turn: the direction of W8.
std::vector<std::vector<float>> classifier_direction(const Classifier& model);

inline constexpr double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;

// W1: 2-3-1, batch 4. The learning rate is small because a batch of timings takes millions of steps.
inline constexpr std::int64_t w1_batch = 4, w1_inputs = 2, w1_hidden = 3;
inline constexpr double w1_learning_rate = 1e-3;
struct XorData {
  std::vector<float> x{0, 0, 0, 1, 1, 0, 1, 1}, t{0, 1, 1, 0};
  std::vector<float> w1 = normals(6, 11), b1 = normals(3, 12), w2 = normals(3, 13), b2 = normals(1, 14);
};

// W5: focal loss with gamma 2.
inline constexpr std::int64_t w5_rows = 4096, w5_classes = 1000;
struct FocalData {
  std::vector<float> logits = normals(w5_rows * w5_classes, 51);
  std::vector<std::int64_t> labels = integers(w5_rows, w5_classes, 52);
  std::vector<float> one_hot() const;
};

// W6: x <- x * a + b, differentiated with respect to the first x. With a = -1 the chain neither grows nor
// fades, however long it is, and every product is exact, so that competitors that contract the two operators
// into one instruction still agree.
inline constexpr std::int64_t w6_steps = 100'000;
struct ChainData {
  explicit ChainData(std::int64_t width);
  std::vector<float> x, a, b;
};

// W7: sum(tanh(x) * exp(-x * x) + sigmoid(x) * x).
inline constexpr std::int64_t w7_size = 1 << 20;

// W9: single operators with a given cotangent.
inline constexpr std::int64_t w9_softmax_rows = 1024, w9_softmax_columns = 1000;
inline constexpr std::int64_t w9_matmul = 512, w9_bias = 1024, w9_sum = 2048;
inline constexpr std::int64_t w9_table_rows = 50'000, w9_table_columns = 64, w9_picked = 4096;

/// Compares results of different competitors: the Euclidean norm and a projection on a fixed pattern.
struct Checksum {
  void add(std::span<const float> values);
  void add_difference(std::span<const float> values, std::span<const float> start);
  double norm() const;
  double projection() const { return projection_; }

 private:
  void add(double value);
  double squares_ = 0, projection_ = 0;
  std::uint32_t index_ = 0;
};

}  // namespace wengert::bench
