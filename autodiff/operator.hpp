#pragma once

/// \file
/// Operators of one's own. An operator that is defined here is like a built-in one: it appears in graphs, its
/// derivatives of every order and both modes follow from its rule, and check_operator() puts it through the
/// same checks. This header brings in xtensor and the vector kernels; <autodiff/autodiff.hpp> does not.

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xview.hpp>

#include "autodiff/gradcheck/battery.hpp"
#include "autodiff/graph/elementwise.hpp"
#include "autodiff/tensor/random.hpp"

namespace wengert {

/// An elementwise operator with NumPy's broadcasting, from generic lambdas without captures that use + - * /,
/// comparisons, where() and the library's elementary functions:
///
///     const Operator soft_clip = elementwise({
///         .name       = "soft_clip",
///         .forward    = [](auto x) { return x / (1.0 + abs(x)); },
///         .derivative = [](auto x, auto) { return square(1.0 / (1.0 + abs(x))); },
///         .samples    = [] { return Samples{random::normal({2, 3})}; }});
///     check_operator(soft_clip);
///     Tensor y = soft_clip(x);
///
/// A derivative takes the inputs and the output; operators of several inputs state `.derivatives = {by a,
/// by b}`. Throws ValueError when the name is taken, or there is no derivative and no `.contract` that says
/// why it is zero by definition.
inline Operator elementwise(const ElementwiseSpec& spec) { return Operator(define_elementwise(spec)); }

/// An argument or a result, as an xtensor expression over the tensor's own elements. Shape and element type
/// are fixed; assign with xt::noalias(out) = ....
template <class T>
using XArray = decltype(xt::adapt(std::declval<T*>(), std::size_t{}, xt::no_ownership(),
                                  std::declval<std::vector<std::size_t>>()));

/// The arguments of a forward rule.
template <class T>
class XArrays {
 public:
  std::size_t size() const { return arrays_.size(); }
  const XArray<const T>& operator[](std::size_t i) const { return arrays_.at(i); }
  void push_back(XArray<const T> array) { arrays_.push_back(std::move(array)); }

 private:
  std::vector<XArray<const T>> arrays_;
};

/// The shapes of the arguments, for shape rules. Reading an argument or an axis that is not there throws
/// ShapeError in the name of the operator.
class Shapes {
 public:
  class One {
   public:
    One(const Call& call, std::uint32_t input) : call_(call), input_(input) {}
    int size() const { return call_.shape(input_).size(); }
    std::int64_t operator[](int axis) const {
      if (axis < 0 || axis >= size())
        detail::fail_shapes(call_,
                            "needs axis " + std::to_string(axis) + " of input " + std::to_string(input_));
      return call_.shape(input_)[axis];
    }
    operator const Shape&() const { return call_.shape(input_); }

   private:
    const Call& call_;
    std::uint32_t input_;
  };

  explicit Shapes(const Call& call) : call_(call) {}
  std::size_t size() const { return call_.size(); }
  One operator[](std::uint32_t i) const {
    if (i >= call_.size()) detail::fail_shapes(call_, "has no input " + std::to_string(i));
    return {call_, i};
  }
  /// Throws ShapeError with the operator, the given text, the shapes and the user's line.
  [[noreturn]] void fail(const std::string& problem) const { detail::fail_shapes(call_, problem); }

 private:
  const Call& call_;
};

/// A forward rule: (const XArrays<T>& in, XArray<T>& out) for T double or float. A lambda for one of them
/// serves the other type through conversion; a generic one ([](const auto& in, auto& out)) serves both.
/// Results without elements are made without calling it.
class ForwardRule {
 public:
  ForwardRule() = default;
  template <class F>
  requires(!std::is_same_v<F, ForwardRule>) ForwardRule(F f) {
    constexpr bool on_double = std::is_invocable_v<const F&, const XArrays<double>&, XArray<double>&>;
    constexpr bool on_float = std::is_invocable_v<const F&, const XArrays<float>&, XArray<float>&>;
    static_assert(on_double || on_float, "a forward rule takes (const XArrays<T>& in, XArray<T>& out)");
    body_ = [f = std::move(f)](const Call& call, detail::TensorImpl& out) {
      if (out.size == 0) return;
      if constexpr (on_float)
        if (!on_double || out.dtype == DType::float32) return run<float>(f, call, out);
      if constexpr (on_double) run<double>(f, call, out);
    };
  }
  const std::function<void(const Call&, detail::TensorImpl&)>& body() const { return body_; }

 private:
  template <class T>
  static std::vector<T> converted(const detail::TensorImpl& x) {
    const Tensor t = Tensor::share(const_cast<detail::TensorImpl*>(&x));
    const auto convert = [](const auto& values) { return std::vector<T>(values.begin(), values.end()); };
    switch (x.dtype) {
      case DType::bool_:
        return convert(t.to_vector<bool>());
      case DType::int64:
        return convert(t.to_vector<std::int64_t>());
      case DType::float32:
        return convert(t.to_vector<float>());
      case DType::float64:
        return convert(t.to_vector<double>());
    }
    __builtin_unreachable();
  }

  template <class T>
  static XArray<T> adapt(T* data, const Shape& shape) {
    return xt::adapt(std::move(data), static_cast<std::size_t>(shape.elements()), xt::no_ownership(),
                     std::vector<std::size_t>(shape.begin(), shape.end()));
  }

  template <class T, class F>
  static void run(const F& f, const Call& call, detail::TensorImpl& result) {
    std::vector<std::vector<T>> copies(call.size());  // of what lies in other types or with gaps
    XArrays<T> in;
    for (std::uint32_t i = 0; i < call.size(); ++i) {
      const T* data = call[i].template as<T>();
      if (call.dtype(i) != dtype_of<T> || !call[i].contiguous) {
        copies[i] = converted<T>(call[i]);
        data = copies[i].data();
      }
      in.push_back(adapt<const T>(data, call.shape(i)));
    }
    const bool direct = result.dtype == dtype_of<T>;
    std::vector<T> elements(direct ? 0 : static_cast<std::size_t>(result.size));
    XArray<T> out = adapt<T>(direct ? result.as<T>() : elements.data(), result.shape);
    try {
      f(in, out);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& e) {  // xtensor's complaint about shapes
      detail::fail_shapes(call, "its forward rule failed (" + std::string(e.what()) + ")");
    }
    if (!std::equal(out.shape().begin(), out.shape().end(), result.shape.begin(), result.shape.end()))
      detail::fail_shapes(call, "its forward rule made another shape than " + to_string(result.shape));
    if (direct) return;
    for (std::int64_t i = 0; i < result.size; ++i) {
      const T v = elements[static_cast<std::size_t>(i)];
      if (result.dtype == DType::float32)
        result.as<float>()[i] = static_cast<float>(v);
      else
        result.as<double>()[i] = static_cast<double>(v);
    }
  }

  std::function<void(const Call&, detail::TensorImpl&)> body_;
};

/// What define_operator() takes. `name`, `shape`, `forward`, `samples` and a derivative rule are needed.
struct UserOperatorSpec {
  std::string name;
  std::string doc = {};       ///< one line: the formula
  std::string contract = {};  ///< what holds where mathematics leaves a choice
  int inputs = 0;             ///< number of arguments; 0: as many as the samples have
  std::function<Shape(Shapes)> shape;
  ForwardRule forward;
  /// Which inputs, and whether the output, the vjp rule reads: reads_inputs(0, 2). All by default; values
  /// that are not read are freed early.
  std::uint32_t reads = ~0u;
  bool reads_output = true;
  bool differentiable = true;  ///< false: zero by definition, for the reason that `contract` gives
  VjpRule vjp = {};
  JvpRule jvp = {};  ///< optional: follows from vjp
  SampleRule samples;
  SampleRule errors = {};
};

/// An operator of any shape with an xtensor body and a vjp rule in tensors:
///
///     const Operator differences = define_operator({   // d[i, j] = a[i] - b[j]
///         .name    = "differences",
///         .shape   = [](Shapes in) { return Shape{in[0][0], in[1][0]}; },
///         .forward = [](const XArrays<double>& in, XArray<double>& out) {
///           xt::noalias(out) = xt::view(in[0], xt::all(), xt::newaxis()) -
///                              xt::view(in[1], xt::newaxis(), xt::all()); },
///         .vjp     = [](const Call&, const Tensor& g) { return Tensors{sum(g, 1), -sum(g, 0)}; },
///         .samples = [] { return Samples{random::normal({3}), random::normal({4})}; }});
///
/// The result has the common type of the floating arguments (float64 when there is none). The rule must be
/// a function of its arguments alone and leave them as they are. The vjp rule returns one tensor for each
/// argument, of its shape; it is made of differentiable operators, so that higher orders follow.
/// Throws ValueError when the name is taken, or when a rule or the samples are missing.
inline Operator define_operator(UserOperatorSpec spec) {
  const auto need = [&](bool there, const char* what) {
    if (!there) throw ValueError(spec.name.empty() ? "define_operator" : spec.name, what);
  };
  need(!spec.name.empty(), "an operator needs a name");
  need(static_cast<bool>(spec.shape), "the operator has no shape rule (.shape)");
  need(static_cast<bool>(spec.forward.body()), "the operator has no forward rule (.forward)");
  need(static_cast<bool>(spec.samples), "the operator has no samples (.samples) to be checked with");
  need(!spec.differentiable || spec.vjp, "the operator has no derivative rule (.vjp)");
  need(spec.differentiable || !spec.contract.empty(),
       "an operator whose derivative is zero by definition says so in its contract");
  OperatorDefinition op;
  int least = spec.inputs, most = spec.inputs;
  if (spec.inputs == 0) {
    const random::State state = random::state();  // looking at the samples is not a draw of the program
    const Samples samples = spec.samples();
    random::set_state(state);
    for (const Sample& sample : samples.list()) {
      const int count = static_cast<int>(sample.inputs.size());
      least = least == 0 ? count : std::min(least, count);
      most = std::max(most, count);
    }
    need(most > 0, "its samples have no inputs");
  }
  op.name = std::move(spec.name);
  op.doc = std::move(spec.doc);
  op.contract = std::move(spec.contract);
  op.min_inputs = least;
  op.max_inputs = most;
  op.infer = [shape = std::move(spec.shape)](const Call& call) {
    DType dtype = DType::bool_;
    for (std::uint32_t i = 0; i < call.size(); ++i)
      if (is_floating(call.dtype(i))) dtype = promote(dtype, call.dtype(i));
    const Shape result = shape(Shapes(call));
    for (std::int64_t length : result)
      if (length < 0) detail::fail_shapes(call, "its shape rule gives " + to_string(result));
    return Meta{is_floating(dtype) ? dtype : DType::float64, result};
  };
  op.body = spec.forward.body();
  op.differentiable = spec.differentiable;
  op.reads_inputs = spec.reads;
  op.reads_output = spec.reads_output;
  op.vjp = std::move(spec.vjp);
  op.jvp = std::move(spec.jvp);
  op.samples = std::move(spec.samples);
  op.errors = std::move(spec.errors);
  return Operator(detail::register_operator(std::move(op)));
}

}  // namespace wengert
