#include "autodiff/tensor/tensor.hpp"

#include <algorithm>
#include <new>

namespace wengert {
void detail::fail_traced(const char* reader, const SourceLocation& where) {
  throw GraphError(
      reader,
      "reads a value that is being captured: it has none before the program runs. Return it from "
      "the captured function and read it there",
      where);
}

// ---------------------------------------------------------------------------------------------------- lists

Tensors::Tensors(const Tensor* list, std::size_t count) {
  reserve(count);
  Tensor* to = data();
  for (std::size_t i = 0; i < count; ++i) new (to + i) Tensor(list[i]);
  size_ = count;
}

void Tensors::reserve(std::size_t count) {
  if (count <= capacity_) return;
  Tensor* more = static_cast<Tensor*>(::operator new(count * sizeof(Tensor)));
  Tensor* from = data();
  for (std::size_t i = 0; i < size_; ++i) new (more + i) Tensor(std::move(from[i]));  // leaves empty handles
  ::operator delete(many_);
  many_ = more;
  capacity_ = count;
}

void Tensors::take(Tensors& other) noexcept {
  size_ = std::exchange(other.size_, 0);
  if (other.many_ != nullptr) {
    many_ = std::exchange(other.many_, nullptr);
    capacity_ = std::exchange(other.capacity_, few);
    return;
  }
  for (std::size_t i = 0; i < size_; ++i) new (few_ + i) Tensor(std::move(other.few_[i]));
}

Tensors& Tensors::operator=(Tensors&& other) noexcept {
  if (this == &other) return *this;
  if (size_ != 0 || many_ != nullptr) clear();
  take(other);
  return *this;
}

void Tensors::clear() noexcept {
  for (Tensor& t : *this) t.~Tensor();
  if (many_ != nullptr) ::operator delete(std::exchange(many_, nullptr));
  size_ = 0;
  capacity_ = few;
}

// --------------------------------------------------------------------------------------------------- tensors

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
