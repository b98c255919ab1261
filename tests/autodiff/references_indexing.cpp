#include "reference_arrays.hpp"

namespace references {
namespace {

/// For every position that take(x, indices, axis) reads from: its place in the result and in x.
void each_taken(const Shape& whole, const Tensor& indices, int axis,
                const std::function<void(const Shape&, const Shape&)>& f, Shape& shape) {
  Array positions(indices);
  shape = Shape();
  for (int i = 0; i < axis; ++i) shape.push_back(whole[i]);
  for (std::int64_t n : positions.shape) shape.push_back(n);
  for (int i = axis + 1; i < whole.size(); ++i) shape.push_back(whole[i]);
  if (!f) return;
  each(shape, [&](const Shape& at) {
    Shape index, from;
    for (int i = 0; i < positions.shape.size(); ++i) index.push_back(at[axis + i]);
    const double p = positions(index);
    for (int i = 0; i < axis; ++i) from.push_back(at[i]);
    from.push_back(static_cast<std::int64_t>(p < 0 ? p + static_cast<double>(whole[axis]) : p));
    for (int i = axis + positions.shape.size(); i < at.size(); ++i) from.push_back(at[i]);
    f(at, from);
  });
}
/// The same for take_along_axis.
void each_taken_along(const Shape& whole, const Tensor& indices, int axis,
                      const std::function<void(const Shape&, const Shape&)>& f, Shape& shape) {
  Array positions(indices);
  const bool labels = positions.shape.size() == whole.size() - 1;
  if (labels) positions.shape.push_back(1);
  Shape full = whole;
  for (int i = 0; i < whole.size(); ++i)
    full[i] = i == axis ? positions.shape[i] : std::max(whole[i], positions.shape[i]);
  for (int i = 0; i < whole.size(); ++i)
    if (i != axis && (whole[i] == 0 || positions.shape[i] == 0)) full[i] = 0;
  shape = Shape(full.begin(), static_cast<std::size_t>(full.size() - labels));
  if (!f) return;
  each(full, [&](const Shape& at) {
    Shape from = source(at, whole);
    const double p = positions(source(at, positions.shape));
    from[axis] = static_cast<std::int64_t>(p < 0 ? p + static_cast<double>(whole[axis]) : p);
    f(Shape(at.begin(), static_cast<std::size_t>(at.size() - labels)), from);
  });
}
using EachTaken = decltype(each_taken);
Rule taking(EachTaken* each_position) {
  return [each_position](const Arguments& a) {
    Array x(a.in());
    Shape shape;
    each_position(x.shape, a.in(1), a.integer("axis"), nullptr, shape);
    Array y(shape);
    each_position(
        x.shape, a.in(1), a.integer("axis"), [&](const Shape& at, const Shape& from) { y(at) = x(from); },
        shape);
    return y.tensor();
  };
}
Rule giving(EachTaken* each_position) {
  return [each_position](const Arguments& a) {
    Array g(a.in()), y(a.list("shape"));
    Shape shape;
    each_position(
        y.shape, a.in(1), a.integer("axis"), [&](const Shape& at, const Shape& from) { y(from) += g(at); },
        shape);
    return y.tensor();
  };
}

}  // namespace

Rules of_indexing() {
  return {
      {"take", taking(each_taken)},
      {"take_transposed", giving(each_taken)},
      {"take_along_axis", taking(each_taken_along)},
      {"take_along_axis_transposed", giving(each_taken_along)},
      {"add_at",
       [](const Arguments& a) {
         Array y(a.in()), v(a.in(1)), positions(a.in(2));
         each(positions.shape, [&](const Shape& at) {
           const double p = positions(at);
           Shape to = at;
           to[to.size() - 1] = static_cast<std::int64_t>(p < 0 ? p + static_cast<double>(y.shape.back()) : p);
           y(to) += v(at);
         });
         return y.tensor();
       }},
      {"labelled", [](const Arguments& a) { return Array(a.in()).tensor(); }},
      {"bounded", [](const Arguments& a) { return Array(a.in()).tensor(); }},
      {"one_hot",
       [](const Arguments& a) {
         Array positions(a.in());
         Shape shape = positions.shape;
         shape.push_back(a.integer("classes"));
         Array y(shape);
         each(positions.shape, [&](const Shape& at) {
           Shape to = at;
           to.push_back(static_cast<std::int64_t>(positions(at)));
           y(to) = 1;
         });
         return y.tensor();
       }},
      {"argmax",
       [](const Arguments& a) {
         Array x(a.in());
         const int axis = a.integer("axis");
         Shape kept = x.shape, shape;
         kept[axis] = 1;
         for (int i = 0; i < kept.size(); ++i)
           if (i != axis || a.flag("keepdims")) shape.push_back(kept[i]);
         Array y(kept);
         each(kept, [&](const Shape& start) {
           Shape at = start, best = start;
           for (at[axis] = 1; at[axis] < x.shape[axis]; ++at[axis])
             if (x(at) > x(best)) best = at;
           y(start) = static_cast<double>(best[axis]);
         });
         y.shape = shape;
         return y.tensor();
       }},
  };
}

}  // namespace references
