#pragma once

#include <cstddef>
#include <cstdint>

#include "autodiff/tensor/dtype.hpp"
#include "autodiff/tensor/shape.hpp"
#include "autodiff/tensor/source_location.hpp"
#include "autodiff/tensor/storage.hpp"

namespace wengert {

struct OperatorDefinition;

namespace detail {

/// What a Tensor handle points to: a value (element type, shape, strides, bytes), and, when it was
/// recorded, the node of the graph that made it (operator, inputs, attributes).
///
/// Two counts share one word. The low half counts everybody who keeps the node: handles and the nodes
/// that have it as an input. The high half counts those among them who may read the value; when it drops
/// to zero the bytes go back to the pool although the node stays, so a graph holds only the values that
/// some derivative rule reads.
struct TensorImpl {
  static constexpr std::uint64_t one_node = 1;
  static constexpr std::uint64_t one_value = std::uint64_t{1} << 32;
  static constexpr std::uint64_t one_handle = one_node + one_value;
  static constexpr int inline_bytes = 64;
  static constexpr int inline_inputs = 3;
  static constexpr int inline_attribute_bytes = 24;

  /// Small values live here, right behind the header of their storage, without an allocation of their own;
  /// after them the room for whole vectors that every buffer has.
  Storage embedded;
  alignas(buffer_alignment) std::byte small[inline_bytes + buffer_alignment];

  Count<std::uint64_t> counts{one_handle};
  std::byte* data = nullptr;
  Storage* storage = nullptr;
  std::int64_t size = 0;
  DType dtype = DType::float32;
  bool contiguous = true;
  bool requires_grad = false;  ///< a variable, or depends on one
  bool reads_output = false;   ///< its own derivative rule reads the value
  std::uint32_t input_count = 0;
  std::uint32_t value_inputs = 0;  ///< bit i: the rule reads input i (bit 31 speaks for all from 31 on)

  // Node
  const OperatorDefinition* op = nullptr;  ///< null: a constant or a variable
  TensorImpl** inputs = nullptr;
  TensorImpl* few_inputs[inline_inputs];
  std::byte* attributes = nullptr;
  alignas(8) std::byte few_attributes[inline_attribute_bytes];
  SourceLocation where;

  // Not 0: a value that a capture records instead of computing: it has no bytes. The capture's number, and
  // that of the value within it.
  std::uint32_t trace = 0;
  std::uint32_t trace_value = 0;

  // Scratch of a graph walk, valid while the walk's number stands in `walk`.
  std::uint64_t walk = 0;
  std::uint32_t slot = 0;

  Shape shape;
  Strides strides;

  explicit TensorImpl(DType type) : dtype(type) {}
  TensorImpl(DType type, const Shape& dims) : dtype(type), shape(dims) {}
  template <class T>
  [[gnu::always_inline]] const T* as() const {
    return reinterpret_cast<const T*>(data);
  }
  template <class T>
  [[gnu::always_inline]] T* as() {
    return reinterpret_cast<T*>(data);
  }
};
/// Headers are blocks of one size.
inline constexpr std::size_t block_size = 512;
static_assert(sizeof(TensorImpl) <= block_size);

/// A header with uninitialised, contiguous room for shape.elements() values.
TensorImpl* new_tensor(DType dtype, const Shape& shape);
/// A header that sees `base`'s bytes from element `offset` on with other shape and strides.
TensorImpl* new_view(TensorImpl& base, const Shape& shape, const Strides& strides, std::int64_t offset);

/// A header without bytes, for a value that is recorded and not computed.
TensorImpl* new_traced(DType dtype, const Shape& shape, std::uint32_t trace, std::uint32_t value);
[[noreturn]] void fail_traced(const char* reader, const SourceLocation& where);
/// Throws GraphError when somebody wants to read such a value.
inline void check_readable(const TensorImpl& x, const char* reader, const SourceLocation& where) {
  if (x.trace != 0) [[unlikely]]
    fail_traced(reader, where);
}

[[gnu::always_inline]] inline void retain(TensorImpl* impl) { impl->counts.add(TensorImpl::one_handle); }
/// Gives up one handle. Not inline: programs are full of temporaries, and each would carry this code.
void release(TensorImpl* impl) noexcept;

}  // namespace detail
}  // namespace wengert
