#include "autodiff/gradcheck/battery.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ostream>

#include "autodiff/backward/gradients.hpp"
#include "autodiff/gradcheck/battery_impl.hpp"
#include "autodiff/tensor/random.hpp"

namespace wengert {
namespace detail {

void Battery::compare(const std::vector<double>& got, const std::vector<double>& expected, double tolerance,
                      const std::string& what) {
  if (got.size() != expected.size())
    return check(false, what + ": " + std::to_string(got.size()) + " elements instead of " +
                            std::to_string(expected.size()));
  double largest = 0;
  for (double v : expected)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double a = got[i], e = expected[i];
    if (std::isnan(a) && std::isnan(e)) continue;
    if (a == e || std::abs(a - e) <= tolerance * std::max(std::abs(e), 0.1 * largest)) continue;
    char text[120];
    std::snprintf(text, sizeof text, ": entry %zu is %.17g instead of %.17g", i, a, e);
    return check(false, what + text);
  }
  check(true, what);
}

void Battery::compare(const Tensor& got, const Tensor& expected, double tolerance, const std::string& what) {
  if (got.shape() != expected.shape())
    return check(false,
                 what + ": is " + wengert::describe(got) + " instead of " + wengert::describe(expected));
  compare(elements(got), elements(expected), tolerance, what);
}

void Battery::compare(const Tensors& got, const Tensors& expected, double tolerance,
                      const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    compare(got[i], expected[i], tolerance, what + " of floating input " + std::to_string(i));
}

std::vector<double> broadcast_elements(const Tensor& x, const Shape& shape) {
  const TensorImpl& impl = x.impl();
  const Strides strides = broadcast_strides(impl.shape, impl.strides, shape);
  TensorImpl& base = const_cast<TensorImpl&>(impl);
  return elements(Tensor::adopt(new_view(base, shape, strides, 0)));
}

bool Battery::has_reference() const { return options.reference || op.scalar_reference || op.compose; }

Tensor Battery::reference(const Tensors& tensors, const void* attributes) const {
  if (options.reference) return options.reference(tensors, attributes);
  if (op.scalar_reference) {
    const Tensor y = apply(tensors, attributes);  // for its shape
    std::vector<std::vector<double>> in;
    for (const Tensor& x : tensors) in.push_back(broadcast_elements(x, y.shape()));
    std::vector<double> out(static_cast<std::size_t>(y.size()));
    std::vector<double> arguments(tensors.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      for (std::size_t j = 0; j < in.size(); ++j) arguments[j] = in[j][i];
      out[i] = op.scalar_reference(arguments.data());
    }
    return from_span<double>(out, y.shape());
  }
  if (op.compose) {
    std::vector<TensorImpl*> raw;
    for (const Tensor& x : tensors) raw.push_back(x.get());
    return op.compose(Call{op, raw.data(), static_cast<std::uint32_t>(raw.size()), attributes});
  }
  return {};
}

Tensor cotangent_for(const Tensor& y, int seed) {
  std::vector<double> c = weights(static_cast<std::size_t>(y.size()), seed);
  const std::vector<double> values = elements(y);
  for (std::size_t i = 0; i < c.size(); ++i)
    if (!std::isfinite(values[i])) c[i] = 0;
  if (y.dtype() == DType::float64) return from_span<double>(c, y.shape());
  return from_span<float>(std::vector<float>(c.begin(), c.end()), y.shape());
}

Tensors gradients_of(const Battery& b, const Tensors& inputs, const void* attributes,
                     const Tensor& cotangent) {
  const Tensors variables = as_variables(inputs);
  const Tensor y = b.apply(variables, attributes);
  return gradients(y, differentiable(variables), {.cotangent = cotangent});
}

Tensors as_float32(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& x : inputs) {
    if (!is_floating(x.dtype())) {
      result.push_back(x);
      continue;
    }
    const std::vector<double> v = elements(x);
    result.push_back(from_span<float>(std::vector<float>(v.begin(), v.end()), x.shape()));
  }
  return result;
}

namespace {

bool any_floating(const Tensors& inputs) { return !differentiable(inputs).empty(); }

// ------------------------------------------------------------------------------------------------- layouts

enum class Layout { transposed, stepped, reversed };

const char* name(Layout layout) {
  return layout == Layout::transposed ? "transposed" : layout == Layout::stepped ? "sliced" : "reversed";
}

/// The same elements as a view that does not lie in row-major order, between elements that must not be read.
Tensor laid_out(const Tensor& x, Layout layout) {
  const TensorImpl& from = x.impl();
  const int n = from.shape.size();
  Shape room = from.shape;
  Strides strides = from.shape;
  std::int64_t offset = 0;
  switch (layout) {
    case Layout::transposed:
      for (int i = 0; i < n; ++i) room[i] = from.shape[n - 1 - i];
      for (int i = 0; i < n; ++i) strides[i] = contiguous_strides(room)[n - 1 - i];
      break;
    case Layout::stepped:
      if (n == 0) {
        room = Shape{3};
      } else {
        room[n - 1] = 2 * room[n - 1] + 1;
        strides = contiguous_strides(room);
        strides[n - 1] = 2;
      }
      offset = 1;
      break;
    case Layout::reversed:
      strides = contiguous_strides(room);
      for (int i = 0; i < n; ++i) {
        offset += strides[i] * std::max<std::int64_t>(room[i] - 1, 0);
        strides[i] = -strides[i];
      }
      break;
  }
  const Tensor base = Tensor::adopt(new_tensor(from.dtype, room));
  TensorImpl& to = base.impl();
  const std::size_t item = item_size(from.dtype);
  // All bits set is NaN; a bool must stay 0 or 1.
  std::memset(to.data, from.dtype == DType::bool_ ? 1 : 0xff, static_cast<std::size_t>(to.size) * item);
  if (x.size() == 0) offset = 0;
  const Tensor view = Tensor::adopt(new_view(to, from.shape, strides, offset));
  Shape index = Shape::filled(n, 0);
  for (std::int64_t k = 0; k < from.size; ++k) {
    std::int64_t source = 0, target = 0;
    for (int i = 0; i < n; ++i) {
      source += index[i] * from.strides[i];
      target += index[i] * strides[i];
    }
    std::memcpy(view.impl().data + target * static_cast<std::int64_t>(item),
                from.data + source * static_cast<std::int64_t>(item), item);
    for (int i = n - 1; i >= 0 && ++index[i] == from.shape[i]; --i) index[i] = 0;
  }
  return view;
}

void check_layouts(Battery& b, const Tensors& inputs, const void* attributes) {
  const Tensor y = b.apply(inputs, attributes);
  const bool has_gradient = b.op.differentiable && is_floating(y.dtype()) && any_floating(inputs);
  const Tensor c = has_gradient ? cotangent_for(y, 3) : Tensor();
  const Tensors gradient = has_gradient ? gradients_of(b, inputs, attributes, c) : Tensors();
  for (Layout layout : {Layout::transposed, Layout::stepped, Layout::reversed}) {
    Tensors views;
    for (const Tensor& x : inputs) views.push_back(laid_out(x, layout));
    b.compare(b.apply(views, attributes), y, 1e-13, std::string(name(layout)) + " inputs");
    if (has_gradient)
      b.compare(gradients_of(b, views, attributes, laid_out(c, layout)), gradient, 1e-13,
                std::string("gradients for ") + name(layout) + " inputs and cotangent:");
  }
}

// --------------------------------------------------------------------------------------------- other parts

/// The bytes of the inputs, to see that nobody changed them.
std::vector<std::vector<double>> snapshot(const Tensors& inputs) {
  std::vector<std::vector<double>> all;
  for (const Tensor& x : inputs) all.push_back(elements(x));
  return all;
}

bool same(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() ||
        (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(double)) != 0))
      return false;
  return true;
}

void check_forward(Battery& b, const Tensors& inputs, const void* attributes) {
  const auto before = snapshot(inputs);
  const Tensor y = b.apply(inputs, attributes);
  b.check(same(before, snapshot(inputs)), "the operator changed its inputs");
  b.check(!y.requires_grad(), "the result of constants requires a gradient");
  if (const Tensor expected = b.reference(inputs, attributes); expected.defined())
    b.compare(y, expected, 1e-12, "differs from the reference");
  b.compare(b.apply(inputs, attributes), y, 0.0, "a second call gives another result");
}

void check_float32(Battery& b, const Tensors& inputs, const void* attributes) {
  const Tensors low = as_float32(inputs);
  const Tensors high = as_float64(low);  // the same rounded values
  const Tensor y = b.apply(low, attributes);
  const Tensor exact = b.apply(high, attributes);
  b.compare(y, exact, 1e-5, "float32 differs from float64");
  if (!b.op.differentiable || !is_floating(y.dtype())) return;
  const Tensor c = cotangent_for(y, 4);
  const Tensor c_exact = exact.dtype() == c.dtype() ? c : as_float64(c);
  const Tensors gradient = gradients_of(b, low, attributes, c);
  for (const Tensor& g : gradient)
    b.check(g.dtype() == DType::float32, "the gradient of a float32 input is " + wengert::describe(g));
  b.compare(gradient, gradients_of(b, high, attributes, c_exact), 1e-4, "float32 gradient");
}

void expect_error(Battery& b, const Tensors& inputs, const void* attributes, const std::string& text) {
  const SourceLocation where{"some/folder/users_program.cpp", 4711};
  std::vector<std::uint64_t> counts;
  std::vector<std::vector<double>> before;
  std::vector<TensorImpl*> raw;
  for (const Tensor& x : inputs) {
    raw.push_back(x.get());
    if (!x.defined()) continue;
    counts.push_back(x.impl().counts.load());
    before.push_back(elements(x));
  }
  try {
    apply_op(b.op, raw.data(), static_cast<std::uint32_t>(raw.size()), attributes, where);
    b.check(false, "no error, expected \"" + text + "\"");
  } catch (const Error& e) {
    const std::string message = e.what();
    b.check(message.find(text) != std::string::npos, "the message lacks \"" + text + "\": " + message);
    // Who stands for another operator in captured programs has that one's errors.
    const std::string other = text.substr(0, std::min(text.size(), text.find(": ")));
    const std::string name = find_operator(other) != nullptr ? other : b.op.name;
    b.check(e.operation() == name && message.find(name + ": ") == 0,
            "the message does not name the operator: " + message);
    b.check(message.find("(users_program.cpp:4711)") != std::string::npos,
            "the message does not name the user's line: " + message);
  }
  std::size_t at = 0;
  for (const Tensor& x : inputs) {
    if (!x.defined()) continue;
    b.check(x.impl().counts.load() == counts[at], "the failed call kept its inputs");
    b.check(same({before[at++]}, {elements(x)}), "the failed call changed its inputs");
  }
}

/// Elementwise operators are tried with every shape; of the others, the samples or the error cases show what
/// becomes of tensors without elements and without dimensions.
void check_coverage(Battery& b, const Samples& samples) {
  if (!b.options.complete || b.op.elementwise || b.op.max_inputs == 0) return;
  bool no_elements = false, no_dimensions = false;
  const auto look = [&](const Samples& list) {
    for (const Sample& s : list.list())
      for (const Tensor& x : s.inputs) {
        no_elements |= x.size() == 0;
        no_dimensions |= x.ndim() == 0;
      }
  };
  look(samples);
  if (b.op.errors) look(b.op.errors());
  b.part = "samples", b.inputs = "";
  b.check(no_elements, "neither a sample nor an error case without elements");
  b.check(no_dimensions, "neither a sample nor an error case without dimensions");
}

void check_errors(Battery& b, const Samples& samples) {
  if (b.op.errors) {
    const Samples errors = b.op.errors();
    for (const Sample& e : errors.list())
      b.run("errors", describe(e.inputs), [&] {
        b.check(!e.expected_error.empty(), "an error case without the text that is expected");
        expect_error(b, e.inputs, e.attribute_data(), e.expected_error);
      });
  } else if (b.options.complete && !b.options.cannot_fail && !b.op.elementwise &&
             (b.op.max_inputs > 1 || b.op.attributes != nullptr)) {
    b.part = "errors", b.inputs = "";
    b.check(false, "the operator has no error cases (.errors)");
  }
  if (samples.list().empty()) return;
  const Sample& sample = samples.list().front();
  if (b.op.max_inputs > 0)
    b.run("errors", "an empty tensor", [&] {
      Tensors inputs = sample.inputs;
      inputs[0] = Tensor();
      expect_error(b, inputs, sample.attribute_data(), "empty tensor");
    });
  b.run("errors", "too many tensors", [&] {
    if (b.op.max_inputs > 16) return;
    Tensors inputs;
    for (int i = 0; i <= b.op.max_inputs; ++i)
      inputs.push_back(b.op.max_inputs > 0 ? sample.inputs[0] : zeros({}));
    expect_error(b, inputs, sample.attribute_data(), "got " + std::to_string(b.op.max_inputs + 1));
  });
  if (b.op.elementwise && b.op.max_inputs > 1)
    b.run("errors", "shapes that don't broadcast", [&] {
      Tensors inputs;
      for (int i = 0; i < b.op.max_inputs; ++i)
        inputs.push_back(zeros({2, 3 + i}, sample.inputs[static_cast<std::size_t>(i)].dtype()));
      expect_error(b, inputs, sample.attribute_data(), "the shapes don't broadcast");
    });
}

}  // namespace
}  // namespace detail

OperatorReport examine_operator(const OperatorDefinition& op, const CheckOptions& options) {
  using namespace detail;
  ScopedFlag record(recording.enabled, true);
  // Samples may be random; the program's own draws stay what they are.
  struct KeepRandomState {
    random::State state = random::state();
    ~KeepRandomState() { random::set_state(state); }
  } keep_random_state;
  Battery b{op, options, {op.name, 0, {}}};
  Samples samples;
  b.run("samples", "", [&] {
    if (op.samples) samples = op.samples();
    b.check(!samples.list().empty(), "the operator has no samples");
  });
  b.part = "reference", b.inputs = "";
  if (options.complete) b.check(b.has_reference(), "the operator has no reference");
  b.part = "contract";
  b.check(op.differentiable || !op.contract.empty(),
          "the operator has no derivative, and its contract does not say why");

  for (const Sample& sample : samples.list()) {
    const Tensors inputs = as_float64(sample.inputs);
    const void* attributes = sample.attribute_data();
    const std::string with =
        describe(inputs) +
        (op.attributes != nullptr && attributes != nullptr ? "; " + op.attributes->print(attributes) : "");
    if (!options.derivatives_only) {
      b.run("forward", with, [&] { check_forward(b, inputs, attributes); });
      b.run("replay", with, [&] { check_replay(b, inputs, attributes); });
      b.run("views", with, [&] { check_layouts(b, inputs, attributes); });
      if (any_floating(inputs)) b.run("float32", with, [&] { check_float32(b, inputs, attributes); });
    }
    if (any_floating(inputs)) check_derivatives(b, inputs, attributes);
  }
  if (options.derivatives_only) return b.report;
  if (op.elementwise) check_elementwise(b, samples);
  check_errors(b, samples);
  check_coverage(b, samples);
  return b.report;
}

OperatorReport check_operator(const Operator& op, const CheckOptions& options, SourceLocation where) {
  OperatorReport report = examine_operator(op.definition(), options);
  if (!report) throw ValueError("check_operator", to_string(report), where);
  return report;
}

std::string to_string(const OperatorReport& report) {
  std::string text =
      report.name + ": " + std::to_string(report.checks) + " checks, " +
      (report.failures.empty() ? "all passed" : std::to_string(report.failures.size()) + " failed");
  for (const std::string& f : report.failures) text += "\n  " + f;
  return text;
}

std::ostream& operator<<(std::ostream& out, const OperatorReport& report) { return out << to_string(report); }

}  // namespace wengert
