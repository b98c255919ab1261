#include "nn/data/dataset.hpp"

#include <utility>

#include "autodiff/interop/npy.hpp"

namespace wengert::nn {
namespace {

Tensor rows(const Tensor& t, std::int64_t first, std::int64_t last) {
  detail::TensorImpl& base = t.impl();
  Shape shape = base.shape;
  shape[0] = last - first;
  // A constant view: an example is data, nothing is differentiated through the choice of it.
  return Tensor::adopt(detail::new_view(base, shape, base.strides, first * base.strides[0]));
}

}  // namespace

Dataset::Dataset(Tensor examples, Tensor targets, SourceLocation where)
    : x(std::move(examples)), y(std::move(targets)) {
  if (x.ndim() == 0 || y.ndim() == 0 || x.shape()[0] != y.shape()[0])
    throw ShapeError("Dataset",
                     "needs as many targets as examples along the first axis: x is " + describe(x) +
                         ", y is " + describe(y),
                     where);
}

Dataset Dataset::range(std::int64_t first, std::int64_t last, SourceLocation where) const {
  if (first < 0 || first > last || last > size())
    throw IndexError("Dataset::range",
                     std::to_string(first) + " .. " + std::to_string(last) + " is not a range inside 0 .. " +
                         std::to_string(size()),
                     where);
  if (!x.defined()) return {};
  return {rows(x, first, last), rows(y, first, last), where};
}

namespace datasets {

Dataset npy(const std::string& x_path, const std::string& y_path) {
  Tensor x = load_npy(x_path), y = load_npy(y_path);
  if (x.ndim() == 0) throw FileError(x_path, "expected examples along a first axis, found " + describe(x));
  if (y.ndim() == 0 || y.shape()[0] != x.shape()[0])
    throw FileError(y_path, "expected one target for each of the " + std::to_string(x.shape()[0]) +
                                " examples of " + x_path + ", found " + describe(y));
  return {std::move(x), std::move(y)};
}

}  // namespace datasets
}  // namespace wengert::nn
