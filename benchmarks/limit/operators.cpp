// W9: single operators, forward and backward with a given cotangent. A gradient that equals the cotangent, or
// that repeats it, is not written: engines return the same memory or a broadcast view there.
#include <cblas.h>

#include <cmath>

#include "benchmarks/common/data.hpp"
#include "benchmarks/limit/buffer.hpp"
#include "benchmarks/limit/rows.hpp"

namespace wengert::bench {
namespace {

Result compare(const Buffer& output, std::initializer_list<const Buffer*> gradients) {
  Checksum y, g;
  y.add(output.values());
  for (const Buffer* gradient : gradients) g.add(gradient->values());
  return {y.projection(), g.norm(), g.projection()};
}

class LogSoftmax final : public Workload {
 public:
  void step() override {
    constexpr std::int64_t n = w9_softmax_columns;
    alignas(64) float e[n], result[n];
    for (std::int64_t i = 0; i < w9_softmax_rows; ++i) {
      const float *x = x_.data() + i * n, *g = g_.data() + i * n;
      float top = x[0], sum = 0, g_sum = 0;
      for (std::int64_t j = 0; j < n; ++j) top = x[j] > top ? x[j] : top;
      for (std::int64_t j = 0; j < n; ++j) {
        e[j] = fast_exp(x[j] - top);
        sum += e[j];
        g_sum += g[j];
      }
      const float shift = top + fast_log(sum), factor = g_sum / sum;
      for (std::int64_t j = 0; j < n; ++j) {
        result[j] = x[j] - shift;
        e[j] = g[j] - factor * e[j];
      }
      stream(y_.data() + i * n, result, n);
      stream(dx_.data() + i * n, e, n);
    }
  }
  Result result() override { return compare(y_, {&dx_}); }

 private:
  static constexpr std::int64_t size = w9_softmax_rows * w9_softmax_columns;
  Buffer x_{normals(size, 91)}, g_{normals(size, 92)}, y_{size}, dx_{size};
};

class Matmul final : public Workload {
 public:
  void step() override {
    product(CblasNoTrans, CblasNoTrans, a_, b_, y_);
    product(CblasNoTrans, CblasTrans, g_, b_, da_);
    product(CblasTrans, CblasNoTrans, a_, g_, db_);
  }
  Result result() override { return compare(y_, {&da_, &db_}); }

 private:
  static constexpr std::int64_t n = w9_matmul;
  static void product(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, const Buffer& a, const Buffer& b, Buffer& c) {
    cblas_sgemm(CblasRowMajor, ta, tb, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
  }
  Buffer a_{normals(n * n, 93)}, b_{normals(n * n, 94)}, g_{normals(n * n, 95)}, y_{n * n}, da_{n * n},
      db_{n * n};
};

// Adds the rows of [n, n], 4 at a time, in panels of columns whose sums stay in the first-level cache.
void column_sums(const float* __restrict x, std::int64_t n, float* __restrict sums) {
  std::memset(sums, 0, static_cast<std::size_t>(n) * sizeof(float));
  constexpr std::int64_t panel = 1024;
  for (std::int64_t start = 0; start < n; start += panel)
    for (std::int64_t i = 0; i < n; i += 4) {
      const float* __restrict r = x + i * n;
      for (std::int64_t j = start; j < start + panel; ++j)
        sums[j] += r[j] + r[n + j] + r[2 * n + j] + r[3 * n + j];
    }
}

class Bias final : public Workload {
 public:
  void step() override {
    alignas(64) float row[n];
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) row[j] = x_.data()[i * n + j] + b_.data()[j];
      stream(y_.data() + i * n, row, n);
    }
    column_sums(g_.data(), n, db_.data());
  }
  Result result() override { return compare(y_, {&db_}); }

 private:
  static constexpr std::int64_t n = w9_bias;
  Buffer x_{normals(n * n, 96)}, b_{normals(n, 97)}, g_{normals(n * n, 98)}, y_{n * n}, db_{n};
};

template <int axis>
class Sum final : public Workload {
 public:
  void step() override {
    if constexpr (axis == 0) {
      column_sums(x_.data(), n, y_.data());
    } else {
      for (std::int64_t i = 0; i < n; ++i) {
        float lanes[64] = {};  // four AVX-512 registers of partial sums
        for (std::int64_t j = 0; j < n; j += 64)
          for (std::int64_t k = 0; k < 64; ++k) lanes[k] += x_.data()[i * n + j + k];
        float sum = 0;
        for (float lane : lanes) sum += lane;
        y_.data()[i] = sum;
      }
    }
  }
  Result result() override {  // the gradient is the cotangent, repeated along the axis
    Checksum y, g;
    y.add(y_.values());
    std::vector<float> row(n);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) row[static_cast<std::size_t>(j)] = g_.data()[axis == 0 ? j : i];
      g.add(row);
    }
    return {y.projection(), g.norm(), g.projection()};
  }

 private:
  static constexpr std::int64_t n = w9_sum;
  Buffer x_{normals(n * n, 99)}, g_{normals(n, 100)}, y_{n};
};

class Gather final : public Workload {
 public:
  void step() override {
    constexpr std::int64_t n = w9_table_columns;
    for (std::int64_t i = 0; i < w9_picked; ++i)
      std::memcpy(y_.data() + i * n, table_.data() + rows_[static_cast<std::size_t>(i)] * n,
                  n * sizeof(float));
    std::memset(dtable_.data(), 0, dtable_.size() * sizeof(float));
    for (std::int64_t i = 0; i < w9_picked; ++i) {
      float* to = dtable_.data() + rows_[static_cast<std::size_t>(i)] * n;
      for (std::int64_t j = 0; j < n; ++j) to[j] += g_.data()[i * n + j];
    }
  }
  Result result() override { return compare(y_, {&dtable_}); }

 private:
  static constexpr std::int64_t size = w9_table_rows * w9_table_columns,
                                picked = w9_picked * w9_table_columns;
  std::vector<std::int64_t> rows_ = integers(w9_picked, w9_table_rows, 101);
  Buffer table_{normals(size, 102)}, g_{normals(picked, 103)}, y_{picked}, dtable_{size};
};

// The rate that W4 is compared with.
template <int m, int n, int k>
class Sgemm final : public Workload {
 public:
  void step() override {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a_.data(), k, b_.data(), n, 0,
                c_.data(), n);
  }
  Result result() override { return compare(c_, {&c_}); }

 private:
  Buffer a_{normals(m * k, 1)}, b_{normals(k * n, 2)}, c_{m * n};
};

}  // namespace

std::vector<Row> operator_rows() {
  return {{"W9/log_softmax", [] { return std::make_unique<LogSoftmax>(); }},
          {"W9/matmul", [] { return std::make_unique<Matmul>(); }},
          {"W9/bias", [] { return std::make_unique<Bias>(); }},
          {"W9/sum_axis_0", [] { return std::make_unique<Sum<0>>(); }},
          {"W9/sum_axis_1", [] { return std::make_unique<Sum<1>>(); }},
          {"W9/gather", [] { return std::make_unique<Gather>(); }},
          {"sgemm/2048x2048x2048", [] { return std::make_unique<Sgemm<2048, 2048, 2048>>(); }},
          {"sgemm/256x2048x2048", [] { return std::make_unique<Sgemm<256, 2048, 2048>>(); }}};
}

}  // namespace wengert::bench
