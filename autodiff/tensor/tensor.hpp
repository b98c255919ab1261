#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/tensor/dtype.hpp"
#include "autodiff/tensor/error.hpp"
#include "autodiff/tensor/impl.hpp"
#include "autodiff/tensor/shape.hpp"
#include "autodiff/tensor/source_location.hpp"

namespace wengert {

/// An n-dimensional array of one element type, 0 to 8 dimensions, and at the same time a node of the
/// computational graph when it was computed from a variable().
///
/// A Tensor is a value: nothing that the library does changes the elements of a tensor that exists.
/// The object itself is a handle of one pointer; copies share the elements and are as cheap as copying a
/// std::shared_ptr, and as safe: the same tensor may be read and copied by many threads. Views (reshape,
/// transpose, slices) share the elements with what they were made from.
///
///     Tensor x = tensor({{1.0, 2.0}, {3.0, 4.0}});
///     Tensor y = exp(x) + 1.0;
///     float first = y.span<float>()[0];
class Tensor {
 public:
  /// The empty handle; every use but assignment, defined() and printing throws GraphError.
  Tensor() = default;
  Tensor(const Tensor& other) : impl_(other.impl_) {
    if (impl_ != nullptr) detail::retain(impl_);
  }
  Tensor(Tensor&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Tensor& operator=(const Tensor& other) {
    Tensor(other).swap(*this);
    return *this;
  }
  Tensor& operator=(Tensor&& other) noexcept {
    // `other` may be an entry of what this handle keeps alive, so it is emptied before anything is released.
    if (detail::TensorImpl* old = std::exchange(impl_, std::exchange(other.impl_, nullptr)); old != nullptr)
      detail::release(old);
    return *this;
  }
  ~Tensor() {
    if (impl_ != nullptr) detail::release(impl_);
  }
  void swap(Tensor& other) noexcept { std::swap(impl_, other.impl_); }

  bool defined() const { return impl_ != nullptr; }
  /// False for a tensor within a function that is being captured: it is written down, not computed.
  bool has_value() const { return checked().trace == 0; }

  DType dtype() const { return checked().dtype; }
  const Shape& shape() const { return checked().shape; }
  /// Number of dimensions.
  int ndim() const { return checked().shape.size(); }
  /// Number of elements.
  std::int64_t size() const { return checked().size; }
  /// Length of one axis; a negative one counts from the end. Throws IndexError.
  std::int64_t dim(int axis, SourceLocation where = SourceLocation::current()) const;
  /// Steps, in elements, from one entry to the next along each axis.
  Strides strides() const;
  /// Whether the elements lie in row-major order without gaps.
  bool is_contiguous() const { return checked().contiguous; }
  /// Whether gradients() can reach a variable from here.
  bool requires_grad() const { return checked().requires_grad; }
  /// The operator that made it, or null for constants, variables and everything computed from constants.
  const OperatorDefinition* made_by() const { return checked().op; }
  SourceLocation where() const { return checked().where; }

  /// The single element of a tensor of size 1, converted to T.
  /// Throws ShapeError for any other size. Example: float loss = mean(e).item<float>();
  template <class T>
  T item(SourceLocation where = SourceLocation::current()) const;

  /// The elements in row-major order, without a copy. Throws DTypeError when T is not the element type and
  /// ShapeError when the tensor is a view that does not lie contiguously (use contiguous(x) or to_vector).
  /// The span lives as long as the tensor does.
  template <class T>
  std::span<const T> span(SourceLocation where = SourceLocation::current()) const {
    return {static_cast<const T*>(elements(dtype_of<T>, where)), static_cast<std::size_t>(size())};
  }

  /// A copy of the elements in row-major order; T must be the element type.
  template <class T>
  std::vector<T> to_vector(SourceLocation where = SourceLocation::current()) const;

  /// The header, for kernels and graph walks. Throws GraphError on the empty handle.
  detail::TensorImpl& impl() const { return checked(); }
  detail::TensorImpl* get() const { return impl_; }
  /// Takes over the one count that a new header comes with.
  static Tensor adopt(detail::TensorImpl* impl) {
    Tensor t;
    t.impl_ = impl;
    return t;
  }
  /// A further handle of an existing header.
  static Tensor share(detail::TensorImpl* impl) {
    if (impl != nullptr) detail::retain(impl);
    return adopt(impl);
  }

 private:
  detail::TensorImpl& checked() const {
    if (impl_ == nullptr) throw_empty();
    return *impl_;
  }
  [[noreturn]] static void throw_empty();
  const void* elements(DType dtype, const SourceLocation& where) const;

  detail::TensorImpl* impl_ = nullptr;
};

/// The text that print() gives for the same array in NumPy 2.4: rows in brackets, aligned columns, 8 digits
/// behind the point at most, axes of more than 1000 elements in all shortened to their ends.
std::string to_string(const Tensor& x);
std::ostream& operator<<(std::ostream& out, const Tensor& x);
/// "float32[64, 784]".
std::string describe(const Tensor& x);
std::string describe(DType dtype, const Shape& shape);

/// A few tensors: arguments, gradients. A list of up to four needs no allocation.
class Tensors {
 public:
  Tensors() {}
  Tensors(std::initializer_list<Tensor> list) : Tensors(list.begin(), list.size()) {}
  Tensors(const std::vector<Tensor>& list) : Tensors(list.data(), list.size()) {}
  /// Empty handles.
  explicit Tensors(std::size_t count) { resize(count); }
  Tensors(const Tensors& other) : Tensors(other.begin(), other.size()) {}
  Tensors(Tensors&& other) noexcept { take(other); }
  Tensors& operator=(const Tensors& other) { return *this = Tensors(other); }
  Tensors& operator=(Tensors&& other) noexcept;
  ~Tensors() {
    if (size_ != 0 || many_ != nullptr) clear();
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Tensor* begin() { return data(); }
  Tensor* end() { return data() + size_; }
  const Tensor* begin() const { return data(); }
  const Tensor* end() const { return data() + size_; }
  Tensor& operator[](std::size_t i) { return data()[i]; }
  const Tensor& operator[](std::size_t i) const { return data()[i]; }
  void push_back(Tensor t) {
    if (size_ == capacity_) reserve(2 * size_);
    new (data() + size_) Tensor(std::move(t));
    ++size_;
  }
  void reserve(std::size_t count);
  /// Entries that are added are empty handles; a list never becomes shorter.
  void resize(std::size_t count) {
    if (count > capacity_) reserve(count);
    for (; size_ < count; ++size_) new (data() + size_) Tensor();
  }

 private:
  static constexpr std::size_t few = 4;
  Tensors(const Tensor* list, std::size_t count);
  Tensor* data() { return many_ == nullptr ? few_ : many_; }
  const Tensor* data() const { return many_ == nullptr ? few_ : many_; }
  void take(Tensors& other) noexcept;
  void clear() noexcept;

  Tensor* many_ = nullptr;  // null: they are in few_
  std::size_t size_ = 0;
  std::size_t capacity_ = few;
  union {
    Tensor few_[few];
  };
};

/// An argument that may be a Tensor or a number, with the line it was written on. Operators and the
/// functions of several tensors take it, so that 2.0 * x, maximum(x, 0.0) and x + y all name the user's
/// line when shapes don't fit. A number takes the element type of the tensor beside it.
class Operand {
 public:
  Operand(const Tensor& t, SourceLocation where = SourceLocation::current()) : tensor_(&t), where_(where) {}
  Operand(double v, SourceLocation where = SourceLocation::current())
      : number_(v), kind_(DType::float64), where_(where) {}
  Operand(float v, SourceLocation where = SourceLocation::current())
      : number_(v), kind_(DType::float64), where_(where) {}
  Operand(bool v, SourceLocation where = SourceLocation::current())
      : number_(v), kind_(DType::bool_), where_(where) {}
  Operand(int v, SourceLocation where = SourceLocation::current()) : Operand(long(v), where) {}
  Operand(unsigned v, SourceLocation where = SourceLocation::current()) : Operand(long(v), where) {}
  Operand(long v, SourceLocation where = SourceLocation::current())
      : number_(static_cast<double>(v)), kind_(DType::int64), integer_(v), where_(where) {}
  Operand(long long v, SourceLocation where = SourceLocation::current()) : Operand(long(v), where) {}
  Operand(unsigned long v, SourceLocation where = SourceLocation::current()) : Operand(long(v), where) {}

  bool is_tensor() const { return tensor_ != nullptr; }
  const Tensor& tensor() const { return *tensor_; }
  double number() const { return number_; }
  std::int64_t integer() const { return integer_; }
  /// bool_, int64 or float64: what kind of number it is.
  DType kind() const { return kind_; }
  const SourceLocation& where() const { return where_; }

 private:
  const Tensor* tensor_ = nullptr;
  double number_ = 0;
  DType kind_ = DType::float64;
  std::int64_t integer_ = 0;
  SourceLocation where_;
};

template <>
double Tensor::item<double>(SourceLocation where) const;
template <>
float Tensor::item<float>(SourceLocation where) const;
template <>
std::int64_t Tensor::item<std::int64_t>(SourceLocation where) const;
template <>
int Tensor::item<int>(SourceLocation where) const;
template <>
bool Tensor::item<bool>(SourceLocation where) const;
template <>
std::vector<double> Tensor::to_vector<double>(SourceLocation where) const;
template <>
std::vector<float> Tensor::to_vector<float>(SourceLocation where) const;
template <>
std::vector<std::int64_t> Tensor::to_vector<std::int64_t>(SourceLocation where) const;
template <>
std::vector<bool> Tensor::to_vector<bool>(SourceLocation where) const;

}  // namespace wengert
