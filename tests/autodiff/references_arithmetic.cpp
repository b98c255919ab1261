#include <cmath>
#include <utility>

#include "autodiff/gradcheck/battery_impl.hpp"
#include "autodiff/tensor/random.hpp"
#include "reference_arrays.hpp"

namespace references {
namespace {

using Lane = std::vector<double>;

/// What a generator of one's own draws from the place where the battery sets that of the process.
Rule drawn(Tensor (*f)(random::Generator&, const Arguments&)) {
  return [f](const Arguments& a) {
    random::Generator generator(detail::Battery::draws_from);
    return f(generator, a);
  };
}

/// f of the entries behind each result.
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

}  // namespace

Rules of_arithmetic() {
  return {
      {"sum", reduction([](const Lane& x, const Arguments&) { return total(x); })},
      {"mean",
       reduction([](const Lane& x, const Arguments&) { return total(x) / static_cast<double>(x.size()); })},
      {"max",
       reduction([](const Lane& x, const Arguments&) { return *std::max_element(x.begin(), x.end()); })},
      {"softmax_shift",
       [](const Arguments& a) {
         Array x(a.in());
         const int axis = x.shape.size() - 1;
         Shape rows = x.shape;
         rows[axis] = 1;
         Array y(rows);
         each(rows, [&](const Shape& start) {
           Shape at = start;
           for (y(start) = x(start); at[axis] < x.shape[axis]; ++at[axis])
             y(start) = std::max(y(start), x(at));
         });
         return y.tensor();
       }},
      {"min",
       reduction([](const Lane& x, const Arguments&) { return *std::min_element(x.begin(), x.end()); })},
      {"var", reduction([](const Lane& x, const Arguments& a) { return variance(x, a.integer("ddof")); })},
      {"std", reduction([](const Lane& x, const Arguments& a) {
         return std::sqrt(variance(x, a.integer("ddof")));
       })},
      {"logsumexp", reduction([](const Lane& x, const Arguments&) { return log_total(x); })},
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
  };
}

}  // namespace references
