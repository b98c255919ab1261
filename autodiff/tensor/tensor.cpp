#include "autodiff/tensor/tensor.hpp"

#include <cstdlib>
#include <new>

namespace wengert {
namespace detail {
namespace {

TensorImpl* containing(Storage* embedded) { return reinterpret_cast<TensorImpl*>(embedded); }

void free_header(Storage* embedded) { free_block(containing(embedded)); }

bool reads_value(const TensorImpl& impl, std::uint32_t input) {
  return impl.value_inputs >> (input < 31 ? input : 31) & 1;
}

}  // namespace

TensorImpl* new_tensor(DType dtype, const Shape& shape) {
  TensorImpl* impl = new (allocate_block()) TensorImpl(dtype, shape);
  std::int64_t size = 1;
  impl->strides.resize(shape.size());
  for (int i = shape.size() - 1; i >= 0; --i) {
    impl->strides[i] = size;
    size *= shape[i];
  }
  impl->size = size;
  const std::size_t bytes = static_cast<std::size_t>(size) * item_size(dtype);
  if (bytes <= TensorImpl::inline_bytes) {
    impl->embedded.release = free_header;
    impl->storage = &impl->embedded;
  } else {
    try {
      impl->storage = allocate_storage(bytes);
    } catch (...) {
      free_block(impl);
      throw;
    }
  }
  impl->data = impl->storage->bytes();
  return impl;
}

TensorImpl* new_view(TensorImpl& base, const Shape& shape, const Strides& strides, std::int64_t offset) {
  TensorImpl* impl = new (allocate_block()) TensorImpl(base.dtype, shape);
  impl->size = shape.elements();
  impl->storage = base.storage;
  impl->storage->refs.add(1);
  impl->data = base.data + offset * static_cast<std::int64_t>(item_size(base.dtype));
  impl->strides = strides;
  impl->contiguous = is_contiguous(shape, strides);
  return impl;
}

TensorImpl* new_traced(DType dtype, const Shape& shape, std::uint32_t trace, std::uint32_t value) {
  TensorImpl* impl = new (allocate_block()) TensorImpl(dtype, shape);
  impl->size = shape.elements();
  impl->strides = contiguous_strides(shape);
  impl->trace = trace;
  impl->trace_value = value;
  return impl;
}

void fail_traced(const char* reader, const SourceLocation& where) {
  throw GraphError(
      reader,
      "reads a value that is being captured: it has none before the program runs. Return it from "
      "the captured function and read it there",
      where);
}

void release_value(TensorImpl* impl) noexcept {
  if (impl->storage == nullptr || impl->storage == &impl->embedded) return;
  release_storage(std::exchange(impl->storage, nullptr));
  impl->data = nullptr;
}

// A loop with its stack threaded through the dead headers: a graph may be a million nodes deep.
void destroy(TensorImpl* first) noexcept {
  first->walk = 0;
  for (TensorImpl* dead = first; dead != nullptr;) {
    TensorImpl* impl = dead;
    dead = reinterpret_cast<TensorImpl*>(impl->walk);
    for (std::uint32_t i = 0; i < impl->input_count; ++i) {
      TensorImpl* input = impl->inputs[i];
      if (static_cast<std::uint32_t>(input->counts.load()) != 1) {
        if (reads_value(*impl, i) && input->counts.subtract(TensorImpl::one_value) >> 32 == 0)
          release_value(input);
        if (static_cast<std::uint32_t>(input->counts.subtract(TensorImpl::one_node)) != 0) continue;
      }
      input->walk = reinterpret_cast<std::uint64_t>(dead);
      dead = input;
    }
    if (impl->inputs != impl->few_inputs) std::free(impl->inputs);
    if (impl->attributes != impl->few_attributes) std::free(impl->attributes);
    if (impl->storage == &impl->embedded) {
      release_storage(&impl->embedded);  // a view may outlive the header's own life
    } else {
      if (impl->storage != nullptr) release_storage(impl->storage);
      free_block(impl);
    }
  }
}

}  // namespace detail

void Tensor::throw_empty() {
  throw GraphError("Tensor", "this handle is empty (default-constructed or moved from)");
}

std::int64_t Tensor::dim(int axis, SourceLocation where) const {
  const int n = ndim();
  if (axis < -n || axis >= n)
    throw IndexError("dim", "axis " + std::to_string(axis) + " is not an axis of " + describe(*this), where);
  return shape()[axis < 0 ? axis + n : axis];
}

Strides Tensor::strides() const { return checked().strides; }

const void* Tensor::elements(DType dtype, const SourceLocation& where) const {
  const detail::TensorImpl& x = checked();
  detail::check_readable(x, "span", where);
  if (x.dtype != dtype)
    throw DTypeError("span", "asked for " + std::string(name(dtype)) + ", the tensor is " + describe(*this),
                     where);
  if (!x.contiguous)
    throw ShapeError("span", "the tensor is a strided view; take contiguous(x) or to_vector()", where);
  return x.data;
}

std::string describe(DType dtype, const Shape& shape) { return std::string(name(dtype)) + to_string(shape); }

std::string describe(const Tensor& x) {
  return x.defined() ? describe(x.dtype(), x.shape()) : "an empty tensor";
}

namespace {

template <class T>
T read(const detail::TensorImpl& x, std::int64_t at) {
  switch (x.dtype) {
    case DType::bool_:
      return static_cast<T>(x.as<bool>()[at]);
    case DType::int64:
      return static_cast<T>(x.as<std::int64_t>()[at]);
    case DType::float32:
      return static_cast<T>(x.as<float>()[at]);
    case DType::float64:
      return static_cast<T>(x.as<double>()[at]);
  }
  __builtin_unreachable();
}

template <class T>
T single(const Tensor& x, const SourceLocation& where) {
  if (x.size() != 1) throw ShapeError("item", "needs exactly one element, got " + describe(x), where);
  detail::check_readable(x.impl(), "item", where);
  return read<T>(x.impl(), 0);
}

template <class T>
std::vector<T> copy(const Tensor& x, const SourceLocation& where) {
  if (x.dtype() != dtype_of<T>)
    throw DTypeError("to_vector",
                     "asked for " + std::string(name(dtype_of<T>)) + ", the tensor is " + describe(x), where);
  const detail::TensorImpl& impl = x.impl();
  detail::check_readable(impl, "to_vector", where);
  std::vector<T> result;
  result.reserve(static_cast<std::size_t>(impl.size));
  Shape index = Shape::filled(impl.shape.size(), 0);
  std::int64_t at = 0;
  for (std::int64_t n = 0; n < impl.size; ++n) {
    result.push_back(impl.as<T>()[at]);
    for (int axis = impl.shape.size() - 1; axis >= 0; --axis) {
      at += impl.strides[axis];
      if (++index[axis] < impl.shape[axis]) break;
      at -= impl.strides[axis] * impl.shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

}  // namespace

template <>
double Tensor::item<double>(SourceLocation where) const {
  return single<double>(*this, where);
}
template <>
float Tensor::item<float>(SourceLocation where) const {
  return single<float>(*this, where);
}
template <>
std::int64_t Tensor::item<std::int64_t>(SourceLocation where) const {
  return single<std::int64_t>(*this, where);
}
template <>
int Tensor::item<int>(SourceLocation where) const {
  return single<int>(*this, where);
}
template <>
bool Tensor::item<bool>(SourceLocation where) const {
  return single<bool>(*this, where);
}
template <>
std::vector<double> Tensor::to_vector<double>(SourceLocation where) const {
  return copy<double>(*this, where);
}
template <>
std::vector<float> Tensor::to_vector<float>(SourceLocation where) const {
  return copy<float>(*this, where);
}
template <>
std::vector<std::int64_t> Tensor::to_vector<std::int64_t>(SourceLocation where) const {
  return copy<std::int64_t>(*this, where);
}
template <>
std::vector<bool> Tensor::to_vector<bool>(SourceLocation where) const {
  return copy<bool>(*this, where);
}

}  // namespace wengert
