// W1, W5, W6, W7: rows without a large product.
#include <chrono>
#include <cmath>

#include "benchmarks/common/data.hpp"
#include "benchmarks/limit/buffer.hpp"
#include "benchmarks/limit/rows.hpp"

namespace wengert::bench {
namespace {

// W1. Arrays hold one hidden unit's four samples side by side, so that each loop is one vector operation.
class Xor final : public Workload {
 public:
  Xor() { reset(); }

  void step() override {
    constexpr int units = w1_hidden, batch = w1_batch, lanes = units * batch;
    alignas(64) float h[16] = {}, z[4], dz[4], log_argument[4];
    for (int u = 0; u < units; ++u)
      for (int s = 0; s < batch; ++s)
        h[u * batch + s] = w1_[u] * x_[s] + w1_[units + u] * x_[batch + s] + b1_[u];
    for (int i = 0; i < 16; ++i) h[i] = fast_tanh(h[i]);
    for (int s = 0; s < batch; ++s) {
      z[s] = w2_[0] * h[s] + w2_[1] * h[batch + s] + w2_[2] * h[2 * batch + s] + b2_;
      const float e = fast_exp(-z[s]);
      log_argument[s] = 1 + e;
      dz[s] = (1 / (1 + e) - t_[s]) * (1.0f / batch);
    }
    float loss = 0;  // log(1 + exp(-z)) + (1 - t) z, which is the cross-entropy of sigmoid(z)
    for (int s = 0; s < batch; ++s) loss += fast_log(log_argument[s]) + (1 - t_[s]) * z[s];
    loss_ = loss * (1.0f / batch);

    alignas(64) float dh[16];
    for (int u = 0; u < units; ++u)
      for (int s = 0; s < batch; ++s) dh[u * batch + s] = w2_[u] * dz[s];
    for (int i = 0; i < lanes; ++i) dh[i] *= 1 - h[i] * h[i];
    constexpr auto rate = static_cast<float>(w1_learning_rate);
    for (int u = 0; u < units; ++u) {
      float dw2 = 0, dwa = 0, dwb = 0, db = 0;
      for (int s = 0; s < batch; ++s) {
        dw2 += h[u * batch + s] * dz[s];
        dwa += dh[u * batch + s] * x_[s];
        dwb += dh[u * batch + s] * x_[batch + s];
        db += dh[u * batch + s];
      }
      w2_[u] -= rate * dw2;
      w1_[u] -= rate * dwa;
      w1_[units + u] -= rate * dwb;
      b1_[u] -= rate * db;
    }
    b2_ -= rate * (dz[0] + dz[1] + dz[2] + dz[3]);
  }

  int checked_steps() const override { return 3; }

  Result result() override {
    Checksum change;
    change.add_difference(w1_, data_.w1);
    change.add_difference(b1_, data_.b1);
    change.add_difference(w2_, data_.w2);
    change.add_difference({&b2_, 1}, data_.b2);
    return {loss_, change.norm(), change.projection()};
  }

  void reset() override {
    for (int s = 0; s < w1_batch; ++s) {
      t_[s] = data_.t[static_cast<std::size_t>(s)];
      for (int i = 0; i < w1_inputs; ++i)
        x_[i * w1_batch + s] = data_.x[static_cast<std::size_t>(s * w1_inputs + i)];
    }
    std::copy(data_.w1.begin(), data_.w1.end(), w1_);
    std::copy(data_.b1.begin(), data_.b1.end(), b1_);
    std::copy(data_.w2.begin(), data_.w2.end(), w2_);
    b2_ = data_.b2[0];
  }

 private:
  XorData data_;
  alignas(64) float x_[8], t_[4], w1_[6], b1_[3], w2_[3];
  float b2_ = 0, loss_ = 0;
};

// W5. With L = -(1 - p)^2 log p and p the label's probability, dL/dz = dL/dlog p * (one_hot - softmax).
class Focal final : public Workload {
 public:
  void step() override {
    constexpr std::int64_t n = w5_classes;
    alignas(64) float e[(n + 15) / 16 * 16];
    const float scale = 1.0f / static_cast<float>(w5_rows);
    double total = 0;
    for (std::int64_t i = 0; i < w5_rows; ++i) {
      const float* z = logits_.data() + i * n;
      float top = z[0], sum = 0;
      for (std::int64_t j = 0; j < n; ++j) top = z[j] > top ? z[j] : top;
      for (std::int64_t j = 0; j < n; ++j) {
        e[j] = fast_exp(z[j] - top);
        sum += e[j];
      }
      const auto label = data_.labels[static_cast<std::size_t>(i)];
      const float log_p = z[label] - top - fast_log(sum), p = e[label] / sum, q = 1 - p;
      total -= static_cast<double>(q * q * log_p);
      const float slope = scale * (2 * q * p * log_p - q * q), factor = -slope / sum;
      for (std::int64_t j = 0; j < n; ++j) e[j] *= factor;
      e[label] += slope;
      stream(gradient_.data() + i * n, e, static_cast<std::size_t>(n));
    }
    loss_ = total / static_cast<double>(w5_rows);
  }

  Result result() override {
    Checksum sum;
    sum.add(gradient_.values());
    return {loss_, sum.norm(), sum.projection()};
  }

 private:
  FocalData data_;
  Buffer logits_{data_.logits}, gradient_{w5_rows * w5_classes};
  double loss_ = 0;
};

// W6. With a and b constant, the derivative needs no value of the chain, so none is kept.
template <std::int64_t width>
class Chain final : public Workload {
 public:
  void step() override {
    const auto start = std::chrono::steady_clock::now();
    float x[width], g[width], a[width], b[width];
    for (std::int64_t i = 0; i < width;
         ++i) {  // not std::copy_n: it sends a single float through integer registers
      x[i] = data_.x.data()[i];
      a[i] = data_.a.data()[i];
      b[i] = data_.b.data()[i];
    }
    for (std::int64_t k = 0; k < w6_steps; ++k)
      for (std::int64_t i = 0; i < width; ++i) x[i] = x[i] * a[i] + b[i];
    forward_ns_ = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    loss_ = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      loss_ += x[i];
      g[i] = 1;
    }
    for (std::int64_t k = 0; k < w6_steps; ++k)
      for (std::int64_t i = 0; i < width; ++i) g[i] *= a[i];
    for (std::int64_t i = 0; i < width; ++i) gradient_[i] = g[i];
  }

  Result result() override {
    Checksum sum;
    sum.add(gradient_);
    return {loss_, sum.norm(), sum.projection()};
  }

  std::map<std::string, double> figures() override {
    return {{"forward_ns_per_operator", forward_ns_ / (2 * w6_steps)}, {"bytes_per_operator", 0.0}};
  }

 private:
  ChainData data_{width};
  float gradient_[width], loss_ = 0;
  double forward_ns_ = 0;
};

// W7. With u = exp(-x): tanh(x) = (1 - u^2) / (1 + u^2) and sigmoid(x) = 1 / (1 + u) share one exponential.
class Formula final : public Workload {
 public:
  void step() override {
    constexpr std::int64_t block = 1024;
    alignas(64) float g[block];
    double total = 0;
    for (std::int64_t start = 0; start < w7_size; start += block) {
      const float* x = x_.data() + start;
      float sum = 0;
      for (std::int64_t i = 0; i < block; ++i) {
        const float v = x[i], clipped = v < -40 ? -40.0f : v;
        const float u = fast_exp(-clipped), e = fast_exp(-v * v);
        const float t = 2.0f / (1.0f + u * u) - 1.0f, s = 1.0f / (1.0f + u);
        sum += t * e + s * v;
        g[i] = e * (1 - t * t - 2 * v * t) + s * (1 + v * (1 - s));
      }
      total += static_cast<double>(sum);
      stream(gradient_.data() + start, g, block);
    }
    loss_ = total;
  }

  Result result() override {
    Checksum sum;
    sum.add(gradient_.values());
    return {loss_, sum.norm(), sum.projection()};
  }

 private:
  Buffer x_{normals(w7_size, 71)}, gradient_{w7_size};
  double loss_ = 0;
};

}  // namespace

std::vector<Row> elementwise_rows() {
  return {{"W1", [] { return std::make_unique<Xor>(); }},
          {"W5", [] { return std::make_unique<Focal>(); }},
          {"W6/1", [] { return std::make_unique<Chain<1>>(); }},
          {"W6/64", [] { return std::make_unique<Chain<64>>(); }},
          {"W7", [] { return std::make_unique<Formula>(); }}};
}

}  // namespace wengert::bench
