#pragma once

// What the tests of the kernels share: buffers as the kernels ask for them, and loops that compute every
// index.

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "autodiff/tensor/shape.hpp"

namespace kernel_tests {

using wengert::Shape;
using wengert::Strides;

// Aligned, with 64 bytes more than its elements, which a kernel may touch; beyond them a pattern that it may
// not.
template <class T>
struct Buffer {
  std::vector<unsigned char> bytes;
  std::int64_t n;
  explicit Buffer(std::int64_t count) : bytes(count * sizeof(T) + 192, 0x5a), n(count) {
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t value = (i * 7919 + 13) % 1009;
      if constexpr (std::is_same_v<T, bool>)
        data()[i] = value % 3 == 0;
      else
        data()[i] = static_cast<T>(value - 500);
    }
  }
  T* data() { return reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(bytes.data()) + 63) / 64 * 64); }
  T& operator[](std::int64_t i) { return data()[i]; }
  bool intact() {
    const auto* end = reinterpret_cast<unsigned char*>(data() + n) + 64;
    for (; end < bytes.data() + bytes.size(); ++end)
      if (*end != 0x5a) return false;
    return true;
  }
};

inline Strides row_major(const Shape& shape) {
  Strides s = Shape::filled(shape.size(), 1);
  for (int i = shape.size() - 2; i >= 0; --i) s[i] = s[i + 1] * (shape[i + 1] > 0 ? shape[i + 1] : 1);
  return s;
}

// Calls visit(position in row-major order, offsets) for all elements.
template <std::size_t N, class Visit>
void naive(const Shape& shape, const std::array<Strides, N>& strides, Visit visit) {
  const std::int64_t total = shape.elements();
  for (std::int64_t k = 0; k < total; ++k) {
    std::array<std::int64_t, N> offset{};
    std::int64_t rest = k;
    for (int axis = shape.size() - 1; axis >= 0; --axis) {
      const std::int64_t index = rest % shape[axis];
      rest /= shape[axis];
      for (std::size_t i = 0; i < N; ++i) offset[i] += index * strides[i][axis];
    }
    visit(k, offset);
  }
}

}  // namespace kernel_tests
