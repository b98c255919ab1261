// W2, W3a, W3b, W4: a fully connected classifier's training step, and W8: the Hessian-vector product of its
// loss.
#include <cblas.h>

#include <cmath>

#include "benchmarks/common/data.hpp"
#include "benchmarks/limit/buffer.hpp"
#include "benchmarks/limit/rows.hpp"

namespace wengert::bench {
namespace {

// c[m, n] = alpha * op(a) op(b) + beta * c, everything dense and row-major.
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const Buffer& a,
          const Buffer& b, float beta, Buffer& c) {
  const auto lda = static_cast<int>(ta ? m : k), ldb = static_cast<int>(tb ? k : n);
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
              static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a.data(), lda, b.data(),
              ldb, beta, c.data(), static_cast<int>(n));
}

struct Layer {
  std::int64_t in, out;
  Buffer w, b;
  Buffer h, dz;   // activations (logits, in the last layer), cotangents of the pre-activations
  Buffer db, dw;  // dw only where the update cannot be part of the product
  Buffer mw, vw, mb, vb;
};

class Network {
 public:
  explicit Network(const Classifier& model)
      : model_(model), data_(classifier_data(model)), x_(data_.x), log_scratch_(model.batch) {
    for (std::size_t l = 0; l < model.layers(); ++l) {
      const std::int64_t in = model.sizes[l], out = model.sizes[l + 1];
      Layer layer{in,
                  out,
                  data_.weights[l],
                  data_.biases[l],
                  Buffer(model.batch * out),
                  Buffer(model.batch * out),
                  Buffer(out),
                  {},
                  {},
                  {},
                  {},
                  {}};
      if (model.optimizer == Optimizer::adam) {
        layer.dw = Buffer(in * out);
        layer.mw = Buffer(in * out);
        layer.vw = Buffer(in * out);
        layer.mb = Buffer(out);
        layer.vb = Buffer(out);
      }
      layers_.push_back(std::move(layer));
    }
  }

 protected:
  const Buffer& input(std::size_t l) const { return l == 0 ? x_ : layers_[l - 1].h; }

  void forward() {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      Layer& layer = layers_[l];
      gemm(false, false, model_.batch, layer.out, layer.in, 1, input(l), layer.w, 0, layer.h);
      if (l + 1 == layers_.size()) break;  // the last bias is added by the loss
      for (std::int64_t i = 0; i < model_.batch; ++i) {
        float* h = layer.h.data() + i * layer.out;
        const float* b = layer.b.data();
        if (model_.activation == Activation::relu)
          for (std::int64_t j = 0; j < layer.out; ++j) h[j] = h[j] + b[j] > 0 ? h[j] + b[j] : 0.0f;
        else
          for (std::int64_t j = 0; j < layer.out; ++j) h[j] = fast_tanh(h[j] + b[j]);
      }
    }
  }

  // Softmax and cross-entropy: turns the last layer's products into probabilities in place, and leaves
  // (p - one_hot) / batch in dz.
  float loss() {
    Layer& last = layers_.back();
    const std::int64_t n = last.out;
    const float scale = 1.0f / static_cast<float>(model_.batch);
    float picked = 0;
    for (std::int64_t i = 0; i < model_.batch; ++i) {
      float* z = last.h.data() + i * n;
      float* dz = last.dz.data() + i * n;
      const float* b = last.b.data();
      float top = -INFINITY, sum = 0;
      for (std::int64_t j = 0; j < n; ++j) {
        z[j] += b[j];
        top = z[j] > top ? z[j] : top;
      }
      const auto label = data_.labels[static_cast<std::size_t>(i)];
      picked += z[label] - top;
      for (std::int64_t j = 0; j < n; ++j) {
        z[j] = fast_exp(z[j] - top);
        sum += z[j];
      }
      log_scratch_.data()[i] = sum;
      const float inverse = 1.0f / sum;
      for (std::int64_t j = 0; j < n; ++j) {
        z[j] *= inverse;
        dz[j] = z[j] * scale;
      }
      dz[label] -= scale;
    }
    float logs = 0;
    for (std::int64_t i = 0; i < model_.batch; ++i) logs += fast_log(log_scratch_.data()[i]);
    return (logs - picked) * scale;
  }

  // dz <- dh * activation'(h), and its column sums.
  void through_activation(Layer& layer) {
    float* db = layer.db.data();
    std::memset(db, 0, layer.db.size() * sizeof(float));
    for (std::int64_t i = 0; i < model_.batch; ++i) {
      float* dz = layer.dz.data() + i * layer.out;
      const float* h = layer.h.data() + i * layer.out;
      if (model_.activation == Activation::relu)
        for (std::int64_t j = 0; j < layer.out; ++j) {
          dz[j] = h[j] > 0 ? dz[j] : 0.0f;
          db[j] += dz[j];
        }
      else
        for (std::int64_t j = 0; j < layer.out; ++j) {
          dz[j] *= 1.0f - h[j] * h[j];
          db[j] += dz[j];
        }
    }
  }

  void column_sums(const Buffer& values, std::int64_t columns, Buffer& sums) const {
    std::memset(sums.data(), 0, sums.size() * sizeof(float));
    for (std::int64_t i = 0; i < model_.batch; ++i)
      for (std::int64_t j = 0; j < columns; ++j) sums.data()[j] += values.data()[i * columns + j];
  }

  const Classifier& model_;
  ClassifierData data_;
  Buffer x_, log_scratch_;
  std::vector<Layer> layers_;
};

class Training final : public Workload, Network {
 public:
  explicit Training(const Classifier& model) : Network(model) {}

  void step() override {
    forward();
    loss_ = loss();
    ++time_;
    column_sums(layers_.back().dz, layers_.back().out, layers_.back().db);
    for (std::size_t l = layers_.size(); l-- > 0;) {
      Layer& layer = layers_[l];
      if (l > 0) {  // before the update, which changes w
        Layer& below = layers_[l - 1];
        gemm(false, true, model_.batch, layer.in, layer.out, 1, layer.dz, layer.w, 0, below.dz);
        through_activation(below);
      }
      const auto rate = static_cast<float>(model_.learning_rate);
      if (model_.optimizer == Optimizer::sgd) {
        gemm(true, false, layer.in, layer.out, model_.batch, -rate, input(l), layer.dz, 1, layer.w);
        for (std::int64_t j = 0; j < layer.out; ++j) layer.b.data()[j] -= rate * layer.db.data()[j];
      } else {
        gemm(true, false, layer.in, layer.out, model_.batch, 1, input(l), layer.dz, 0, layer.dw);
        adam(layer.w, layer.dw, layer.mw, layer.vw);
        adam(layer.b, layer.db, layer.mb, layer.vb);
      }
    }
  }

  Result result() override {
    Checksum change;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      change.add_difference(layers_[l].w.values(), data_.weights[l]);
      change.add_difference(layers_[l].b.values(), data_.biases[l]);
    }
    return {loss_, change.norm(), change.projection()};
  }

  int checked_steps() const override { return 3; }

  void reset() override {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      std::memcpy(layers_[l].w.data(), data_.weights[l].data(), layers_[l].w.size() * sizeof(float));
      std::memcpy(layers_[l].b.data(), data_.biases[l].data(), layers_[l].b.size() * sizeof(float));
    }
  }

 private:
  void adam(Buffer& w, const Buffer& g, Buffer& m, Buffer& v) const {
    const auto b1 = static_cast<float>(adam_beta1), b2 = static_cast<float>(adam_beta2);
    const auto rate = static_cast<float>(model_.learning_rate / (1 - std::pow(adam_beta1, time_)));
    const auto correction = static_cast<float>(1 / std::sqrt(1 - std::pow(adam_beta2, time_)));
    const auto epsilon = static_cast<float>(adam_epsilon);
    float* __restrict pw = w.data(), * __restrict pm = m.data(), * __restrict pv = v.data();
    const float* __restrict pg = g.data();
    for (std::size_t i = 0; i < w.size(); ++i) {
      pm[i] = b1 * pm[i] + (1 - b1) * pg[i];
      pv[i] = b2 * pv[i] + (1 - b2) * pg[i] * pg[i];
      pw[i] -= rate * pm[i] / (std::sqrt(pv[i]) * correction + epsilon);
    }
  }

  float loss_ = 0;
  int time_ = 0;
};

// Forward and backward with the directional derivative R(.) of every quantity beside it (Pearlmutter 1994,
// "Fast exact multiplication by the Hessian"). ReLU's second derivative is zero, so no further terms appear.
class HessianVector final : public Workload, Network {
 public:
  explicit HessianVector(const Classifier& model) : Network(model) {
    auto direction = classifier_direction(model);
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Layer& layer = layers_[l];
      tangents_.push_back({direction[2 * l], direction[2 * l + 1], Buffer(model.batch * layer.out),
                           Buffer(model.batch * layer.out), Buffer(layer.in * layer.out), Buffer(layer.out)});
    }
  }

  void step() override {
    forward();
    const std::size_t last = layers_.size() - 1;
    for (std::size_t l = 0; l <= last; ++l) {  // R{h}
      Layer& layer = layers_[l];
      Tangent& t = tangents_[l];
      gemm(false, false, model_.batch, layer.out, layer.in, 1, input(l), t.w, 0, t.h);
      if (l > 0)
        gemm(false, false, model_.batch, layer.out, layer.in, 1, tangents_[l - 1].h, layer.w, 1, t.h);
      for (std::int64_t i = 0; i < model_.batch; ++i)
        for (std::int64_t j = 0; j < layer.out; ++j) {
          float& r = t.h.data()[i * layer.out + j];
          r += t.b.data()[j];
          if (l < last) r = layer.h.data()[i * layer.out + j] > 0 ? r : 0.0f;
        }
    }
    loss_ = loss();
    const float scale = 1.0f / static_cast<float>(model_.batch);
    for (std::int64_t i = 0; i < model_.batch; ++i) {  // R{p} = p * (R{z} - sum(p * R{z}))
      const std::int64_t n = layers_[last].out;
      const float *p = layers_[last].h.data() + i * n, *rz = tangents_[last].h.data() + i * n;
      float* rdz = tangents_[last].dz.data() + i * n;
      float mean = 0;
      for (std::int64_t j = 0; j < n; ++j) mean += p[j] * rz[j];
      for (std::int64_t j = 0; j < n; ++j) rdz[j] = scale * p[j] * (rz[j] - mean);
    }
    for (std::size_t l = last + 1; l-- > 0;) {
      Layer& layer = layers_[l];
      Tangent& t = tangents_[l];
      gemm(true, false, layer.in, layer.out, model_.batch, 1, input(l), t.dz, 0, t.dw);
      column_sums(t.dz, layer.out, t.db);
      if (l == 0) break;
      Layer& below = layers_[l - 1];
      Tangent& tb = tangents_[l - 1];
      gemm(true, false, layer.in, layer.out, model_.batch, 1, tb.h, layer.dz, 1, t.dw);
      gemm(false, true, model_.batch, layer.in, layer.out, 1, layer.dz, layer.w, 0, below.dz);
      gemm(false, true, model_.batch, layer.in, layer.out, 1, t.dz, layer.w, 0, tb.dz);
      gemm(false, true, model_.batch, layer.in, layer.out, 1, layer.dz, t.w, 1, tb.dz);
      const float* h = below.h.data();
      for (std::size_t i = 0; i < below.h.size(); ++i) {
        below.dz.data()[i] = h[i] > 0 ? below.dz.data()[i] : 0.0f;
        tb.dz.data()[i] = h[i] > 0 ? tb.dz.data()[i] : 0.0f;
      }
    }
  }

  Result result() override {
    Checksum sum;
    for (const Tangent& t : tangents_) {
      sum.add(t.dw.values());
      sum.add(t.db.values());
    }
    return {loss_, sum.norm(), sum.projection()};
  }

 private:
  struct Tangent {
    Buffer w, b;    // the direction
    Buffer h, dz;   // R{h}, R{dz}
    Buffer dw, db;  // the Hessian times the direction
  };
  std::vector<Tangent> tangents_;
  float loss_ = 0;
};

}  // namespace

std::vector<Row> classifier_rows() {
  std::vector<Row> rows;
  for (const char* name : {"W2", "W3a", "W3b", "W4"})
    rows.push_back({name, [name] { return std::make_unique<Training>(classifier(name)); }});
  rows.push_back({"W8", [] { return std::make_unique<HessianVector>(classifier("W8")); }});
  return rows;
}

}  // namespace wengert::bench
