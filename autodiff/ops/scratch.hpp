#pragma once

/// \file
/// Memory that a kernel needs while it runs. It comes from the pool, as tensors do, so that it is aligned and
/// padded as kernels expect.

#include "autodiff/kernels/copy.hpp"
#include "autodiff/tensor/impl.hpp"

namespace wengert::ops {
inline namespace WENGERT_ISA {

/// An uninitialised array of some shape.
class Scratch {
 public:
  Scratch() = default;
  WENGERT_INLINE Scratch(DType dtype, const Shape& shape) : impl_(detail::new_tensor(dtype, shape)) {}
  WENGERT_INLINE ~Scratch() {
    if (impl_ != nullptr) detail::release(impl_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  WENGERT_INLINE T* as() {
    return impl_->as<T>();
  }

 private:
  detail::TensorImpl* impl_ = nullptr;
};

/// A copy of a tensor's elements in row-major order; none of a null pointer.
template <class T>
class Copied {
 public:
  WENGERT_INLINE explicit Copied(const detail::TensorImpl* x) : copy_(x == nullptr ? nullptr : copied(*x)) {}
  WENGERT_INLINE ~Copied() {
    if (copy_ != nullptr) detail::release(copy_);
  }
  Copied(const Copied&) = delete;
  Copied& operator=(const Copied&) = delete;

  WENGERT_INLINE explicit operator bool() const { return copy_ != nullptr; }
  WENGERT_INLINE const T* data() const { return copy_->as<T>(); }

 private:
  [[gnu::noinline]] static detail::TensorImpl* copied(const detail::TensorImpl& x) {
    detail::TensorImpl* const copy = detail::new_tensor(x.dtype, x.shape);
    kernels::copy(copy->data, copy->strides, x.data, x.strides, x.shape, static_cast<int>(sizeof(T)));
    return copy;
  }

  detail::TensorImpl* copy_;
};

/// The elements of a tensor in row-major order: where they lie, or a copy of a strided view.
template <class T>
class Contiguous {
 public:
  WENGERT_INLINE explicit Contiguous(const detail::TensorImpl& x)
      : copy_(x.contiguous ? nullptr : &x), data_(copy_ ? copy_.data() : x.as<T>()) {}
  WENGERT_INLINE const T* data() const { return data_; }

 private:
  Copied<T> copy_;
  const T* data_;
};

}  // namespace WENGERT_ISA
}  // namespace wengert::ops
