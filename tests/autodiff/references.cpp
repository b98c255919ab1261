#include "references.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "autodiff/gradcheck/battery_impl.hpp"
#include "autodiff/gradcheck/entries.hpp"
#include "autodiff/tensor/random.hpp"

using namespace wengert;

// Every reference is a loop over positions in double, written from the operator's documentation alone.

namespace {

/// Elements in row-major order with their shape; positions are read and written by index.
struct Array {
  Shape shape;
  std::vector<double> v;

  explicit Array(const Shape& s, double fill = 0)
      : shape(s), v(static_cast<std::size_t>(s.elements()), fill) {}
  explicit Array(const Tensor& x) : shape(x.shape()), v(detail::elements(x)) {}
  double& operator()(const Shape& index) {
    std::int64_t at = 0;
    for (int i = 0; i < shape.size(); ++i) at = at * shape[i] + index[i];
    return v.at(static_cast<std::size_t>(at));
  }
  Tensor tensor() const { return from_span<double>(v, shape); }
};

void each(const Shape& shape, const std::function<void(const Shape&)>& f) {
  Shape index = Shape::filled(shape.size(), 0);
  for (std::int64_t k = 0; k < shape.elements(); ++k) {
    f(index);
    for (int i = shape.size() - 1; i >= 0 && ++index[i] == shape[i]; --i) index[i] = 0;
  }
}

/// Attributes as they are printed: "axes=[0, 1], keepdims=true".
class Arguments {
 public:
  Arguments(const OperatorDefinition& op, const Tensors& inputs, const void* attributes) : inputs_(inputs) {
    if (attributes != nullptr) text_ = ", " + op.attributes->print(attributes) + ", ";
  }
  const Tensor& in(std::size_t i = 0) const { return inputs_[i]; }
  const Tensors& all() const { return inputs_; }
  std::string text(const std::string& name) const {
    const std::size_t at = text_.find(", " + name + "=");
    need(at, name);
    const std::size_t begin = at + name.size() + 3;
    const std::size_t end = text_[begin] == '[' ? text_.find(']', begin) + 1 : text_.find(',', begin);
    return text_.substr(begin, end - begin);
  }
  int integer(const std::string& name) const { return std::stoi(text(name)); }
  double number(const std::string& name) const { return std::stod(text(name)); }
  DType dtype() const { return text("dtype") == "float32" ? DType::float32 : DType::float64; }
  bool flag(const std::string& name) const { return text(name) == "true"; }
  Shape list(const std::string& name) const {
    Shape result;
    const std::string t = text(name);
    for (std::size_t i = 1; i < t.size() && t[i] != ']';) {
      std::size_t used = 0;
      result.push_back(std::stoll(t.substr(i), &used));
      i += used;
      while (i < t.size() && (t[i] == ',' || t[i] == ' ')) ++i;
    }
    return result;
  }

 private:
  void need(std::size_t at, const std::string& name) const {
    if (at == std::string::npos) throw std::runtime_error("no attribute " + name + " in " + text_);
  }
  const Tensors& inputs_;
  std::string text_;
};

bool holds(const Shape& list, int i) { return std::find(list.begin(), list.end(), i) != list.end(); }

using Rule = std::function<Tensor(const Arguments&)>;

/// f of the entries behind each result.
/// What a generator of one's own draws from the place where the battery sets that of the process.
Rule drawn(Tensor (*f)(random::Generator&, const Arguments&)) {
  return [f](const Arguments& a) {
    random::Generator generator(detail::Battery::draws_from);
    return f(generator, a);
  };
}

Rule reduction(double (*f)(const std::vector<double>&, const Arguments&)) {
  return [f](const Arguments& a) {
    Array x(a.in());
    const Shape axes = a.list("axes");
    Shape kept = x.shape, shape;
    for (int i = 0; i < kept.size(); ++i) {
      if (!holds(axes, i) || a.flag("keepdims")) shape.push_back(holds(axes, i) ? 1 : kept[i]);
      if (holds(axes, i)) kept[i] = 1;
    }
    Array y(kept);
    each(kept, [&](const Shape& at) {
      std::vector<double> entries;
      each(x.shape, [&](const Shape& from) {
        for (int i = 0; i < kept.size(); ++i)
          if (!holds(axes, i) && from[i] != at[i]) return;
        entries.push_back(x(from));
      });
      y(at) = f(entries, a);
    });
    y.shape = shape;
    return y.tensor();
  };
}

double total(const std::vector<double>& x) {
  long double s = 0;
  for (double v : x) s += v;
  return static_cast<double>(s);
}
double variance(const std::vector<double>& x, int ddof) {
  const double mean = total(x) / static_cast<double>(x.size());
  std::vector<double> squares;
  for (double v : x) squares.push_back((v - mean) * (v - mean));
  return total(squares) / static_cast<double>(static_cast<int>(x.size()) - ddof);
}
double log_total(const std::vector<double>& x) {
  long double s = 0;
  for (double v : x) s += std::exp(static_cast<long double>(v));
  return static_cast<double>(std::log(s));
}

/// f(lane of the first input, lane of the second) along the axis.
using Lane = std::vector<double>;
Rule lanes(Lane (*f)(const Lane&, const Lane&)) {
  return [f](const Arguments& a) {
    const int axis = a.integer("axis");
    Array x(a.in()), second(a.in(a.all().size() - 1)), y(x.shape);
    Shape starts = x.shape;
    starts[axis] = 1;
    if (x.shape[axis] == 0) return y.tensor();
    each(starts, [&](const Shape& start) {
      Lane p, q;
      Shape at = start;
      for (at[axis] = 0; at[axis] < x.shape[axis]; ++at[axis]) p.push_back(x(at)), q.push_back(second(at));
      const Lane r = f(p, q);
      for (at[axis] = 0; at[axis] < x.shape[axis]; ++at[axis]) y(at) = r[static_cast<std::size_t>(at[axis])];
    });
    return y.tensor();
  };
}

double dot(const Lane& a, const Lane& b) {
  long double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) s += a[i] * b[i];
  return static_cast<double>(s);
}

Tensor same_elements(const Arguments& a) { return Array(a.in()).tensor(); }
Tensor reshaped(const Arguments& a, const Shape& shape) {
  Array y(a.in());
  y.shape = shape;
  return y.tensor();
}

Tensor permuted(const Tensor& in, const Shape& axes) {
  Array x(in);
  Shape shape;
  for (std::int64_t axis : axes) shape.push_back(x.shape[static_cast<int>(axis)]);
  Array y(shape);
  each(shape, [&](const Shape& at) {
    Shape from = x.shape;
    for (int i = 0; i < axes.size(); ++i) from[static_cast<int>(axes[i])] = at[i];
    y(at) = x(from);
  });
  return y.tensor();
}

/// Where the broadcast position `at` reads an array of `shape`.
Shape source(const Shape& at, const Shape& shape) {
  Shape from = shape;
  for (int i = 0; i < shape.size(); ++i) from[i] = shape[i] == 1 ? 0 : at[at.size() - shape.size() + i];
  return from;
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

const std::map<std::string, Rule>& rules() {
  static const std::map<std::string, Rule> table = {
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
      {"take", taking(each_taken)},
      {"take_transposed", giving(each_taken)},
      {"take_along_axis", taking(each_taken_along)},
      {"take_along_axis_transposed", giving(each_taken_along)},
      {"uniform", drawn([](random::Generator& g, const Arguments& a) {
         return g.uniform(a.list("shape"), a.number("first"), a.number("second"), a.dtype());
       })},
      {"normal", drawn([](random::Generator& g, const Arguments& a) {
         return g.normal(a.list("shape"), a.number("first"), a.number("second"), a.dtype());
       })},
      {"bernoulli", drawn([](random::Generator& g, const Arguments& a) {
         return g.bernoulli(a.number("p"), a.list("shape"));
       })},
      {"integers", drawn([](random::Generator& g, const Arguments& a) {
         return g.integers(a.integer("low"), a.integer("high"), a.list("shape"));
       })},
      {"permutation",
       drawn([](random::Generator& g, const Arguments& a) { return g.permutation(a.integer("n")); })},
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
      {"sum", reduction([](const Lane& x, const Arguments&) { return total(x); })},
      {"mean",
       reduction([](const Lane& x, const Arguments&) { return total(x) / static_cast<double>(x.size()); })},
      {"max",
       reduction([](const Lane& x, const Arguments&) { return *std::max_element(x.begin(), x.end()); })},
      {"min",
       reduction([](const Lane& x, const Arguments&) { return *std::min_element(x.begin(), x.end()); })},
      {"var", reduction([](const Lane& x, const Arguments& a) { return variance(x, a.integer("ddof")); })},
      {"std", reduction([](const Lane& x, const Arguments& a) {
         return std::sqrt(variance(x, a.integer("ddof")));
       })},
      {"logsumexp", reduction([](const Lane& x, const Arguments&) { return log_total(x); })},
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
      {"softmax", lanes([](const Lane& x, const Lane&) {
         Lane y = x;
         for (double& v : y) v = std::exp(v - log_total(x));
         return y;
       })},
      {"log_softmax", lanes([](const Lane& x, const Lane&) {
         Lane y = x;
         for (double& v : y) v -= log_total(x);
         return y;
       })},
      {"softmax_vjp", lanes([](const Lane& g, const Lane& y) {
         Lane r = y;
         for (std::size_t i = 0; i < r.size(); ++i) r[i] = y[i] * (g[i] - dot(g, y));
         return r;
       })},
      {"log_softmax_vjp", lanes([](const Lane& g, const Lane& y) {
         Lane r = g;
         for (std::size_t i = 0; i < r.size(); ++i) r[i] -= std::exp(y[i]) * total(g);
         return r;
       })},
      {"matmul",
       [](const Arguments& args) {
         const auto matrix = [&](std::size_t i, const char* transposed) {
           Shape axes;
           for (int axis = 0; axis < args.in(i).ndim(); ++axis) axes.push_back(axis);
           if (args.flag(transposed) && axes.size() >= 2)
             std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
           return Array(permuted(args.in(i), axes));
         };
         Array a = matrix(0, "transpose_a"), b = matrix(1, "transpose_b");
         const bool row = a.shape.size() == 1, column = b.shape.size() == 1;
         if (row) a.shape = {1, a.shape[0]};
         if (column) b.shape = {b.shape[0], 1};
         const auto batch = [](const Shape& s) {
           return Shape(s.begin(), static_cast<std::size_t>(s.size() - 2));
         };
         Shape shape;
         broadcast(batch(a.shape), batch(b.shape), shape);
         const int d = shape.size();
         shape.push_back(a.shape.back(1));
         shape.push_back(b.shape.back(0));
         Array y(shape);
         each(shape, [&](const Shape& at) {
           const Shape outer(at.begin(), static_cast<std::size_t>(d));
           Shape in_a = source(outer, batch(a.shape)), in_b = source(outer, batch(b.shape));
           in_a.push_back(at[d]), in_a.push_back(0);
           in_b.push_back(0), in_b.push_back(at[d + 1]);
           long double s = 0;
           for (std::int64_t k = 0; k < a.shape.back(); ++k) {
             in_a[in_a.size() - 1] = in_b[in_b.size() - 2] = k;
             s += static_cast<long double>(a(in_a)) * b(in_b);
           }
           y(at) = static_cast<double>(s);
         });
         Shape result = batch(y.shape);
         if (!row) result.push_back(y.shape.back(1));
         if (!column) result.push_back(y.shape.back(0));
         y.shape = result;
         return y.tensor();
       }},
  };
  return table;
}

}  // namespace

CheckOptions reference_options(const std::string& name) {
  CheckOptions options;
  if (const auto found = rules().find(name); found != rules().end())
    options.reference = [&rule = found->second, op = find_operator(name)](const Tensors& in,
                                                                          const void* attributes) {
      return rule(Arguments(*op, in, attributes));
    };
  // Its derivative is zero because the caller says so, not because the function is flat.
  options.constant_by_definition = name == "stop_gradient";
  // Every element type can be had from every other.
  options.cannot_fail = name == "cast";
  return options;
}

std::vector<std::string> referenced_operators() {
  std::vector<std::string> names;
  for (const auto& [name, rule] : rules()) names.push_back(name);
  return names;
}
