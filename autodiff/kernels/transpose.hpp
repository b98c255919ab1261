#pragma once

/// \file
/// Transposition of a tile: to[r * to_pitch + c] = from[c * from_pitch + r]. Reads and writes nothing else.

#include <cstdint>
#include <utility>

#include "autodiff/kernels/isa.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace transposition {

#if defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

template <class T>
struct Registers {
  static constexpr int width = register_bytes / static_cast<int>(sizeof(T));
  typedef T Row [[gnu::vector_size(register_bytes)]];
  typedef T Unaligned [[gnu::vector_size(register_bytes), gnu::aligned(alignof(T)), gnu::may_alias]];
  using Lanes = std::make_integer_sequence<int, width>;

  /// Exchanges the off-diagonal blocks of distance d, for d = width / 2, ..., 1: the transposed matrix.
  template <int d, int... I>
  WENGERT_INLINE static void exchange(Row& a, Row& b, std::integer_sequence<int, I...>) {
    const Row first = __builtin_shufflevector(a, b, (I & d ? width + I - d : I)...);
    const Row second = __builtin_shufflevector(a, b, (I & d ? width + I : I + d)...);
    a = first;
    b = second;
  }
  template <int d>
  WENGERT_INLINE static void butterfly(Row (&rows)[width]) {
    if constexpr (d > 0) {
      for (int i = 0; i < width; ++i)
        if (!(i & d)) exchange<d>(rows[i], rows[i | d], Lanes{});
      butterfly<d / 2>(rows);
    }
  }
  WENGERT_INLINE static void block(T* to, std::int64_t to_pitch, const T* from, std::int64_t from_pitch) {
    Row rows[width];
    for (int i = 0; i < width; ++i) rows[i] = *reinterpret_cast<const Unaligned*>(from + i * from_pitch);
    butterfly<width / 2>(rows);
    for (int i = 0; i < width; ++i) *reinterpret_cast<Unaligned*>(to + i * to_pitch) = rows[i];
  }
};

}  // namespace transposition

template <class T>
WENGERT_INLINE void transpose_tile(T* to, std::int64_t to_pitch, const T* from, std::int64_t from_pitch,
                                   std::int64_t rows, std::int64_t cols) {
  std::int64_t whole_rows = 0, whole_cols = 0;
  if constexpr (sizeof(T) >= 4) {
    using R = transposition::Registers<T>;
    whole_rows = rows / R::width * R::width;
    whole_cols = cols / R::width * R::width;
    // Both halves of a cache line one after the other: with strides of a power of two it does not live long.
    for (std::int64_t c = 0; c < whole_cols; c += R::width)
      for (std::int64_t r = 0; r < whole_rows; r += R::width)
        R::block(to + r * to_pitch + c, to_pitch, from + c * from_pitch + r, from_pitch);
  }
  for (std::int64_t c = 0; c < cols; ++c)
    for (std::int64_t r = c < whole_cols ? whole_rows : 0; r < rows; ++r)
      to[r * to_pitch + c] = from[c * from_pitch + r];
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
