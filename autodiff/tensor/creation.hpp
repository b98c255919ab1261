#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <type_traits>
#include <vector>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Nested braces of numbers, for tensor(): {{1, 2}, {3, 4}}.
class Nested {
 public:
  Nested(bool v) : number_(v), kind_(DType::bool_) {}
  template <class T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) Nested(T v)
      : number_(static_cast<double>(v)), kind_(std::is_integral_v<T> ? DType::int64 : DType::float32) {
    if constexpr (std::is_integral_v<T>) integer_ = static_cast<std::int64_t>(v);
  }
  Nested(std::initializer_list<Nested> list);
  Nested(const Nested& other);
  Nested& operator=(const Nested& other);
  ~Nested();

  bool is_list() const { return is_list_; }
  const std::vector<Nested>& list() const { return list_; }
  double number() const { return number_; }
  std::int64_t integer() const { return integer_; }
  DType kind() const { return kind_; }

 private:
  double number_ = 0;
  std::int64_t integer_ = 0;
  DType kind_ = DType::float32;
  bool is_list_ = false;
  std::vector<Nested> list_;
};

/// A tensor from nested braces: tensor({{1.0, 2.0}, {3.0, 4.0}}) is float32[2, 2]. Without a dtype, bools
/// give bool, integers int64, anything with a floating number float32.
/// Throws ShapeError when the rows have different lengths.
Tensor tensor(const Nested& values, SourceLocation where = SourceLocation::current());
Tensor tensor(const Nested& values, DType dtype, SourceLocation where = SourceLocation::current());

/// A tensor from elements in row-major order, copied; the element type is that of the span.
/// Throws ShapeError when their number is not shape.elements().
/// Example: from_span<float>(pixels, {28, 28}).
template <class T>
Tensor from_span(std::type_identity_t<std::span<const T>> values, const Shape& shape,
                 SourceLocation where = SourceLocation::current());
template <class T>
Tensor from_vector(const std::vector<T>& values, SourceLocation where = SourceLocation::current()) {
  return from_span<T>(values, {static_cast<std::int64_t>(values.size())}, where);
}

/// Constant tensors.
Tensor zeros(const Shape& shape, DType dtype = DType::float32);
Tensor ones(const Shape& shape, DType dtype = DType::float32);
/// The dtype of full() is that of the number's kind (bool, int64, float32) when none is given.
Tensor full(const Shape& shape, const Operand& value);
Tensor full(const Shape& shape, const Operand& value, DType dtype);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, const Operand& value);
/// 0, 1, ... count - 1.
Tensor arange(std::int64_t count, DType dtype = DType::int64);
/// start, start + step, ... below stop (above, for a negative step). Throws ValueError for step 0.
Tensor arange(double start, double stop, double step = 1.0, DType dtype = DType::float32);
/// `count` values from start to stop, both included, evenly spaced.
Tensor linspace(double start, double stop, std::int64_t count, DType dtype = DType::float32);
/// The identity matrix of n rows.
Tensor eye(std::int64_t n, DType dtype = DType::float32);

/// A differentiable leaf: same elements, and operators on it are recorded. x must be floating
/// (DTypeError). Example: Tensor w = variable(random::normal({2, 3})).
Tensor variable(const Tensor& x, SourceLocation where = SourceLocation::current());

namespace detail {
/// A 0-d constant, the form in which a number takes part in an operator.
Tensor scalar(const Operand& number, DType dtype);
}  // namespace detail

}  // namespace wengert
