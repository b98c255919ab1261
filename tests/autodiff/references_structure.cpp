#include <cmath>

#include "reference_arrays.hpp"

namespace references {
namespace {

Tensor same_elements(const Arguments& a) { return Array(a.in()).tensor(); }
Tensor reshaped(const Arguments& a, const Shape& shape) {
  Array y(a.in());
  y.shape = shape;
  return y.tensor();
}

Tensor chosen(const Arguments& a) {
  Array c(a.in(0)), x(a.in(1)), y(a.in(2));
  Shape shape, both;
  broadcast(c.shape, x.shape, shape);
  broadcast(shape, y.shape, both);
  Array r(both);
  each(both, [&](const Shape& at) {
    r(at) = c(source(at, c.shape)) != 0 ? x(source(at, x.shape)) : y(source(at, y.shape));
  });
  return r.tensor();
}

/// For every position of a slice, where it lies in the whole.
void each_sliced(const Arguments& a,
                 const std::function<void(const Shape& in_slice, const Shape& in_whole)>& f) {
  const Shape starts = a.list("starts"), counts = a.list("counts"), steps = a.list("steps");
  const Shape dropped = a.list("dropped");
  each(counts, [&](const Shape& at) {
    Shape whole = at, part;
    for (int i = 0; i < at.size(); ++i) {
      whole[i] = starts[i] + at[i] * steps[i];
      if (!holds(dropped, i)) part.push_back(at[i]);
    }
    f(part, whole);
  });
}
Tensor sliced(const Arguments& a) {
  Array x(a.in());
  const Shape counts = a.list("counts"), dropped = a.list("dropped");
  Shape shape;
  for (int i = 0; i < counts.size(); ++i)
    if (!holds(dropped, i)) shape.push_back(counts[i]);
  Array y(shape);
  each_sliced(a, [&](const Shape& part, const Shape& whole) { y(part) = x(whole); });
  return y.tensor();
}
Tensor sliced_to(const Arguments& a) {
  Array x(a.in()), y(a.list("shape"));
  each_sliced(a, [&](const Shape& part, const Shape& whole) { y(whole) = x(part); });
  return y.tensor();
}

Tensor joined(const Arguments& a, bool new_axis) {
  const int axis = a.integer("axis");
  std::vector<Array> pieces;
  for (const Tensor& x : a.all()) {
    pieces.emplace_back(x);
    if (!new_axis) continue;
    Shape shape;
    for (int i = 0; i <= x.ndim(); ++i) shape.push_back(i == axis ? 1 : x.shape()[i - (i > axis)]);
    pieces.back().shape = shape;
  }
  Shape shape = pieces[0].shape;
  shape[axis] = 0;
  for (const Array& p : pieces) shape[axis] += p.shape[axis];
  Array y(shape);
  std::int64_t start = 0;
  for (Array& p : pieces) {
    each(p.shape, [&](const Shape& from) {
      Shape at = from;
      at[axis] += start;
      y(at) = p(from);
    });
    start += p.shape[axis];
  }
  return y.tensor();
}

}  // namespace

Rules of_structure() {
  return {
      {"alias", same_elements},
      {"stop_gradient", same_elements},
      {"contiguous", same_elements},
      {"cast", same_elements},
      {"cast_to_discrete",
       [](const Arguments& a) {
         Array y(a.in());
         for (double& v : y.v) v = a.text("dtype") == "bool" ? v != 0 : std::trunc(v);
         return y.tensor();
       }},
      {"reshape", [](const Arguments& a) { return reshaped(a, a.list("shape")); }},
      {"squeeze",
       [](const Arguments& a) {
         Shape shape;
         for (int i = 0; i < a.in().ndim(); ++i)
           if (!holds(a.list("axes"), i)) shape.push_back(a.in().shape()[i]);
         return reshaped(a, shape);
       }},
      {"expand_dims",
       [](const Arguments& a) {
         Shape shape;
         const int axis = a.integer("axis");
         for (int i = 0; i <= a.in().ndim(); ++i)
           shape.push_back(i == axis ? 1 : a.in().shape()[i - (i > axis)]);
         return reshaped(a, shape);
       }},
      {"transpose",
       [](const Arguments& a) {
         Shape axes;
         for (int i = a.in().ndim(); i-- > 0;) axes.push_back(i);
         return permuted(a.in(), axes);
       }},
      {"permute_dims", [](const Arguments& a) { return permuted(a.in(), a.list("axes")); }},
      {"broadcast_to",
       [](const Arguments& a) {
         Array x(a.in()), y(a.list("shape"));
         each(y.shape, [&](const Shape& at) { y(at) = x(source(at, x.shape)); });
         return y.tensor();
       }},
      {"where", chosen},
      {"slice", sliced},
      {"slice_to", sliced_to},
      {"concatenate", [](const Arguments& a) { return joined(a, false); }},
      {"stack", [](const Arguments& a) { return joined(a, true); }},
  };
}

}  // namespace references
