#include "nn/data/mnist1d.hpp"

#include <array>
#include <cmath>
#include <vector>

#include "autodiff/tensor/creation.hpp"
#include "autodiff/tensor/random.hpp"

// Equal numbers on every machine: only + - * / and sqrt, which IEEE 754 rounds exactly, in double, and no
// contraction into fused multiply-adds (see CMakeLists.txt).

namespace wengert::nn::datasets {
namespace {

constexpr int points = 12;     // of a template
constexpr int stretched = 72;  // template and longest padding
constexpr int length = 40;     // of an example
constexpr int digits = 10;
constexpr int per_digit = 500;
constexpr int examples = digits * per_digit;
constexpr int train_examples = 4000;
constexpr int shortest_padding = 36, longest_padding = 60;
constexpr int largest_shift = 48;
constexpr int radius = 8;  // of the Gaussian filter: four standard deviations of 2 points
constexpr double scale_range = 0.4, shear_range = 0.75;
constexpr double correlated_noise = 0.25, white_noise = 0.02;

using Template = std::array<double, points>;

constexpr std::array<Template, digits> drawings{{
    {5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5},
    {5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5},
    {5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5},
    {5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5},
    {5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5},
    {5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5},
    {5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5},
    {5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5},
    {5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5},
    {5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5},
}};

// Centred, of standard deviation 1, then moved to start at 0, and divided by 6.
Template normalised(Template row) {
  double mean = 0, square = 0;
  for (double v : row) mean += v;
  mean /= points;
  for (double v : row) square += (v - mean) * (v - mean);
  const double deviation = std::sqrt(square / points), start = (row[0] - mean) / deviation;
  for (double& v : row) v = ((v - mean) / deviation - start) / 6.0;
  return row;
}

// Linear interpolation of `from` at `count` places, evenly spaced from its first value to its last.
void resample(const double* from, int from_count, double* to, int count) {
  for (int i = 0; i < count; ++i) {
    // The place is i (from_count - 1) / (count - 1), split into whole and rest without rounding.
    const int whole = i * (from_count - 1) / (count - 1), rest = i * (from_count - 1) % (count - 1);
    const double t = static_cast<double>(rest) / (count - 1);
    to[i] = rest == 0 ? from[whole] : from[whole] + t * (from[whole + 1] - from[whole]);
  }
}

struct GaussianFilter {
  std::array<double, radius + 1> weight;

  GaussianFilter() {
    constexpr double q = 0.88249690258459540286;  // exp(-1 / (2 * 2^2)); weight k is q^(k^2)
    double total = 0;
    for (int k = 0; k <= radius; ++k) {
      weight[k] = 1;
      for (int i = 0; i < k * k; ++i) weight[k] *= q;
      total += k == 0 ? weight[k] : 2 * weight[k];
    }
    for (double& w : weight) w /= total;
  }

  // The ends are reflected: ... c b a | a b c ...
  double at(const double* x, int n, int i) const {
    const auto value = [&](int j) { return x[j < 0 ? -1 - j : j >= n ? 2 * n - 1 - j : j]; };
    double sum = weight[0] * x[i];
    for (int k = 1; k <= radius; ++k) sum += weight[k] * (value(i - k) + value(i + k));
    return sum;
  }
};

// One example from its template, four uniform numbers and 2 * stretched normal ones.
void draw(const Template& digit, const double* uniform, const double* normal, const GaussianFilter& filter,
          double* out) {
  double padded[points + longest_padding] = {};
  const int padding =
      shortest_padding + static_cast<int>(uniform[0] * (longest_padding - shortest_padding + 1));
  // A value of the drawing that happens to be 0 must not be taken for padding below.
  for (int i = 0; i < points; ++i) padded[i] = digit[i] + 1e-8;

  double wide[stretched], signal[stretched];
  resample(padded, points + padding, wide, stretched);
  const double scale = 1.0 + scale_range * (uniform[1] - 0.5);
  const int shift = static_cast<int>(uniform[2] * largest_shift);
  for (int i = 0; i < stretched; ++i) signal[(i + shift) % stretched] = wide[i] * scale;

  const double* white = normal + stretched;
  const double slope = shear_range * (uniform[3] - 0.5);
  for (int i = 0; i < stretched; ++i) {
    if (signal[i] == 0) signal[i] = correlated_noise * filter.at(normal, stretched, i);
    signal[i] += white_noise * white[i];
    signal[i] -= slope * (static_cast<double>(i) / (stretched - 1) - 0.5);
  }
  resample(signal, stretched, out, length);
}

Split halves(const std::vector<float>& x, const std::vector<std::int64_t>& y) {
  const Dataset all(from_span<float>(x, {examples, length}), from_span<std::int64_t>(y, {examples}));
  return {all.range(0, train_examples), all.range(train_examples, examples)};
}

}  // namespace

Split mnist1d(std::uint64_t seed) {
  // A stream of its own: not the numbers that random::seed(seed) gives to weights.
  random::Generator generator(seed ^ 0x6d6e697374316421);
  const Tensor uniform = generator.uniform({examples, 4}, 0.0, 1.0, DType::float64);
  const Tensor normal = generator.normal({examples, 2 * stretched}, 0.0, 1.0, DType::float64);
  const Tensor order = generator.permutation(examples);

  std::array<Template, digits> templates;
  for (int d = 0; d < digits; ++d) templates[d] = normalised(drawings[d]);
  const GaussianFilter filter;
  std::vector<double> drawn(examples * length);
  double mean = 0, square = 0;
  for (int i = 0; i < examples; ++i)
    draw(templates[i / per_digit], uniform.span<double>().data() + 4 * i,
         normal.span<double>().data() + 2 * stretched * i, filter, &drawn[i * length]);
  for (double v : drawn) mean += v;
  mean /= static_cast<double>(drawn.size());
  for (double v : drawn) square += (v - mean) * (v - mean);
  const double deviation = std::sqrt(square / static_cast<double>(drawn.size()));

  std::vector<float> x(drawn.size());
  std::vector<std::int64_t> y(examples);
  for (int i = 0; i < examples; ++i) {
    const std::int64_t from = order.span<std::int64_t>()[i];
    y[i] = from / per_digit;
    for (int j = 0; j < length; ++j)
      x[i * length + j] = static_cast<float>((drawn[from * length + j] - mean) / deviation);
  }
  return halves(x, y);
}

Split mnist1d(const std::string& folder) {
  const auto read = [&](const std::string& part) {
    const std::string x = folder + "/x" + part + ".npy", y = folder + "/y" + part + ".npy";
    Dataset data = npy(x, y);
    if (data.x.dtype() != DType::float32 || data.x.ndim() != 2 || data.x.shape()[1] != length)
      throw FileError(x, "expected float32[n, 40], found " + describe(data.x));
    if (data.y.dtype() != DType::int64 || data.y.ndim() != 1)
      throw FileError(y, "expected int64[n], found " + describe(data.y));
    for (std::int64_t label : data.y.span<std::int64_t>())
      if (label < 0 || label >= digits)
        throw FileError(y, "expected labels 0 .. 9, found " + std::to_string(label));
    return data;
  };
  return {read(""), read("_test")};
}

}  // namespace wengert::nn::datasets
