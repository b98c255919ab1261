#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>

namespace wengert {

/// Largest number of dimensions of a tensor.
inline constexpr int max_ndim = 8;

/// A list of at most max_ndim integers without a heap allocation: the dimensions of a tensor, its
/// strides (in elements), a list of axes or of positions. Entries at and past size() hold no meaning.
class Shape {
 public:
  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::int64_t> dims) {
    if (dims.size() > max_ndim) too_many(dims.size());
    for (std::int64_t d : dims) dims_[ndim_++] = d;
  }
  Shape(const std::int64_t* dims, std::size_t count) {
    if (count > max_ndim) too_many(count);
    for (; ndim_ < static_cast<int>(count); ++ndim_) dims_[ndim_] = dims[ndim_];
  }
  /// `ndim` entries, all equal to `value`.
  static constexpr Shape filled(int ndim, std::int64_t value) {
    Shape s;
    if (ndim > max_ndim) too_many(static_cast<std::size_t>(ndim));
    for (; s.ndim_ < ndim; ++s.ndim_) s.dims_[s.ndim_] = value;
    return s;
  }

  [[gnu::always_inline]] constexpr int size() const { return ndim_; }
  [[gnu::always_inline]] constexpr bool empty() const { return ndim_ == 0; }
  [[gnu::always_inline]] constexpr std::int64_t operator[](int i) const { return dims_[i]; }
  [[gnu::always_inline]] constexpr std::int64_t& operator[](int i) { return dims_[i]; }
  /// Entry counted from the end: back(0) is the last.
  [[gnu::always_inline]] constexpr std::int64_t back(int i = 0) const { return dims_[ndim_ - 1 - i]; }
  [[gnu::always_inline]] constexpr const std::int64_t* begin() const { return dims_; }
  [[gnu::always_inline]] constexpr const std::int64_t* end() const { return dims_ + ndim_; }
  [[gnu::always_inline]] constexpr std::int64_t* begin() { return dims_; }
  [[gnu::always_inline]] constexpr std::int64_t* end() { return dims_ + ndim_; }
  /// Entries that are added hold no meaning yet.
  constexpr void resize(int size) { ndim_ = size; }
  constexpr void push_back(std::int64_t d) {
    if (ndim_ == max_ndim) too_many(max_ndim + 1);
    dims_[ndim_++] = d;
  }

  /// Product of the entries: the number of elements (1 for a 0-d shape).
  [[gnu::always_inline]] constexpr std::int64_t elements() const {
    std::int64_t n = 1;
    for (int i = 0; i < ndim_; ++i) n *= dims_[i];
    return n;
  }

  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    if (a.ndim_ != b.ndim_) return false;
    for (int i = 0; i < a.ndim_; ++i)
      if (a.dims_[i] != b.dims_[i]) return false;
    return true;
  }

 private:
  [[noreturn]] static void too_many(std::size_t count);

  std::int64_t dims_[max_ndim];
  int ndim_ = 0;
};

using Strides = Shape;

/// "[64, 784]"; "[]" for a 0-d shape.
std::string to_string(const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// Whether `whole` ends with the axes of `tail`, so that a row-major `tail` repeats in order.
[[gnu::always_inline]] inline bool ends_with(const Shape& whole, const Shape& tail) {
  if (tail.size() > whole.size()) return false;
  for (int i = 0; i < tail.size(); ++i)
    if (tail.back(i) != whole.back(i)) return false;
  return true;
}

/// Row-major strides, in elements.
Strides contiguous_strides(const Shape& shape);
/// Whether these strides walk the shape in row-major order without gaps (size-1 axes may have any).
bool is_contiguous(const Shape& shape, const Strides& strides);
/// NumPy's broadcasting of two shapes into `out`; false when they don't fit together.
bool broadcast(const Shape& a, const Shape& b, Shape& out);
/// The strides that read an array of `shape` and `strides` as the larger shape `to` (0 where it repeats).
Strides broadcast_strides(const Shape& shape, const Strides& strides, const Shape& to);

}  // namespace wengert
