#pragma once

/// \file
/// What kernels ask of their inputs. Compiled once: kernels of other instruction sets may call it, but carry
/// no such code themselves.

#include "autodiff/graph/operator.hpp"

namespace wengert::detail {

/// The elements of a tensor in row-major order without gaps: where they lie, or in a copy.
class Packed {
 public:
  explicit Packed(const TensorImpl& x);
  ~Packed();
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;

  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  const std::byte* data_;
  Storage* copy_ = nullptr;
};

/// Throws IndexError unless all elements of an int64 input lie in lowest .. length - 1:
/// "take: position 7 at indices[3, 0] is outside axis 1 of length 5". Axis -1 stands for classes.
void check_positions(const Call& call, std::uint32_t input, std::int64_t lowest, std::int64_t length,
                     int axis);

}  // namespace wengert::detail
