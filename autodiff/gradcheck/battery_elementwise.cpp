#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/gradcheck/battery_impl.hpp"

namespace wengert::detail {
namespace {

/// The values that the samples hold, as rows of arguments that go together.
std::vector<std::vector<double>> argument_rows(const Samples& samples) {
  std::vector<std::vector<double>> rows;
  for (const Sample& sample : samples.list()) {
    Shape shape = sample.inputs[0].shape();
    for (const Tensor& x : sample.inputs) {
      Shape both;
      if (broadcast(shape, x.shape(), both)) shape = both;
    }
    const std::size_t first = rows.size();
    rows.resize(first + static_cast<std::size_t>(shape.elements()));
    for (const Tensor& x : sample.inputs) {
      const std::vector<double> values = broadcast_elements(x, shape);
      for (std::size_t i = 0; i < values.size(); ++i) rows[first + i].push_back(values[i]);
    }
  }
  return rows;
}

Tensor typed(const std::vector<double>& values, const Shape& shape, DType dtype) {
  if (dtype == DType::float64) return from_span<double>(values, shape);
  if (dtype == DType::float32)
    return from_span<float>(std::vector<float>(values.begin(), values.end()), shape);
  const Tensor result = Tensor::adopt(new_tensor(dtype, shape));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::bool_)
      result.impl().as<bool>()[i] = values[i] != 0;
    else
      result.impl().as<std::int64_t>()[i] = static_cast<std::int64_t>(values[i]);
  }
  return result;
}

/// Arguments of these shapes with values from the samples, no two of them quite alike; `shapes` is taken in
/// turns when there are more arguments.
Tensors arguments(const std::vector<std::vector<double>>& rows, const Sample& like,
                  const std::vector<Shape>& shapes, DType floating) {
  Tensors result;
  for (std::size_t j = 0; j < like.inputs.size(); ++j) {
    const Shape& shape = shapes[j % shapes.size()];
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double v = rows[i % rows.size()][j];
      // Towards 0 by less than a percent, past no kink that the samples keep their distance from.
      values[i] = v * (1.0 - 1e-5 * static_cast<double>(i % 1000));
    }
    const DType dtype = like.inputs[j].dtype();
    result.push_back(typed(values, shape, is_floating(dtype) ? floating : dtype));
  }
  return result;
}

void check_shapes(Battery& b, const std::vector<std::vector<double>>& rows, const Sample& like) {
  const std::vector<std::vector<Shape>> patterns = {
      {Shape{}},
      {Shape{1}},
      {Shape{1, 1, 1}},
      {Shape{0}},
      {Shape{2, 0, 3}},
      {Shape{3}},
      {Shape{}, Shape{3}},
      {Shape{3}, Shape{}},
      {Shape{2, 3}, Shape{3}},
      {Shape{3}, Shape{2, 3}},
      {Shape{2, 1}, Shape{1, 3}},
      {Shape{0, 3}, Shape{3}},
      {Shape{1}, Shape{0}},
      {Shape{2, 1, 2}, Shape{3, 1}, Shape{}},
  };
  for (const std::vector<Shape>& shapes : patterns) {
    const Tensors inputs = arguments(rows, like, shapes, DType::float64);
    b.run("broadcasting", describe(inputs), [&] {
      const Tensor y = b.apply(inputs, nullptr);
      if (const Tensor expected = b.reference(inputs, nullptr); expected.defined())
        b.compare(y, expected, 1e-12, "differs from the reference");
      if (!b.op.differentiable) return;
      const GradcheckReport report = check_call(b.op, inputs, nullptr, {.find_culprit = false});
      b.check(static_cast<bool>(report), to_string(report));
    });
  }
}

// Long enough for whole registers, several of them, and a rest.
void check_long(Battery& b, const std::vector<std::vector<double>>& rows, const Sample& like) {
  const std::vector<std::vector<Shape>> patterns = {{Shape{1027}},
                                                    {Shape{13, 79}, Shape{79}},
                                                    {Shape{13, 1}, Shape{13, 79}},
                                                    {Shape{1027}, Shape{}},
                                                    {Shape{}, Shape{1027}}};
  for (const std::vector<Shape>& shapes : patterns) {
    const Tensors low = arguments(rows, like, shapes, DType::float32);
    const Tensors inputs = as_float64(low);
    b.run("long arrays", describe(inputs), [&] {
      const Tensor y = b.apply(inputs, nullptr);
      if (const Tensor expected = b.reference(inputs, nullptr); expected.defined())
        b.compare(y, expected, 1e-12, "differs from the reference");
      const Tensor y_low = b.apply(low, nullptr);
      b.compare(y_low, y, 1e-5, "float32 differs from float64");
      if (!b.op.differentiable || !is_floating(y.dtype())) return;
      const Tensor c = cotangent_for(y_low, 9);
      b.compare(gradients_of(b, low, nullptr, c), gradients_of(b, inputs, nullptr, as_float64(c)), 5e-3,
                "float32 gradient");  // sums of a thousand terms of both signs
    });
  }
}

// The vector kernel and the rule on single numbers agree on NaN, infinities, zeros and extreme values.
void check_specials(Battery& b, const Sample& like) {
  if (!b.op.scalar_reference) return;
  for (const Tensor& x : like.inputs)
    if (!is_floating(x.dtype())) return;
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> all = {0.0,  -0.0, 1.0,   -1.0,   0.5,    -2.5,  inf,
                                   -inf, nan,  1e300, -1e300, 1e-300, 700.0, -700.0};
  const std::vector<double> few = {0.0, -0.0, 1.0, -1.0, 0.5, -2.5, inf, -inf, nan};
  for (const DType dtype : {DType::float64, DType::float32}) {
    const std::vector<double>& specials = dtype == DType::float64 && b.op.max_inputs < 3 ? all : few;
    std::size_t count = 1;
    for (int j = 0; j < b.op.max_inputs; ++j) count *= specials.size();
    Tensors inputs;
    std::size_t block = 1;
    for (int j = 0; j < b.op.max_inputs; ++j, block *= specials.size()) {
      std::vector<double> values(count);
      for (std::size_t i = 0; i < count; ++i) values[i] = specials[i / block % specials.size()];
      inputs.push_back(typed(values, {static_cast<std::int64_t>(count)}, dtype));
    }
    b.run("special values", describe(inputs), [&] {
      const std::vector<double> got = elements(b.apply(inputs, nullptr));
      const std::vector<double> expected = elements(b.reference(as_float64(inputs), nullptr));
      const double tolerance = dtype == DType::float64 ? 1e-14 : 1e-6;
      for (std::size_t i = 0; i < count; ++i) {
        const double a = got[i];
        const double e =
            dtype == DType::float32 ? static_cast<double>(static_cast<float>(expected[i])) : expected[i];
        if (a == e || (std::isnan(a) && std::isnan(e)) || std::abs(a - e) <= tolerance * std::abs(e))
          continue;
        std::string text;
        for (const Tensor& x : inputs) text += (text.empty() ? "" : ", ") + std::to_string(elements(x)[i]);
        char numbers[80];
        std::snprintf(numbers, sizeof numbers, " gives %.17g instead of %.17g", a, e);
        b.check(false, "(" + text + ")" + numbers);
      }
      b.check(true, "");
    });
  }
}

}  // namespace

void check_elementwise(Battery& b, const Samples& samples) {
  const std::vector<std::vector<double>> rows = argument_rows(samples);
  if (rows.empty()) return;
  const Sample& like = samples.list().front();
  check_shapes(b, rows, like);
  check_long(b, rows, like);
  check_specials(b, like);
}

}  // namespace wengert::detail
