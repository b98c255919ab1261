#include <xtensor-blas/xlinalg.hpp>

#include "tests/autodiff/reference.hpp"

using namespace wengert;
using reference::check_close;
using reference::contains;
using reference::message;
using reference::sample;

namespace {

/// NumPy's rules, by plain loops: vectors become matrices, batches broadcast.
struct Reference {
  Shape shape;
  std::vector<double> values;

  Reference(const Tensor& a, const Tensor& b) {
    const Shape sa = a.ndim() == 1 ? Shape{1, a.dim(0)} : a.shape();
    const Shape sb = b.ndim() == 1 ? Shape{b.dim(0), 1} : b.shape();
    const std::int64_t m = sa.back(1), k = sa.back(0), n = sb.back(0);
    Shape batch;
    REQUIRE(broadcast(Shape(sa.begin(), static_cast<std::size_t>(sa.size() - 2)),
                      Shape(sb.begin(), static_cast<std::size_t>(sb.size() - 2)), batch));
    const std::vector<double> va = reference::values(a), vb = reference::values(b);
    for (std::int64_t q = 0; q < batch.elements(); ++q) {
      const auto index = reference::indices(batch, q);
      const auto matrix = [&](const Shape& s) {
        std::int64_t at = 0;
        for (int i = 0; i < s.size() - 2; ++i) {
          const std::int64_t j = index[static_cast<std::size_t>(i + batch.size() - (s.size() - 2))];
          at = at * s[i] + (s[i] == 1 ? 0 : j);
        }
        return at;
      };
      const std::int64_t first_a = matrix(sa) * m * k, first_b = matrix(sb) * k * n;
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          long double total = 0;
          for (std::int64_t l = 0; l < k; ++l)
            total += static_cast<long double>(va[static_cast<std::size_t>(first_a + i * k + l)]) *
                     vb[static_cast<std::size_t>(first_b + l * n + j)];
          values.push_back(static_cast<double>(total));
        }
    }
    shape = batch;
    if (a.ndim() > 1) shape.push_back(m);
    if (b.ndim() > 1) shape.push_back(n);
  }
};

void check_product(const Tensor& a, const Tensor& b, double tolerance) {
  CAPTURE(describe(a));
  CAPTURE(describe(b));
  CAPTURE(to_string(a.strides()));
  CAPTURE(to_string(b.strides()));
  const Reference expected(a, b);
  check_close(matmul(a, b), expected.shape, expected.values, tolerance);
}

struct Pair {
  Shape a, b;
};
const std::vector<Pair>& pairs() {
  static const std::vector<Pair> list = {
      {{4, 2}, {2, 3}},
      {{1, 1}, {1, 1}},
      {{5}, {5}},
      {{5}, {5, 3}},
      {{4, 5}, {5}},
      {{100, 40}, {40, 100}},
      {{33, 65}, {65, 17}},
      {{1, 300}, {300, 1}},
      {{70, 1}, {1, 70}},
      {{3, 4, 5}, {5, 6}},
      {{3, 4, 5}, {3, 5, 6}},
      {{4, 5}, {3, 5, 6}},
      {{2, 1, 4, 5}, {3, 5, 2}},
      {{3, 4, 5}, {5}},
      {{5}, {3, 5, 2}},
      {{2, 3, 1, 5}, {5, 4}},
      {{1, 4, 5}, {5, 6}},
      {{3, 4, 5}, {1, 5, 6}},
      {{2, 2, 3, 4}, {2, 1, 4, 3}},
      {{0, 3}, {3, 2}},
      {{2, 0}, {0, 3}},
      {{2, 3}, {3, 0}},
      {{0, 2, 3}, {3, 2}},
      {{0}, {0}},
      {{2, 3, 0}, {0, 4}},
      {{1, 2, 3}, {0, 3, 2}},
  };
  return list;
}

Tensor gradient(const Tensor& y, const Tensor& x, const Tensor& cotangent) {
  return gradients(y, {x}, {.cotangent = cotangent})[0];
}

/// A tensor of this shape whose elements lie in another order: axes i and j exchanged in memory.
Tensor laid_out(const Shape& shape, int i, int j, int seed, DType dtype = DType::float64) {
  Shape stored = shape;
  std::swap(stored[i], stored[j]);
  return swapaxes(sample(stored, seed, dtype), i, j);
}

std::int64_t operators_between(const Tensor& y) {
  std::int64_t n = 0;
  for (const detail::TensorImpl* t = y.get(); t != nullptr && t->op != nullptr; t = t->inputs[0]) ++n;
  return n;
}

}  // namespace

TEST_CASE("products agree with plain loops: vectors, matrices, batches that broadcast, empty ones") {
  for (const Pair& p : pairs()) {
    check_product(sample(p.a, 1), sample(p.b, 2), 1e-13);
    check_product(sample(p.a, 3, DType::float32), sample(p.b, 4, DType::float32), 1e-5);
    const Tensor ia = cast(sample(p.a, 5) * 10.0, DType::int64),
                 ib = cast(sample(p.b, 6) * 10.0, DType::int64);
    check_product(ia, ib, 0);
    CHECK(matmul(ia, ib).dtype() == DType::int64);
  }
}

TEST_CASE("products agree with BLAS through xtensor") {
  const Tensor a = sample({19, 31}, 1), b = sample({31, 23}, 2);
  xt::xtensor<double, 2> xa = xt::zeros<double>({19, 31}), xb = xt::zeros<double>({31, 23});
  const auto va = a.to_vector<double>(), vb = b.to_vector<double>();
  std::copy(va.begin(), va.end(), xa.begin());
  std::copy(vb.begin(), vb.end(), xb.begin());
  const xt::xtensor<double, 2> expected = xt::linalg::dot(xa, xb);
  check_close(matmul(a, b), {19, 23}, {expected.begin(), expected.end()}, 1e-13);
}

TEST_CASE("strided operands: transposed, sliced, repeated, backwards") {
  for (int rows : {2, 7, 40})
    for (int inner : {3, 30}) {
      const Tensor a = sample({rows, inner}, 1), b = sample({inner, 5}, 2);
      const Tensor at = laid_out({rows, inner}, 0, 1, 3), bt = laid_out({inner, 5}, 0, 1, 4);
      check_product(at, b, 1e-13);
      check_product(a, bt, 1e-13);
      check_product(at, bt, 1e-13);
      check_product(slice(sample({2 * rows, inner + 4}, 5), {Slice(0, 2 * rows, 2), Slice(2, inner + 2)}), b,
                    1e-13);
      check_product(slice(sample({rows, 2 * inner}, 6), {Slice(), Slice(0, 2 * inner, 2)}), bt, 1e-13);
      check_product(slice(a, {Slice(Slice::none, Slice::none, -1)}), b, 1e-13);
      check_product(broadcast_to(sample({inner}, 7), {rows, inner}), b, 1e-13);
      check_product(a, broadcast_to(sample({inner, 1}, 8), {inner, 5}), 1e-13);
      check_product(broadcast_to(sample({}, 9), {rows, inner}), b, 1e-13);
      // Vectors that are columns of a matrix, or run backwards.
      check_product(a, slice(sample({inner, 3}, 10), {Slice(), 1}), 1e-13);
      check_product(slice(sample({inner, 3}, 11), {Slice(), 2}), b, 1e-13);
      check_product(slice(sample({inner}, 12), {Slice(Slice::none, Slice::none, -1)}), b, 1e-13);
    }
}

TEST_CASE("strided batches") {
  for (int i = 0; i < 3; ++i)
    for (int j = i + 1; j < 3; ++j) {
      check_product(laid_out({3, 4, 5}, i, j, 1), sample({5, 2}, 2), 1e-13);
      check_product(laid_out({3, 4, 5}, i, j, 3), sample({3, 5, 2}, 4), 1e-13);
      check_product(sample({3, 2, 4}, 5), laid_out({3, 4, 5}, i, j, 6), 1e-13);
      check_product(laid_out({3, 1, 5}, i, j, 7), sample({5, 2}, 8), 1e-13);
    }
  check_product(broadcast_to(sample({4, 5}, 9), {3, 4, 5}), sample({5, 2}, 10), 1e-13);
  check_product(slice(sample({3, 8, 5}, 11), {Slice(), Slice(0, 4)}), sample({5, 2}, 12), 1e-13);
  check_product(slice(sample({2, 3, 1, 10}, 13), {Slice(), Slice(), Slice(), Slice(0, 5)}),
                sample({5, 2}, 14), 1e-13);
}

TEST_CASE(
    "the transposing options are the product of transposed views, with derivatives of the operands' shapes") {
  const auto check = [](const Shape& a, const Shape& b, MatmulOptions options) {
    CAPTURE(to_string(a));
    CAPTURE(options.transpose_a);
    CAPTURE(options.transpose_b);
    const auto turned = [](const Tensor& x, bool turn) { return turn ? swapaxes(x, -1, -2) : x; };
    const Tensor x = variable(sample(a, 1)), y = variable(sample(b, 2));
    const Tensor product = matmul(x, y, options);
    const Tensor expected = matmul(turned(x, options.transpose_a), turned(y, options.transpose_b));
    check_close(product, expected, 1e-13);
    const Tensor g = sample(product.shape(), 3);
    const auto [dx, dy] = gradients<2>(product, {x, y}, {.cotangent = g});
    const auto [ex, ey] = gradients<2>(expected, {x, y}, {.cotangent = g});
    check_close(dx, ex, 1e-13);
    check_close(dy, ey, 1e-13);
  };
  check({7, 4}, {7, 5}, {.transpose_a = true});
  check({4, 7}, {5, 7}, {.transpose_b = true});
  check({7, 4}, {5, 7}, {.transpose_a = true, .transpose_b = true});
  check({3, 7, 4}, {7, 5}, {.transpose_a = true});
  check({3, 4, 7}, {5, 7}, {.transpose_b = true});
  check({2, 1, 4, 7}, {3, 5, 7}, {.transpose_b = true});
  check({30, 80}, {30, 90}, {.transpose_a = true});
  check({40, 60}, {70, 60}, {.transpose_b = true});
}

TEST_CASE("element types promote as in add") {
  const Tensor f = sample({2, 3}, 1, DType::float32), d = sample({3, 2}, 2),
               i = tensor({{1, 2}, {3, 4}, {5, 6}});
  CHECK(matmul(f, d).dtype() == DType::float64);
  CHECK(matmul(f, i).dtype() == DType::float64);
  CHECK(matmul(i, tensor({{true}, {false}})).dtype() == DType::int64);
  check_close(matmul(i, tensor({{true}, {false}})), {3, 1}, {1, 3, 5}, 0);
  check_close(matmul(f, d), matmul(cast(f, DType::float64), d), 1e-15);
}

TEST_CASE("errors name the operands and the user's line") {
  const Tensor a = zeros({64, 784}), b = zeros({128, 10});
  const unsigned line = __LINE__ + 1;
  const std::string text = message<ShapeError>([&] { matmul(a, b); });
  CHECK(text ==
        "matmul: inner dimensions differ: a is float32[64, 784], b is float32[128, 10] (linear_test.cpp:" +
            std::to_string(line) + ")");
  CHECK(contains(message<ShapeError>([&] {
                   matmul(zeros({2, 4, 3}), zeros({3, 3, 2}));
                 }),
                 "matmul: the batches don't broadcast: a is float32[2, 4, 3], b is float32[3, 3, 2]"));
  CHECK(contains(message<ShapeError>([&] { matmul(a, 2.0); }), "matmul: a number is no matrix"));
  CHECK(contains(message<ShapeError>([&] { matmul(zeros({3}), zeros({4})); }), "inner dimensions differ"));
  CHECK(contains(message<DTypeError>([&] {
                   matmul(zeros({2, 2}, DType::bool_), zeros({2, 2}, DType::bool_));
                 }),
                 "matmul: bool matrices are not multiplied"));
}

TEST_CASE("derivatives are g b^T and a^T g, summed over repeated batches") {
  // d sum(g * (a b)) / da[q] = sum over p, with a[q] in the p-th product, of g[p] b[p]^T: by basis vectors.
  for (const Pair& p : pairs()) {
    CAPTURE(to_string(p.a));
    CAPTURE(to_string(p.b));
    const Tensor a = variable(sample(p.a, 1)), b = variable(sample(p.b, 2));
    if (a.size() > 200 || b.size() > 200) continue;
    const Tensor y = matmul(a, b);
    const Tensor g = sample(y.shape(), 3);
    const auto by_basis = [&](const Tensor& x, auto product) {
      std::vector<double> expected;
      for (std::int64_t i = 0; i < x.size(); ++i) {
        std::vector<double> e(static_cast<std::size_t>(x.size()), 0.0);
        e[static_cast<std::size_t>(i)] = 1;
        const Reference r = product(from_span<double>(e, x.shape()));
        const auto w = g.to_vector<double>();
        double total = 0;
        for (std::size_t j = 0; j < w.size(); ++j) total += w[j] * r.values[j];
        expected.push_back(total);
      }
      return expected;
    };
    check_close(gradient(y, a, g), p.a, by_basis(a, [&](const Tensor& e) { return Reference(e, b); }), 1e-13);
    check_close(gradient(y, b, g), p.b, by_basis(b, [&](const Tensor& e) { return Reference(a, e); }), 1e-13);
  }
}

TEST_CASE("derivatives through transposed views, and of a product with itself") {
  const Tensor x = variable(sample({4, 3}, 1));
  const Tensor g = sample({3, 3}, 2);
  // x^T x with cotangent g: x (g + g^T).
  check_close(gradient(matmul(transpose(x), x), x, g), matmul(stop_gradient(x), g + transpose(g)), 1e-14);
  const Tensor s = variable(sample({3, 3}, 3));
  const Tensor constant = stop_gradient(s);
  check_close(gradient(matmul(s, s), s, g), matmul(g, transpose(constant)) + matmul(transpose(constant), g),
              1e-14);
}

TEST_CASE("the cotangent of sum, a repeated view, gives the same as a plain one") {
  const Tensor a = variable(sample({6, 5}, 1)), b = variable(sample({5, 4}, 2));
  const auto [da, db] = gradients<2>(sum(matmul(a, b)), {a, b});
  const Tensor one = ones({6, 4}, DType::float64);
  check_close(da, matmul(one, transpose(stop_gradient(b))), 1e-14);
  check_close(db, matmul(transpose(stop_gradient(a)), one), 1e-14);
}

TEST_CASE("derivatives of any order: of f = sum(a b a) by a, twice") {
  const Tensor a = variable(sample({3, 3}, 1)), b = sample({3, 3}, 2), u = sample({3, 3}, 3);
  const Tensor f = sum(matmul(matmul(a, b), a));
  const Tensor first = gradients(f, {a}, {.create_graph = true})[0];
  // f is quadratic: its Hessian times u is the gradient at u, and the gradient at a is half of it doubled.
  const Tensor second = gradient(first, a, u);
  const Tensor at_u = [&] {
    const Tensor v = variable(u);
    return gradients(sum(matmul(matmul(v, b), v)), {v})[0];
  }();
  check_close(second, at_u, 1e-13);
}

TEST_CASE("a batch times one matrix is differentiated by one product") {
  const Tensor x = sample({8, 5, 4}, 1), w = variable(sample({4, 3}, 2));
  const Tensor dw =
      gradients(matmul(x, w), {w}, {.cotangent = variable(sample({8, 5, 3}, 3)), .create_graph = true})[0];
  REQUIRE(dw.made_by() != nullptr);
  CHECK(dw.made_by()->name == "matmul");  // and not a sum over a batch of products
  CHECK(operators_between(dw) <= 2);
}

TEST_CASE("forward mode is da b + a db") {
  const Tensor a = sample({2, 3, 4}, 1), b = sample({4, 2}, 2), da = sample({2, 3, 4}, 3),
               db = sample({4, 2}, 4);
  const auto [y, t] = jvp([](const Tensors& in) { return matmul(in[0], in[1]); }, {a, b}, {da, db});
  check_close(t, matmul(da, b) + matmul(a, db), 1e-14);
  const auto [z, s] = jvp([&](const Tensors& in) { return matmul(a, in[0]); }, {b}, {db});
  check_close(s, matmul(a, db), 1e-14);
}
