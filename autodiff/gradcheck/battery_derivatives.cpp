#include <cmath>
#include <limits>

#include "autodiff/backward/gradients.hpp"
#include "autodiff/backward/walk.hpp"
#include "autodiff/gradcheck/battery_impl.hpp"
#include "autodiff/gradcheck/difference.hpp"
#include "autodiff/transforms/transforms.hpp"

namespace wengert::detail {
namespace {

std::vector<TensorImpl*> headers(const Tensors& tensors) {
  std::vector<TensorImpl*> raw;
  for (const Tensor& t : tensors) raw.push_back(t.get());
  return raw;
}

/// A scalar product, and the sum of the magnitudes of its terms.
struct Product {
  double value = 0;
  double size = 0;
  void add(const Tensor& a, const Tensor& b) {
    const std::vector<double> x = elements(a), y = elements(b);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (y[i] == 0 || x[i] == 0) continue;
      value += x[i] * y[i];
      size += std::abs(x[i] * y[i]);
    }
  }
};

std::string numbers(double a, double b) {
  char text[80];
  std::snprintf(text, sizeof text, "%.17g and %.17g", a, b);
  return text;
}

/// The fused derivative of an operator takes that one's results among its samples: relu's lie on the jump of
/// its derivative.
bool kinks_allowed(const Battery& b) { return b.op.elementwise && b.op.compose; }

void check_against_differences(Battery& b, const Tensors& inputs, const void* attributes) {
  GradcheckOptions options;
  options.order = 2;
  const GradcheckReport report = check_call(b.op, inputs, attributes, options);
  const std::string text = to_string(report);
  b.check(static_cast<bool>(report), text);
  b.check(kinks_allowed(b) || report.not_differentiable == 0, "samples must lie away from kinks: " + text);
}

// Nothing is recorded, and the function is flat around its samples unless it says that it is not.
void check_constant(Battery& b, const Tensors& inputs, const void* attributes) {
  const Tensor y = b.apply(as_variables(inputs), attributes);
  b.check(!y.requires_grad(), "an operator without a derivative was recorded");
  if (!is_floating(y.dtype()) || b.options.constant_by_definition) return;
  GradcheckReport report;
  std::vector<std::vector<double>> zeros;
  for (const Tensor& x : differentiable(inputs)) zeros.emplace_back(static_cast<std::size_t>(x.size()), 0.0);
  check_entries({.inputs = inputs,
                 .evaluate = [&](const Tensors& in) { return elements(b.apply(in, attributes)); },
                 .weights = elements(cotangent_for(y, 0)),
                 .analytic = zeros,
                 .epsilon = std::numeric_limits<double>::epsilon()},
                {}, report);
  b.check(static_cast<bool>(report),
          "the operator states no derivative but is not flat: " + to_string(report));
}

void check_wanted(Battery& b, const Tensors& inputs, const void* attributes) {
  const Tensors variables = as_variables(inputs);
  const Tensor y = b.apply(variables, attributes);
  const Tensor c = cotangent_for(y, 5);
  const Tensors wrt = differentiable(variables);
  const Tensors all = gradients(y, wrt, {.cotangent = c});
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    b.check(all[i].shape() == wrt[i].shape() && all[i].dtype() == wrt[i].dtype(),
            "the gradient of " + wengert::describe(wrt[i]) + " is " + wengert::describe(all[i]));
    b.compare(gradients(y, {wrt[i]}, {.cotangent = c})[0], all[i], 0.0,
              "gradient " + std::to_string(i) + " asked for alone");
  }
}

void check_same_tensor(Battery& b, const Tensors& inputs, const void* attributes) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (std::size_t j = i + 1; j < inputs.size(); ++j) {
      if (!is_floating(inputs[i].dtype()) || !is_floating(inputs[j].dtype()) ||
          inputs[i].shape() != inputs[j].shape())
        continue;
      Tensors apart = inputs;
      apart[j] = as_float64(inputs[i]);
      const Tensors variables = as_variables(apart);
      Tensors together = variables;
      together[j] = variables[i];
      const Tensor y = b.apply(variables, attributes);
      const Tensor same = b.apply(together, attributes);
      b.compare(same, y, 0.0, "the same tensor as inputs " + std::to_string(i) + " and " + std::to_string(j));
      const Tensor c = cotangent_for(y, 6);
      const Tensors parts = gradients(y, {variables[i], variables[j]}, {.cotangent = c});
      std::vector<double> sum = elements(parts[0]);
      const std::vector<double> other = elements(parts[1]);
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += other[k];
      b.compare(elements(gradients(same, {variables[i]}, {.cotangent = c})[0]), sum, 1e-13,
                "the gradient of the same tensor passed twice");
    }
}

}  // namespace

void check_forward_mode(Battery& b, const Tensors& inputs, const void* attributes) {
  const Tensors variables = as_variables(inputs);
  const Tensors wrt = differentiable(variables);
  const std::vector<TensorImpl*> raw = headers(variables);
  const Tensor y = b.apply(variables, attributes);
  const Call call{b.op, raw.data(), static_cast<std::uint32_t>(raw.size()), attributes, {}, y.get()};
  const Tensor u = cotangent_for(y, 7);
  Tensors tangents(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (is_floating(inputs[i].dtype()))
      tangents[i] = weights(inputs[i].shape(), DType::float64, 8 + static_cast<int>(i));

  Tensors pulled, pushed_each;
  Tensor pushed;
  {
    NoGrad scope;
    pulled = vjp_of(call, u);
    pushed = jvp_of(call, tangents);
  }
  b.check(!pushed.requires_grad(), "a tangent was recorded inside no_grad");
  if (pushed.shape() != y.shape() || pushed.dtype() != y.dtype())
    return b.check(false, "the tangent of " + wengert::describe(y) + " is " + wengert::describe(pushed));

  // <u, J v> = <J^T u, v>, all inputs together and each alone.
  const auto transposed = [&](const Tensor& jv, const Tensors& v, const std::string& what) {
    Product left, right;
    left.add(jv, u);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (v[i].defined() && pulled[i].defined()) right.add(pulled[i], v[i]);
    b.check(std::abs(left.value - right.value) <= 1e-12 * std::max(left.size, right.size),
            "<u, Jv> and <J^T u, v> differ" + what + ": " + numbers(left.value, right.value));
  };
  transposed(pushed, tangents, "");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!tangents[i].defined()) continue;
    Tensors alone(inputs.size());
    alone[i] = tangents[i];
    NoGrad scope;
    const Tensor jv = jvp_of(call, alone);
    b.check(jv.shape() == y.shape(),
            "the tangent for input " + std::to_string(i) + " alone is " + wengert::describe(jv));
    if (jv.shape() == y.shape()) transposed(jv, alone, " for input " + std::to_string(i) + " alone");
  }

  // The public forward mode, and differences along the direction.
  {
    NoGrad scope;
    const auto f = [&](const Tensors& in) {
      Tensors all = inputs;
      for (std::size_t i = 0, k = 0; i < all.size(); ++i)
        if (is_floating(all[i].dtype())) all[i] = in[k++];
      return b.apply(all, attributes);
    };
    b.compare(jvp(f, differentiable(inputs), differentiable([&] {
                    Tensors v;
                    for (const Tensor& t : tangents)
                      if (t.defined()) v.push_back(t);
                    return v;
                  }()))
                  .second,
              pushed, 1e-13, "jvp()");
    const auto moved = [&](double t) {
      Tensors all = inputs;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (!tangents[i].defined()) continue;
        std::vector<double> x = elements(inputs[i]);
        const std::vector<double> v = elements(tangents[i]);
        for (std::size_t k = 0; k < x.size(); ++k) x[k] += t * v[k];
        all[i] = from_span<double>(x, inputs[i].shape());
      }
      return elements(b.apply(all, attributes));
    };
    const std::vector<double> base = elements(y), w = elements(u);
    Product left;
    left.add(pushed, u);
    const NumericDerivative d =
        differentiate({moved, base, w, 0.0, 1e-6, 1e-3 * left.size, std::numeric_limits<double>::epsilon()});
    b.check(
        (d.kink && kinks_allowed(b)) || std::abs(d.value - left.value) <= 1e-6 * left.size + 4 * d.estimate,
        "jvp and differences along the direction: " + numbers(left.value, d.value));
  }

  // The tangent can be differentiated: its gradients are those of <J^T u, v>.
  const Tensor recorded = jvp_of(call, tangents);
  const Tensors rows = vjp_of(call, u);
  const Tensors left = gradients(recorded, wrt, {.cotangent = u});
  std::vector<std::vector<double>> right;
  for (const Tensor& x : wrt) right.emplace_back(static_cast<std::size_t>(x.size()), 0.0);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!tangents[i].defined() || !rows[i].defined()) continue;
    const Tensors parts = gradients(rows[i], wrt, {.cotangent = tangents[i]});
    for (std::size_t k = 0; k < parts.size(); ++k) {
      const std::vector<double> p = elements(parts[k]);
      for (std::size_t e = 0; e < p.size(); ++e) right[k][e] += p[e];
    }
  }
  for (std::size_t k = 0; k < wrt.size(); ++k)
    b.compare(elements(left[k]), right[k], 1e-10, "the gradient of the tangent");
}

void check_derivatives(Battery& b, const Tensors& inputs, const void* attributes) {
  const std::string with = b.inputs;
  if (!b.op.differentiable)
    return b.run("no derivative", with, [&] { check_constant(b, inputs, attributes); });
  b.run("derivative", with, [&] { check_against_differences(b, inputs, attributes); });
  b.run("wanted gradients", with, [&] { check_wanted(b, inputs, attributes); });
  b.run("forward mode", with, [&] { check_forward_mode(b, inputs, attributes); });
  b.run("same tensor twice", with, [&] { check_same_tensor(b, inputs, attributes); });
}

}  // namespace wengert::detail
