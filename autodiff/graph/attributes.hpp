#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "autodiff/tensor/dtype.hpp"
#include "autodiff/tensor/shape.hpp"

namespace wengert {

/// The constant arguments of an operator (axes, a target shape, a slope): a trivially copyable struct
/// whose members `visit` names, so that a graph can be printed, compared and saved without knowing them.
///
///     struct SumAttributes {
///       AxisSet axes;
///       bool keepdims;
///       template <class V> void visit(V&& v) const { v("axes", axes), v("keepdims", keepdims); }
///     };
///
/// Members are bool, std::int64_t, double, DType, Shape or AxisSet.
template <class A>
concept Attributes = std::is_trivially_copyable_v<A> && requires(const A& a) {
  a.visit([](const char*, const auto&) {});
};

/// A set of axes of one tensor, 0 .. 7, as bits.
struct AxisSet {
  std::uint8_t bits = 0;

  [[gnu::always_inline]] constexpr bool contains(int axis) const { return bits >> axis & 1; }
  [[gnu::always_inline]] constexpr void add(int axis) { bits = static_cast<std::uint8_t>(bits | 1u << axis); }
  friend bool operator==(const AxisSet&, const AxisSet&) = default;
};

namespace detail {
std::string print_value(bool v);
std::string print_value(std::int64_t v);
std::string print_value(double v);
std::string print_value(DType v);
std::string print_value(const Shape& v);
std::string print_value(const AxisSet& v);
}  // namespace detail

/// Meets the members of an attribute struct one by one, to write them down or to fill them in.
class AttributeVisitor {
 public:
  virtual void member(const char* name, bool& value) = 0;
  virtual void member(const char* name, std::int64_t& value) = 0;
  virtual void member(const char* name, double& value) = 0;
  virtual void member(const char* name, DType& value) = 0;
  virtual void member(const char* name, Shape& value) = 0;
  virtual void member(const char* name, AxisSet& value) = 0;

 protected:
  ~AttributeVisitor() = default;
};

/// How to handle the attributes of one struct without knowing it.
struct AttributeType {
  std::size_t size;
  std::string (*print)(const void* a);  ///< "axes=[0], keepdims=true"
  void (*visit)(void* a, AttributeVisitor& visitor);
};

template <Attributes A>
const AttributeType* attribute_type() {
  static constexpr AttributeType type{
      sizeof(A),
      [](const void* a) {
        std::string text;
        static_cast<const A*>(a)->visit([&](const char* name, const auto& value) {
          if (!text.empty()) text += ", ";
          text += name;
          text += '=';
          text += detail::print_value(value);
        });
        return text;
      },
      [](void* a, AttributeVisitor& visitor) {
        // `visit` promises not to change what it shows; here the object itself is not const.
        static_cast<const A*>(a)->visit(
            [&]<class T>(const char* name, const T& value) { visitor.member(name, const_cast<T&>(value)); });
      }};
  return &type;
}

}  // namespace wengert
