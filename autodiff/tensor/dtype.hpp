#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wengert {

/// Element type of a tensor. float32 and float64 are differentiable; int64 holds indices and labels,
/// bool_ masks (one byte an element, 0 or 1).
enum class DType : std::uint8_t { bool_, int64, float32, float64 };

/// Bytes of one element: 1, 8, 4 and 8.
constexpr std::size_t item_size(DType dtype) {
  // Not a table: g++ writes one to the stack at every call.
  return dtype == DType::bool_ ? 1 : dtype == DType::float32 ? 4 : 8;
}

/// NumPy's name: "bool", "int64", "float32", "float64".
constexpr std::string_view name(DType dtype) {
  constexpr std::string_view names[] = {"bool", "int64", "float32", "float64"};
  return names[static_cast<int>(dtype)];
}

constexpr bool is_floating(DType dtype) { return dtype >= DType::float32; }

/// The type that holds both operands of a binary operator without loss, as NumPy promotes arrays:
/// bool < int64 < float64, float32 < float64, and int64 with float32 gives float64.
constexpr DType promote(DType a, DType b) {
  if (a == b) return a;
  const DType low = a < b ? a : b;
  const DType high = a < b ? b : a;
  return low == DType::int64 && high == DType::float32 ? DType::float64 : high;
}

/// The type that an array of type `array` and a C++ number of type `number` give together. A number
/// decides the kind (bool, integer, floating) but never the width: 2.0 * float32 stays float32.
constexpr DType promote_scalar(DType array, DType number) {
  if (is_floating(array)) return array;
  return promote(array, number);
}

template <class T>
struct dtype_of_impl;
template <>
struct dtype_of_impl<bool> {
  static constexpr DType value = DType::bool_;
};
template <>
struct dtype_of_impl<std::int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct dtype_of_impl<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct dtype_of_impl<double> {
  static constexpr DType value = DType::float64;
};

/// The DType that stores a C++ type.
template <class T>
inline constexpr DType dtype_of = dtype_of_impl<T>::value;

}  // namespace wengert
