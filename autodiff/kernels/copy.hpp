#pragma once

/// \file
/// Copies between strided arrays, and conversions of the element type.
///
///     copy(to, to_strides, from, from_strides, shape, item)   elements of `item` bytes: 1, 4 or 8
///     Convert<To>                                             the elementwise rule of a conversion
///
/// Strides count elements and may be 0 (repeated) or negative on the reading side. copy() writes exactly the
/// elements that it names, so it also fills a part of an array.

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "autodiff/kernels/elementwise.hpp"
#include "autodiff/kernels/isa.hpp"
#include "autodiff/kernels/transpose.hpp"
#include "autodiff/tensor/shape.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

namespace copying {

struct Axis {
  std::int64_t n, to, from;
};

WENGERT_INLINE std::int64_t magnitude(std::int64_t s) { return s < 0 ? -s : s; }

template <class T>
WENGERT_INLINE void row(T* to, const T* from, std::int64_t n, std::int64_t to_step, std::int64_t from_step) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
  } else if (to_step == 1 && from_step == 0) {
    const T value = *from;
    for (std::int64_t i = 0; i < n; ++i) to[i] = value;
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
  }
}

/// Two axes of which `a` reads consecutive elements and `b` writes them, in tiles whose cache lines stay in
/// L1 until all of their elements are used.
template <class T>
WENGERT_INLINE void transposed(T* to, const T* from, const Axis& a, const Axis& b) {
  constexpr std::int64_t tile = 64 / sizeof(T) < 16 ? 8 : 16;
  for (std::int64_t i = 0; i < a.n; i += tile) {
    const std::int64_t rows = a.n - i < tile ? a.n - i : tile;
    for (std::int64_t j = 0; j < b.n; j += tile) {
      const std::int64_t cols = b.n - j < tile ? b.n - j : tile;
      if (a.from == 1 && b.to == 1) {
        transpose_tile(to + i * a.to + j, a.to, from + i + j * b.from, b.from, rows, cols);
        continue;
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        T* t = to + (i + r) * a.to + j * b.to;
        const T* f = from + (i + r) * a.from + j * b.from;
        for (std::int64_t c = 0; c < cols; ++c) t[c * b.to] = f[c * b.from];
      }
    }
  }
}

template <class T>
[[gnu::noinline]] void run(char* to_bytes, const char* from_bytes, const Axis* axes, int count) {
  T* to = reinterpret_cast<T*>(to_bytes);
  const T* from = reinterpret_cast<const T*>(from_bytes);
  const Axis inner = axes[0];
  // The axis along which the source is read with the shortest step goes together with the innermost one.
  int pair = 0;
  for (int d = 1; d < count; ++d)
    if (axes[d].from != 0 && magnitude(axes[d].from) < magnitude(axes[pair].from)) pair = d;
  std::int64_t index[max_ndim] = {};
  while (true) {
    if (pair == 0)
      row(to, from, inner.n, inner.to, inner.from);
    else
      transposed(to, from, axes[pair], inner);
    int d = 1;
    for (; d < count; ++d) {
      if (d == pair) continue;
      to += axes[d].to;
      from += axes[d].from;
      if (++index[d] < axes[d].n) break;
      to -= axes[d].to * axes[d].n;
      from -= axes[d].from * axes[d].n;
      index[d] = 0;
    }
    if (d >= count) return;
  }
}

}  // namespace copying

/// The elements of one strided array into another of the same shape, which it does not overlap.
inline void copy(void* to, const Strides& to_strides, const void* from, const Strides& from_strides,
                 const Shape& shape, int item) {
  copying::Axis axes[max_ndim];
  int count = 0;
  for (int d = shape.size() - 1; d >= 0; --d) {
    const copying::Axis axis{shape[d], to_strides[d], from_strides[d]};
    if (axis.n == 0) return;
    if (axis.n == 1) continue;
    if (count > 0) {
      copying::Axis& last = axes[count - 1];
      if (axis.to == last.to * last.n && axis.from == last.from * last.n) {
        last.n *= axis.n;
        continue;
      }
    }
    axes[count++] = axis;
  }
  if (count == 0) axes[count++] = {1, 1, 1};
  char* t = static_cast<char*>(to);
  const char* f = static_cast<const char*>(from);
  switch (item) {
    case 1:
      return copying::run<std::uint8_t>(t, f, axes, count);
    case 4:
      return copying::run<std::uint32_t>(t, f, axes, count);
    default:
      return copying::run<std::uint64_t>(t, f, axes, count);
  }
}

/// One element in another type. Floating values become integers by truncation; NaN and what does not fit
/// become the smallest integer, on every machine.
template <class To>
struct Convert {
  template <class T>
  WENGERT_INLINE auto operator()(Vec<T, Simd> x) const {
    if constexpr (std::is_same_v<To, bool>)
      return x != Vec<T, Simd>(T(0));
    else
      return x;
  }
  template <class T>
  WENGERT_INLINE Vec<T, Simd> operator()(Mask<T, Simd> x) const {
    return where(x, Vec<T, Simd>(T(1)), Vec<T, Simd>(T(0)));
  }
  template <class V>
  WENGERT_INLINE To operator()(V x) const {
    if constexpr (std::is_same_v<To, bool>) {
      return x.v != 0;
    } else if constexpr (std::is_same_v<V, Vec<To, Scalar>>) {
      return x.v;
    } else if constexpr (std::is_same_v<To, std::int64_t> && std::is_floating_point_v<decltype(x.v)>) {
      constexpr double limit = 9223372036854775808.0;  // 2^63
      return x.v >= -limit && x.v < limit ? static_cast<To>(x.v) : INT64_MIN;
    } else {
      return static_cast<To>(x.v);
    }
  }
};

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
