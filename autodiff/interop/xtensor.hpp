#pragma once

/// \file
/// Data to and from xtensor. This is the only header that programs need it for; link wengert::xtensor.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xexpression.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xstrided_view.hpp>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

namespace detail {
// Elements of a tensor; the buffer keeps the tensor alive, so a view may outlive every other handle.
template <class T>
using XBuffer = xt::xbuffer_adaptor<const T*, xt::smart_ownership, std::shared_ptr<const Tensor>>;
template <class T>
using XFlat = xt::xtensor_adaptor<XBuffer<T>, 1, xt::layout_type::row_major>;

template <class T>
void check_elements(const Tensor& x, const SourceLocation& where) {
  if (x.dtype() != dtype_of<T>)
    throw DTypeError("as_xtensor",
                     "asked for " + std::string(name(dtype_of<T>)) + ", the tensor is " + describe(x), where);
}
}  // namespace detail

/// What as_xtensor<T>(x) returns: a read-only xtensor expression, of any strides.
template <class T>
using XView = xt::xstrided_view<detail::XFlat<T>, xt::dynamic_shape<std::size_t>, xt::layout_type::dynamic>;

/// What as_xtensor<T, N>(x) returns: a read-only, contiguous xtensor container of N dimensions.
template <class T, std::size_t N>
using XFixedView = xt::xtensor_adaptor<detail::XBuffer<T>, N, xt::layout_type::row_major>;

/// A tensor with the elements of an xtensor expression, evaluated once, in row-major order whatever the
/// layout of the expression. bool, float and double keep their type, every integer becomes int64; other
/// element types don't compile. Throws ShapeError for more than 8 dimensions.
/// Example: Tensor x = from_xtensor(xt::sin(a) + 1.0).
template <class E>
Tensor from_xtensor(const xt::xexpression<E>& expression) {
  const E& e = expression.derived_cast();
  using Value = std::remove_cv_t<typename E::value_type>;
  static_assert(std::is_integral_v<Value> || std::is_same_v<Value, float> || std::is_same_v<Value, double>,
                "from_xtensor takes bool, integer, float and double elements");
  using T =
      std::conditional_t<std::is_integral_v<Value> && !std::is_same_v<Value, bool>, std::int64_t, Value>;
  const auto& shape = e.shape();
  const std::vector<std::size_t> dims(shape.begin(), shape.end());
  const std::vector<std::int64_t> lengths(dims.begin(), dims.end());
  Tensor result = Tensor::adopt(detail::new_tensor(dtype_of<T>, Shape(lengths.data(), lengths.size())));
  if (result.size() == 0) return result;
  T* data = result.impl().template as<T>();
  auto out = xt::adapt<xt::layout_type::row_major>(std::move(data), static_cast<std::size_t>(result.size()),
                                                   xt::no_ownership(), dims);
  xt::noalias(out) = e;
  return result;
}

/// The elements of a tensor as an xtensor expression, without a copy: any view of a tensor, transposed,
/// strided, reversed or broadcast. T is the element type (DTypeError). It can be read only, and keeps the
/// elements alive. as_xtensor<T, N> below gives faster code. As with every xtensor expression whose number of
/// dimensions is not in its type, xt::eval and immediate reducers crash in xtensor 0.24 as g++ 12 compiles
/// it for C++20: assign to an xt::xarray, use lazy reducers, or as_xtensor<T, N>.
/// Example: auto view = as_xtensor<double>(y); double total = xt::sum(view)().
template <class T>
XView<T> as_xtensor(const Tensor& x, SourceLocation where = SourceLocation::current()) {
  detail::check_elements<T>(x, where);
  const Shape& shape = x.shape();
  const Strides strides = x.strides();
  // The stretch of memory that the elements lie in; they start inside of it where a stride is negative.
  std::int64_t first = 0, last = 0;
  for (int i = 0; i < shape.size() && x.size() > 0; ++i)
    (strides[i] < 0 ? first : last) += strides[i] * (shape[i] - 1);
  const std::size_t length = x.size() > 0 ? static_cast<std::size_t>(last - first + 1) : 0;
  detail::XBuffer<T> buffer(x.impl().template as<T>() + first, length, std::make_shared<const Tensor>(x));
  using Flat = detail::XFlat<T>;
  typename XView<T>::strides_type steps(strides.begin(), strides.end());
  for (int i = 0; i < shape.size(); ++i)
    if (shape[i] == 1) steps[static_cast<std::size_t>(i)] = 0;  // as xtensor writes axes that don't move
  return XView<T>(Flat(std::move(buffer), typename Flat::shape_type{length}, xt::layout_type::row_major),
                  xt::dynamic_shape<std::size_t>(shape.begin(), shape.end()), std::move(steps),
                  static_cast<std::size_t>(-first),
                  x.is_contiguous() ? xt::layout_type::row_major : xt::layout_type::dynamic);
}

/// The same with the number of dimensions in the type, for contiguous tensors: xtensor then takes its
/// vectorised paths. Throws ShapeError when x has not N dimensions, or is a strided view.
/// Example: auto image = as_xtensor<float, 2>(x).
template <class T, std::size_t N>
XFixedView<T, N> as_xtensor(const Tensor& x, SourceLocation where = SourceLocation::current()) {
  detail::check_elements<T>(x, where);
  if (x.ndim() != static_cast<int>(N))
    throw ShapeError("as_xtensor",
                     "asked for " + std::to_string(N) + " dimensions, the tensor is " + describe(x), where);
  if (!x.is_contiguous())
    throw ShapeError("as_xtensor", "the tensor is a strided view; take contiguous(x), or as_xtensor<T>(x)",
                     where);
  typename XFixedView<T, N>::shape_type dims;
  for (std::size_t i = 0; i < N; ++i) dims[i] = static_cast<std::size_t>(x.shape()[static_cast<int>(i)]);
  return XFixedView<T, N>(detail::XBuffer<T>(x.impl().template as<T>(), static_cast<std::size_t>(x.size()),
                                             std::make_shared<const Tensor>(x)),
                          dims, xt::layout_type::row_major);
}

}  // namespace wengert
