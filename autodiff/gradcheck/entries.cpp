#include "autodiff/gradcheck/entries.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/gradcheck/difference.hpp"

namespace wengert::detail {

std::vector<double> elements(const Tensor& x) {
  const auto widen = [](const auto& values) { return std::vector<double>(values.begin(), values.end()); };
  switch (x.dtype()) {
    case DType::bool_:
      return widen(x.to_vector<bool>());
    case DType::int64:
      return widen(x.to_vector<std::int64_t>());
    case DType::float32:
      return widen(x.to_vector<float>());
    case DType::float64:
      return x.to_vector<double>();
  }
  __builtin_unreachable();
}

Tensor as_float64(const Tensor& x) {
  return is_floating(x.dtype()) ? from_span<double>(elements(x), x.shape()) : x;
}

Tensors as_float64(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& x : inputs) result.push_back(as_float64(x));
  return result;
}

Tensors as_variables(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& x : inputs) result.push_back(is_floating(x.dtype()) ? variable(x) : x);
  return result;
}

Tensors differentiable(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& x : inputs)
    if (is_floating(x.dtype())) result.push_back(x);
  return result;
}

std::vector<double> weights(std::size_t count, int seed) {
  // Weyl's sequence: no two alike, none near zero.
  std::vector<double> w(count);
  double u = 0.31 + 0.137 * seed;
  for (double& v : w) {
    u += 0.6180339887498949;
    u -= std::floor(u);
    v = u < 0.5 ? 0.5 + 2 * u : -(0.5 + 2 * (u - 0.5));
  }
  return w;
}

Tensor weights(const Shape& shape, DType dtype, int seed) {
  const std::vector<double> w = weights(static_cast<std::size_t>(shape.elements()), seed);
  if (dtype == DType::float64) return from_span<double>(w, shape);
  return from_span<float>(std::vector<float>(w.begin(), w.end()), shape);
}

std::string describe(const Tensors& inputs) {
  std::string text;
  for (const Tensor& x : inputs) text += (text.empty() ? "" : ", ") + wengert::describe(x);
  return text;
}

namespace {

Verdict judge(double analytic, const NumericDerivative& numeric, double tolerance, double scale) {
  if (numeric.kink) return Verdict::not_differentiable;
  if (!std::isfinite(analytic)) return Verdict::wrong;
  const double difference = std::abs(analytic - numeric.value);
  const double allowed = tolerance * std::max(std::abs(numeric.value), scale);
  // The rounding floor is part of the measurement, so that a derivative of 0 may be reported as 0.
  const bool sharp = numeric.estimate <= 10 * allowed || numeric.estimate <= 4 * numeric.noise;
  if (difference <= allowed + 4 * numeric.estimate) return sharp ? Verdict::right : Verdict::inconclusive;
  return sharp || difference > 100 * numeric.estimate ? Verdict::wrong : Verdict::inconclusive;
}

void count(GradcheckReport& report, const GradcheckEntry& e) {
  switch (e.verdict) {
    case Verdict::right:
      ++report.right;
      break;
    case Verdict::wrong:
      ++report.wrong;
      break;
    case Verdict::not_differentiable:
      ++report.not_differentiable;
      break;
    case Verdict::inconclusive:
      ++report.inconclusive;
      break;
  }
  const bool judged = e.verdict == Verdict::right || e.verdict == Verdict::wrong;
  if (judged && (report.right + report.wrong == 1 || !(e.error <= report.largest_error))) {
    report.largest_error = e.error;
    report.worst = e;
  }
  constexpr std::size_t shown = 20;
  if (e.verdict != Verdict::right && report.problems.size() < shown) report.problems.push_back(e);
}

}  // namespace

void check_entries(const EntryCheck& check, const GradcheckOptions& options, GradcheckReport& report) {
  std::size_t next = 0;
  const std::vector<double> base = check.evaluate(check.inputs);
  for (std::size_t i = 0; i < check.inputs.size(); ++i) {
    const Tensor& x = check.inputs[i];
    if (!is_floating(x.dtype())) continue;
    const std::vector<double>& analytic = check.analytic[next++];
    std::vector<double> values = elements(x);
    const std::int64_t step =
        options.max_entries > 0 ? (x.size() + options.max_entries - 1) / options.max_entries : 1;

    std::vector<GradcheckEntry> entries;
    std::vector<NumericDerivative> numeric;
    double largest = 0;
    for (std::int64_t at = 0; at < x.size(); at += std::max<std::int64_t>(step, 1)) {
      const auto place = static_cast<std::size_t>(at);
      const double position = values[place];
      const auto moved = [&](double to) {
        values[place] = to;
        Tensors inputs = check.inputs;
        inputs[i] = from_span<double>(values, x.shape());
        values[place] = position;
        return check.evaluate(inputs);
      };
      numeric.push_back(differentiate(
          {moved, base, check.weights, position, options.tolerance, 1e-3 * largest, check.epsilon}));
      if (std::isfinite(numeric.back().value)) largest = std::max(largest, std::abs(numeric.back().value));
      GradcheckEntry e;
      e.order = check.order;
      e.input = static_cast<int>(i);
      e.entry = at;
      e.analytic = analytic[place];
      entries.push_back(e);
    }
    const double scale = 1e-3 * largest;
    for (std::size_t k = 0; k < entries.size(); ++k) {
      GradcheckEntry& e = entries[k];
      e.numeric = numeric[k].kink ? std::numeric_limits<double>::quiet_NaN() : numeric[k].value;
      e.estimate = numeric[k].estimate;
      e.verdict = judge(e.analytic, numeric[k], options.tolerance, scale);
      const double size = std::max({std::abs(e.numeric), std::abs(e.analytic), scale});
      const double difference = std::abs(e.analytic - e.numeric);
      // Differences below the rounding of the measurement say nothing, however small the derivative is.
      e.error = difference <= 4 * numeric[k].noise && size <= 1e3 * numeric[k].noise ? 0
                : size > 0                                                           ? difference / size
                                                                                     : difference;
      count(report, e);
    }
  }
}

}  // namespace wengert::detail
