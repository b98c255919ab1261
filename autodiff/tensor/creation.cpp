#include "autodiff/tensor/creation.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

namespace wengert {
namespace {

template <class F>
auto with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::bool_:
      return f(bool{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
  }
  __builtin_unreachable();
}

// value_of(i): the i-th element, as a double or an int64.
template <class F>
Tensor generate(const Shape& shape, DType dtype, F&& value_of) {
  Tensor result = Tensor::adopt(detail::new_tensor(dtype, shape));
  detail::TensorImpl& impl = result.impl();
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    T* out = impl.as<T>();
    for (std::int64_t i = 0; i < impl.size; ++i) out[i] = static_cast<T>(value_of(i));
  });
  return result;
}

void measure(const Nested& values, int depth, Shape& shape, DType& kind, const SourceLocation& where) {
  if (!values.is_list()) {
    if (depth != shape.size())
      throw ShapeError("tensor", "a number stands where a row of " + to_string(shape) + " was expected",
                       where);
    kind = std::max(kind, values.kind());
    return;
  }
  const auto length = static_cast<std::int64_t>(values.list().size());
  if (depth >= shape.size() || shape[depth] != length)
    throw ShapeError("tensor",
                     "rows of different lengths: expected " + to_string(shape) + ", found a row of " +
                         std::to_string(length) + " at depth " + std::to_string(depth),
                     where);
  for (const Nested& v : values.list()) measure(v, depth + 1, shape, kind, where);
}

template <class F>
void flatten(const Nested& values, F&& f) {
  if (!values.is_list()) return f(values);
  for (const Nested& v : values.list()) flatten(v, f);
}

Tensor from_nested(const Nested& values, const DType* wanted, const SourceLocation& where) {
  Shape shape;
  for (const Nested* v = &values; v->is_list(); v = &v->list().front()) {
    shape.push_back(static_cast<std::int64_t>(v->list().size()));
    if (v->list().empty()) break;
  }
  DType kind = DType::bool_;
  measure(values, 0, shape, kind, where);
  if (shape.elements() == 0) kind = DType::float32;
  const DType dtype = wanted != nullptr ? *wanted : kind;
  Tensor result = Tensor::adopt(detail::new_tensor(dtype, shape));
  with_type(dtype, [&](auto type) {
    using T = decltype(type);
    T* out = result.impl().as<T>();
    flatten(values, [&](const Nested& v) {
      *out++ = v.kind() == DType::int64 ? static_cast<T>(v.integer()) : static_cast<T>(v.number());
    });
  });
  return result;
}

}  // namespace

// Not inline: every program with a tensor({...}) would carry a vector's code for them.
Nested::Nested(std::initializer_list<Nested> list) : is_list_(true), list_(list) {}
Nested::Nested(const Nested& other) = default;
Nested& Nested::operator=(const Nested& other) = default;
Nested::~Nested() = default;

Tensor tensor(const Nested& values, SourceLocation where) { return from_nested(values, nullptr, where); }
Tensor tensor(const Nested& values, DType dtype, SourceLocation where) {
  return from_nested(values, &dtype, where);
}

template <class T>
Tensor from_span(std::type_identity_t<std::span<const T>> values, const Shape& shape, SourceLocation where) {
  if (shape.elements() != static_cast<std::int64_t>(values.size()))
    throw ShapeError("from_span",
                     std::to_string(values.size()) + " values don't fill the shape " + to_string(shape),
                     where);
  Tensor result = Tensor::adopt(detail::new_tensor(dtype_of<T>, shape));
  if (!values.empty()) std::memcpy(result.impl().data, values.data(), values.size_bytes());
  return result;
}
template Tensor from_span<bool>(std::span<const bool>, const Shape&, SourceLocation);
template Tensor from_span<std::int64_t>(std::span<const std::int64_t>, const Shape&, SourceLocation);
template Tensor from_span<float>(std::span<const float>, const Shape&, SourceLocation);
template Tensor from_span<double>(std::span<const double>, const Shape&, SourceLocation);

Tensor zeros(const Shape& shape, DType dtype) {
  Tensor result = Tensor::adopt(detail::new_tensor(dtype, shape));
  std::memset(result.impl().data, 0, static_cast<std::size_t>(result.size()) * item_size(dtype));
  return result;
}

Tensor ones(const Shape& shape, DType dtype) {
  return generate(shape, dtype, [](std::int64_t) { return 1; });
}

Tensor full(const Shape& shape, const Operand& value, DType dtype) {
  if (value.is_tensor()) {
    if (value.tensor().size() != 1)
      throw ShapeError("full", "the value must be one number, got " + describe(value.tensor()),
                       value.where());
    const double v = value.tensor().item<double>(value.where());
    return generate(shape, dtype, [&](std::int64_t) { return v; });
  }
  if (value.kind() == DType::int64)
    return generate(shape, dtype, [&](std::int64_t) { return value.integer(); });
  return generate(shape, dtype, [&](std::int64_t) { return value.number(); });
}

Tensor full(const Shape& shape, const Operand& value) {
  if (value.is_tensor()) return full(shape, value, value.tensor().dtype());
  return full(shape, value, value.kind() == DType::float64 ? DType::float32 : value.kind());
}

Tensor zeros_like(const Tensor& x) { return zeros(x.shape(), x.dtype()); }
Tensor ones_like(const Tensor& x) { return ones(x.shape(), x.dtype()); }
Tensor full_like(const Tensor& x, const Operand& value) { return full(x.shape(), value, x.dtype()); }

Tensor arange(std::int64_t count, DType dtype) {
  if (count < 0) throw ValueError("arange", "a negative count: " + std::to_string(count));
  return generate({count}, dtype, [](std::int64_t i) { return i; });
}

Tensor arange(double start, double stop, double step, DType dtype) {
  if (step == 0.0) throw ValueError("arange", "the step is 0");
  const double count = std::ceil((stop - start) / step);
  return generate({static_cast<std::int64_t>(std::max(0.0, count))}, dtype,
                  [&](std::int64_t i) { return start + static_cast<double>(i) * step; });
}

Tensor linspace(double start, double stop, std::int64_t count, DType dtype) {
  if (count < 0) throw ValueError("linspace", "a negative count: " + std::to_string(count));
  const double step = count > 1 ? (stop - start) / static_cast<double>(count - 1) : 0.0;
  return generate({count}, dtype, [&](std::int64_t i) {
    return i == count - 1 && count > 1 ? stop : start + static_cast<double>(i) * step;
  });
}

Tensor eye(std::int64_t n, DType dtype) {
  return generate({n, n}, dtype, [&](std::int64_t i) { return i / n == i % n; });
}

Tensor variable(const Tensor& x, SourceLocation where) {
  if (!is_floating(x.dtype()))
    throw DTypeError("variable", "only float32 and float64 are differentiable, got " + describe(x), where);
  detail::TensorImpl& base = x.impl();
  Tensor result =
      Tensor::adopt(base.trace != 0 ? detail::new_traced(base.dtype, base.shape, base.trace, base.trace_value)
                                    : detail::new_view(base, base.shape, base.strides, 0));
  result.impl().requires_grad = true;
  result.impl().where = where;
  return result;
}

namespace detail {
namespace {

// The numbers that this thread used last, as 0-d constants: 1.0 - x in a loop makes one header, not one each
// time, and a recorded graph holds one. Nothing ever changes their elements. Constant initialisation, so that
// access needs no guard; ConstantsCleanup empties it when the thread ends.
struct Constants {
  static constexpr int bits = 6;
  struct Entry {
    std::uint64_t value;
    TensorImpl* impl;
  };
  Entry entries[1 << bits] = {};
  bool registered = false;
  bool dead = false;

  Entry& at(std::uint64_t value, DType dtype) {
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;  // spreads the few bits in which numbers differ
    return entries[(value + static_cast<std::uint64_t>(dtype)) * golden >> (64 - bits)];
  }
};
constinit thread_local Constants constants;

struct ConstantsCleanup {
  ~ConstantsCleanup() {
    constants.dead = true;
    for (Constants::Entry& entry : constants.entries)
      if (TensorImpl* impl = std::exchange(entry.impl, nullptr); impl != nullptr) release(impl);
  }
};

[[gnu::noinline]] TensorImpl* new_constant(std::uint64_t value, DType dtype) {
  TensorImpl* impl = new_tensor(dtype, Shape{});
  if (dtype == DType::bool_)
    *impl->as<bool>() = value != 0;
  else if (dtype == DType::float32)
    *impl->as<std::uint32_t>() = static_cast<std::uint32_t>(value);
  else
    *impl->as<std::uint64_t>() = value;
  if (constants.dead) return impl;
  if (!constants.registered) {
    static thread_local ConstantsCleanup cleanup;
    (void)cleanup;
    constants.registered = true;
  }
  Constants::Entry& entry = constants.at(value, dtype);
  if (entry.impl != nullptr) release(entry.impl);
  entry = {value, impl};
  retain(impl);
  return impl;
}

}  // namespace

Tensor scalar(const Operand& number, DType dtype) {
  std::uint64_t value = 0;
  switch (dtype) {
    case DType::bool_:
      value = number.number() != 0;
      break;
    case DType::int64:
      value = static_cast<std::uint64_t>(
          number.kind() == DType::int64 ? number.integer() : static_cast<std::int64_t>(number.number()));
      break;
    case DType::float32:
      value = std::bit_cast<std::uint32_t>(static_cast<float>(number.number()));
      break;
    case DType::float64:
      value = std::bit_cast<std::uint64_t>(number.number());
      break;
  }
  const Constants::Entry& entry = constants.at(value, dtype);
  if (entry.impl != nullptr && entry.value == value && entry.impl->dtype == dtype)
    return Tensor::share(entry.impl);
  return Tensor::adopt(new_constant(value, dtype));
}

}  // namespace detail
}  // namespace wengert
