#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "tests/autodiff/random_recipes.hpp"
#include "tests/autodiff/side_by_side.hpp"

using namespace wengert;
using recipes::below;
using recipes::Engine;

// Loops that compute the product that they read, some rows at a time. Products of the library do so where
// they are large and the processor has AVX-512; an operator of this file does it with small ones anywhere.

namespace {

/// Rows of a plain product, term by term.
template <class T>
void rows_of_product(const DirectSizes& sizes, std::int64_t rows, const T* a, const T* b, T* c) {
  const auto [ta, tb, m, n, k, lda, ldb, unused] = sizes;
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (std::int64_t p = 0; p < k; ++p) sum += a[ta ? p * lda + i : i * lda + p] * b[p * ldb + j];
      c[i * n + j] = sum;
    }
}

struct ByRows {
  bool transpose_a;
  template <class V>
  void visit(V&& v) const {
    v("transpose_a", transpose_a);
  }
};

bool sizes_of(const Call& call, DirectSizes& sizes) {
  const bool ta = call.attrs<ByRows>().transpose_a;
  const Shape &a = call.shape(0), &b = call.shape(1);
  sizes = {ta, false, a[ta ? 1 : 0], b[1], a[ta ? 0 : 1], a[1], b[1]};
  return true;
}

template <class T>
void whole(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t) {
  const auto& sizes = *static_cast<const DirectSizes*>(op.attributes);
  rows_of_product(sizes, sizes[2], reinterpret_cast<const T*>(slots[op.in[0]]),
                  reinterpret_cast<const T*>(slots[op.in[1]]), reinterpret_cast<T*>(slots[op.out]));
}
template <class T>
void some(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t) {
  const auto& sizes = static_cast<const SomeRows*>(op.attributes)->sizes;
  rows_of_product(sizes, rows, reinterpret_cast<const T*>(slots[op.in[0]]),
                  reinterpret_cast<const T*>(slots[op.in[1]]), reinterpret_cast<T*>(slots[op.out]));
}

Tensor product_by_rows(const Tensor& a, const Tensor& b, bool transpose_a) {
  static const OperatorDefinition& op = *define({
      .name = "product_by_rows",
      .doc = "a b, or a^T b",
      .contract = "no derivative: for tests of programs",
      .inputs = 2,
      .attributes = attributes_of<ByRows>,
      .infer =
          [](const Call& call) {
            DirectSizes sizes;
            sizes_of(call, sizes);
            return Meta{call.dtype(0), {sizes[2], sizes[3]}};
          },
      .kernel =
          [](const Call& call, detail::TensorImpl& out) {
            DirectSizes sizes;
            sizes_of(call, sizes);
            if (out.dtype == DType::float32)
              rows_of_product(sizes, sizes[2], call[0].as<float>(), call[1].as<float>(), out.as<float>());
            else
              rows_of_product(sizes, sizes[2], call[0].as<double>(), call[1].as<double>(), out.as<double>());
          },
      .row = {.kernel = {nullptr, nullptr, whole<float>, whole<double>},
              .direct = sizes_of,
              .rows_at_once =
                  [](const Call& call) { return call.shape(1)[1] % 16 == 0 ? std::int64_t{8} : 0; },
              .some_rows = {nullptr, nullptr, some<float>, some<double>}},
      .differentiable = false,
      .flops = [](const Call& call, const Shape& result) { return 2 * result.elements() * call.shape(1)[0]; },
  });
  const ByRows attributes{transpose_a};
  return apply_op(op, {a, b}, &attributes, SourceLocation::current());
}

void check_equal(const Tensors& got, const Tensors& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(cast(got[i], DType::float64).to_vector<double>() ==
          cast(expected[i], DType::float64).to_vector<double>());
}

/// Whether matmul has a kernel for some rows with this processor's instruction set.
bool matmul_by_rows() { return find_operator("matmul")->row.some_rows[2] != nullptr; }

// ------------------------------------------------------------------------------------------ random programs

struct Op {
  int kind, a, b;
};
/// A program of a product and what is done with it.
struct Mixture {
  std::int64_t m, n, k;
  bool transpose_a, from_state;
  std::vector<Op> ops;
  std::vector<int> results;  // what is returned, 4 * value + how
  std::vector<int> updates;  // of the two states, in order: 2 * value + how, or less than 0
};

Mixture random_mixture(Engine& engine) {
  Mixture x{1 + below(engine, 90),
            16 * (1 + below(engine, 4)),
            1 + below(engine, 9),
            engine() % 2 == 0,
            engine() % 3 == 0,
            {},
            {},
            {}};
  const int count = below(engine, 7);
  for (int i = 0; i < count; ++i)
    x.ops.push_back({below(engine, 9), below(engine, static_cast<std::size_t>(i) + 1),
                     below(engine, static_cast<std::size_t>(i) + 1)});
  for (int i = below(engine, 3); i >= 0; --i)
    x.results.push_back(below(engine, 4 * (static_cast<std::size_t>(count) + 1)));
  for (int i = 0; i < 2; ++i) x.updates.push_back(below(engine, 2 * static_cast<std::size_t>(count) + 5) - 3);
  return x;
}

/// Two matrices like the product, and the product's second factor.
struct Slots {
  State first, second, factor;
};

Tensors run_mixture(const Mixture& x, const Tensor& a, const Tensor& b, const Tensor& row,
                    const Tensor& column, Slots& slots) {
  const Tensor second = x.from_state ? slots.factor.value() : b;
  std::vector<Tensor> v{product_by_rows(a, second, x.transpose_a)};
  for (const Op& op : x.ops) {
    const Tensor &p = v[static_cast<std::size_t>(op.a)], &q = v[static_cast<std::size_t>(op.b)];
    switch (op.kind) {
      case 0:
        v.push_back(tanh(p + row));
        break;
      case 1:
        v.push_back(p * slots.first.value());
        break;
      case 2:
        v.push_back(p - column);
        break;
      case 3:
        v.push_back(softmax(p, -1));
        break;
      case 4:
        v.push_back(where(p > 0.0, p, q));
        break;
      case 5:
        v.push_back(tanh(p * q));
        break;
      case 6:
        v.push_back(exp(-square(p)) + slots.second.value());
        break;
      case 7:
        v.push_back(p - max(p, -1, true));
        break;
      default:
        v.push_back(relu(p) * 0.5);
    }
  }
  Tensors results;
  for (const int r : x.results) {
    const Tensor& value = v[static_cast<std::size_t>(r / 4)];
    results.push_back(r % 4 == 0   ? sum(value, 0)
                      : r % 4 == 1 ? sum(value)
                      : r % 4 == 2 ? sum(value, -1)
                                   : value > 0.1);
  }
  State* const states[] = {&slots.first, &slots.second};
  for (std::size_t s = 0; s < 2; ++s)
    if (x.updates[s] >= 0) {
      const Tensor& value = v[static_cast<std::size_t>(x.updates[s] / 2)];
      states[s]->set(x.updates[s] % 2 == 0 ? 0.9 * states[s]->value() + 0.1 * value : value);
    }
  if (x.from_state) slots.factor.set(0.5 * slots.factor.value());
  return results;
}

/// Empty when three calls of the program give and leave what eager code does; otherwise what differs.
std::string disagreement(const Mixture& x, DType dtype, std::uint64_t seed, bool fused,
                         std::size_t& products) {
  random::Generator g(seed);
  const Tensor a = g.normal(x.transpose_a ? Shape{x.k, x.m} : Shape{x.m, x.k}, dtype);
  const Tensor b = g.normal({x.k, x.n}, dtype), row = g.normal({x.n}, dtype),
               column = g.normal({x.m, 1}, dtype);
  const Tensor first = g.normal({x.m, x.n}, dtype), second = g.normal({x.m, x.n}, dtype);
  const auto fresh = [&] { return Slots{State(first), State(second), State(b)}; };
  Slots eager = fresh(), replayed = fresh();
  CaptureOptions options = num_threads() > 1 ? side_by_side() : CaptureOptions{};
  options.fuse_products = fused;
  auto program = capture(
      [&](const Tensors& in) { return run_mixture(x, in[0], in[1], in[2], in[3], replayed); }, options);
  const double tolerance = dtype == DType::float64 ? 1e-11 : 1e-4;
  for (int time = 0; time < 3; ++time) {
    // Held in every other call: then the states can't change where they lie.
    const Tensor held = time % 2 == 0 ? replayed.first.value() : Tensor(), as_before = eager.first.value();
    Tensors expected = run_mixture(x, a, b, row, column, eager), got = program(Tensors{a, b, row, column});
    if (held.defined() && !recipes::difference(held, as_before, tolerance).empty())
      return "a tensor that is held has changed";
    for (const Slots* s : {&eager, &replayed})
      for (const State* state : {&s->first, &s->second, &s->factor})
        (s == &eager ? expected : got).push_back(state->value());
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (const std::string text = recipes::difference(got[i], expected[i], tolerance); !text.empty())
        return fmt::format("call {}, result {}: {}", time, i, text);
  }
  products = program.statistics().products;
  return {};
}

}  // namespace

TEST_SUITE_BEGIN("products in loops");

TEST_CASE(
    "random programs around a product agree with eager code, states included, with and without it in a "
    "loop") {
  std::size_t tried = 0, in_loops = 0;
  recipes::check_seeds(recipes::how_many(3000, 200), [&](std::uint64_t seed) -> std::string {
    Engine engine(seed);
    const Mixture x = random_mixture(engine);
    const Threads threads(seed % 2 == 0 ? 1 : 3);
    const DType dtype = seed % 3 == 0 ? DType::float32 : DType::float64;
    std::size_t products = 0, none = 0;
    std::string problem = disagreement(x, dtype, seed, true, products);
    if (problem.empty()) problem = disagreement(x, dtype, seed, false, none);
    if (problem.empty() && none != 0) problem = "a product in a loop where that is switched off";
    ++tried;
    in_loops += products;
    if (problem.empty()) return problem;
    std::string ops;
    for (const Op& op : x.ops) ops += fmt::format(" {}({},{})", op.kind, op.a, op.b);
    return fmt::format("{} [m {} n {} k {}, transposed {}, from a state {}, ops{}, results {}, updates {}]",
                       problem, x.m, x.n, x.k, x.transpose_a, x.from_state, ops, fmt::join(x.results, ","),
                       fmt::join(x.updates, ","));
  });
  MESSAGE(in_loops << " of " << tried << " products in loops");
  CHECK(in_loops > tried / 4);
}

TEST_CASE(
    "bias and activation, and an update in place, have the bits of eager code in the loop of their product") {
  if (!matmul_by_rows()) return;
  struct Size {
    std::int64_t m, n, k;
  };
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Size& size : {Size{300, 128, 130}, {257, 96, 100}, {784, 496, 32}, {331, 16, 1024}}) {
      const std::int64_t m = size.m, n = size.n, k = size.k;  // clang 14 takes no structured bindings here
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      const Tensor x = random::normal({m, k}, 0.0, 1.0, dtype), w = random::normal({k, n}, 0.0, 1.0, dtype),
                   b = random::normal({n}, 0.0, 1.0, dtype);
      auto layer = capture([](const Tensor& in, const Tensor& weight, const Tensor& bias) {
        return tanh(matmul(in, weight) + bias);
      });
      check_equal({layer(x, w, b)}, {tanh(matmul(x, w) + b)});
      CHECK(layer.statistics().products == 1);
      CHECK(layer.statistics().arena_bytes == 0);

      const Tensor xt = contiguous(transpose(x));
      State p(random::normal({m, n}, 0.0, 1.0, dtype)), v(zeros({m, n}, dtype));
      const Tensor p0 = p.value(), v0 = v.value();
      const auto step = [&](const Tensor& in, const Tensor& g) {
        const Tensor gradient = matmul(transpose(in), g);
        v.set(0.9 * v.value() + 0.1 * square(gradient));
        p.set(p.value() - 0.01 * gradient / (sqrt(v.value()) + 1e-8));
      };
      for (int i = 0; i < 3; ++i) step(xt, w);
      const Tensors expected{p.value(), v.value()};
      p.set(p0);
      v.set(v0);
      auto replayed = capture([&](const Tensor& in, const Tensor& g) {
        step(in, g);
        return Tensors{};
      });
      for (int i = 0; i < 3; ++i) replayed(xt, w);
      check_equal({p.value(), v.value()}, expected);
      CHECK(replayed.statistics().products == 1);
      CHECK(replayed.statistics().new_state_bytes == 0);
      check_equal({p0, v0}, {p0, zeros({m, n}, dtype)});
    }
}

TEST_CASE("a product of few rows is left whole, so that threads may cut it between columns, too") {
  if (!matmul_by_rows()) return;
  auto layer = capture([](const Tensor& x, const Tensor& w) { return tanh(matmul(x, w)); });
  const auto products = [&](std::int64_t m) {
    layer(zeros({m, 784}), zeros({784, 128}));
    return layer.statistics().products;
  };
  CHECK(products(256) == 0);
  CHECK(products(257) == 1);
}

TEST_CASE("a loop with a product has equal bits on any number of threads, sums over its rows included") {
  if (!matmul_by_rows()) return;
  const auto check = [](const auto& product, const Tensor& x, const Tensor& g, const Tensor& h) {
    auto f = capture([&](const Tensor& a, const Tensor& b, const Tensor& c) {
      const Tensor d = product(a, b) * (1.0 - square(c));
      return Tensors{d, sum(d, 0), sum(d), softmax(d, -1)};
    });
    Tensors expected;
    {
      const Threads one(1);
      expected = f(x, g, h);
    }
    CHECK(f.statistics().products == 1);
    check_equal({expected[0]}, {product(x, g) * (1.0 - square(h))});
    for (const int threads : {2, 3, 7}) {
      const Threads several(threads);
      for (int time = 0; time < 5; ++time) check_equal(f(x, g, h), expected);
    }
  };
  // The gradient of weights, and of a layer's input, whose second factor is transposed.
  check([](const Tensor& a, const Tensor& b) { return matmul(transpose(a), b); }, random::normal({256, 700}),
        random::normal({256, 144}), random::normal({700, 144}));
  check([](const Tensor& a, const Tensor& b) { return matmul(a, transpose(b)); }, random::normal({1100, 70}),
        random::normal({48, 70}), random::normal({1100, 48}));
}

TEST_CASE(
    "a product is no part of a loop when its result is needed elsewhere, or what it reads has changed by "
    "then") {
  const Tensor a = random::normal({24, 5}), b = random::normal({5, 16}), c = random::normal({24, 16});
  const auto products = [&](auto&& f) {
    auto captured = capture(f);
    const Tensors got = captured(Tensors{a, b, c}), expected = f(Tensors{a, b, c});
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      CHECK(recipes::difference(got[i], expected[i], 1e-5).empty());
    return captured.statistics().products;
  };
  const auto by_rows = [](const Tensors& in) { return product_by_rows(in[0], in[1], false); };
  CHECK(products([&](const Tensors& in) { return Tensors{tanh(by_rows(in))}; }) == 1);
  CHECK(products([&](const Tensors& in) { return Tensors{tanh(by_rows(in)), sum(by_rows(in), 0)}; }) == 1);
  // A result of the program.
  CHECK(products([&](const Tensors& in) {
          const Tensor p = by_rows(in);
          return Tensors{p, tanh(p)};
        }) == 0);
  // Read as another matrix, in another order, and by a loop that has to wait for another one.
  CHECK(products([&](const Tensors& in) { return Tensors{tanh(reshape(by_rows(in), {16, 24}))}; }) == 1);
  CHECK(products([&](const Tensors& in) { return Tensors{sum(reshape(by_rows(in), {16, 24}), 0)}; }) == 0);
  CHECK(products([&](const Tensors& in) { return Tensors{tanh(transpose(by_rows(in)))}; }) == 0);
  CHECK(products([&](const Tensors& in) {
          const Tensor p = by_rows(in);
          return Tensors{tanh(p - sum(tanh(p), 0))};
        }) == 0);
  // Two products that one loop reads: one of them.
  const Tensor d = random::normal({5, 24});
  CHECK(products([&](const Tensors& in) {
          return Tensors{tanh(by_rows(in)) + product_by_rows(d, in[1], true)};
        }) == 1);
  // A state that changes before the loop can run: the loop waits for a sum that the new value is a part of.
  State factor(b);
  auto waits = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor p = product_by_rows(x, factor.value(), false);
    factor.set(0.5 * factor.value());
    return tanh(p + sum(factor.value()) * y);
  });
  for (int i = 0; i < 3; ++i) {
    const Tensor expected = product_by_rows(a, factor.value(), false);
    const Tensor after = 0.5 * factor.value();
    check_equal({waits(a, c)}, {tanh(expected + sum(after) * c)});
    check_equal({factor.value()}, {after});
  }
  CHECK(waits.statistics().products == 0);
}

TEST_SUITE_END();
