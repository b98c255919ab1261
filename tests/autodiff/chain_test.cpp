// Chains of cheap operators that hand their results on in registers: the bits of eager code.

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/operator.hpp"

using namespace wengert;

namespace {

/// Also where NaN stands: which one of two an addition hands on is left open.
bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const auto one_nan = [](const Tensor& x) { return contiguous(where(x == x, x, std::nan(""))); };
  const Tensor x = one_nan(a), y = one_nan(b);
  return std::memcmp(x.get()->data, y.get()->data,
                     static_cast<std::size_t>(x.size()) * item_size(x.dtype())) == 0;
}

bool takes_part(const OperatorDefinition& op, DType dtype = DType::float32) {
  return op.row.chain[static_cast<int>(dtype)] != nullptr;
}

std::vector<const OperatorDefinition*> members() {
  std::vector<const OperatorDefinition*> result;
  for (const OperatorDefinition* op : operators())
    if (takes_part(*op)) result.push_back(op);
  return result;
}

/// Numbers of both signs, with zeros of both signs among them.
Tensor numbers(const Shape& shape, DType dtype, int seed) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    const std::int64_t k = i * 7 + seed * 3;
    values.push_back(k % 11 == 0 ? 0.0 : k % 31 == 0 ? -0.0 : 1.7 * std::cos(static_cast<double>(k)));
  }
  return cast(from_span<double>(values, shape), dtype);
}

/// Without rewrite rules, which may change the sign of a zero.
template <class F>
auto captured(F f) {
  CaptureOptions options;
  options.rewrite = false;
  return capture(f, options);
}

Tensor call(const OperatorDefinition& op, const Tensor& a, const Tensor& b) {
  return op.max_inputs == 1 ? apply_op(op, Tensors{a}, nullptr, {})
                            : apply_op(op, Tensors{a, b}, nullptr, {});
}

}  // namespace

TEST_SUITE_BEGIN("chains");

TEST_CASE("elementwise operators of one or two inputs take part, and no others") {
  CHECK(members().size() >= 40);
  for (const OperatorDefinition* op : operators()) {
    INFO(op->name);
    CHECK(takes_part(*op, DType::float64) == takes_part(*op));
    CHECK(!takes_part(*op, DType::int64));
    if (takes_part(*op)) {
      CHECK(op->elementwise);
      CHECK(op->max_inputs <= 2);
      CHECK(!op->boolean_result);
    } else if (op->elementwise && op->max_inputs <= 2 && !op->boolean_result) {
      // Two operands and an elementary function: long code many times over.
      const std::string& n = op->name;
      CHECK((n == "power" || n == "sin_vjp" || n == "cos_vjp" || n == "softplus_vjp"));
    }
  }
}

TEST_CASE("every operator, before and after others, in both positions, has the bits of eager code") {
  std::vector<const OperatorDefinition*> others;
  for (const char* name : {"add", "safe_multiply", "tanh_vjp", "abs"}) others.push_back(find_operator(name));
  for (const DType dtype : {DType::float32, DType::float64})
    for (const OperatorDefinition* op : members())
      for (const OperatorDefinition* other : others)
        for (const bool first : {false, true})
          for (const bool second : {false, true}) {
            const OperatorDefinition &inner = first ? *op : *other, &outer = first ? *other : *op;
            if (second && outer.max_inputs == 1) continue;
            const auto f = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
              const Tensor x = call(inner, a, b);
              return second ? call(outer, c, x) : call(outer, x, c);
            };
            // Groups of eight, four, two registers and one, the last of them filled in part.
            const Shape shapes[] = {{1}, {5}, {37}, {509}};
            for (const Shape& shape : shapes) {
              const Tensor a = numbers(shape, dtype, 1), b = numbers(shape, dtype, 2),
                           c = numbers(shape, dtype, 3), one = numbers({}, dtype, 4);
              INFO(inner.name, " ", outer.name, " ", second, " ", to_string(shape));
              CHECK(same_bits(captured(f)(a, b, c), f(a, b, c)));
              if (shape.elements() == 1) continue;
              CHECK(same_bits(captured(f)(a, b, one), f(a, b, one)));
              CHECK(same_bits(captured(f)(a, one, c), f(a, one, c)));
              CHECK(same_bits(captured(f)(one, b, c), f(one, b, c)));
            }
          }
}

TEST_CASE("a value between two operators of a chain takes no memory, one with two readers does") {
  const Tensor a = numbers({300}, DType::float32, 1), b = numbers({300}, DType::float32, 2);
  auto chain = capture([](const Tensor& x, const Tensor& y) { return x * y + x - square(y * 2.0) * y; });
  chain(a, b);
  const std::size_t one_tile = chain.statistics().frame_bytes;
  CHECK(one_tile >= 300 * 4);  // the product on the right
  CHECK(one_tile < 600 * 4);
  const auto twice = [](const Tensor& x, const Tensor& y) {
    const Tensor z = x * y;
    return Tensors{z + x, z - y, z * z};
  };
  auto shared = capture(twice);
  const Tensors got = shared(a, b), expected = twice(a, b);
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
  CHECK(shared.statistics().frame_bytes >= 300 * 4);
}

TEST_CASE("values that leave the loop are written although a chain goes on with them") {
  const auto f = [](const Tensor& x, const Tensor& y) {
    const Tensor z = x * y, w = z + x;
    return Tensors{w * y - x, z, sum(w - y), sum(z * x, 0)};
  };
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = numbers({23, 41}, dtype, 1), y = numbers({23, 41}, dtype, 2);
    auto g = captured(f);
    const Tensors got = g(x, y), expected = f(x, y);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
  }
}

TEST_CASE("chains over rows and columns, tiles and chunks") {
  const auto f = [](const Tensor& x, const Tensor& row, const Tensor& column) {
    const Tensor centred = (x - column) * row + 0.5;
    const Tensor scaled = (column * 2.0 - 1.0) * column;  // one element a row
    return Tensors{(tanh(centred) * scaled - row) * x + centred, 1.0 - square(x * row)};
  };
  for (const Shape& shape : {Shape{3, 5}, Shape{40, 1000}, Shape{9, 3001}, Shape{2, 70001}, Shape{1000, 129},
                             Shape{700, 400}, Shape{2100, 130}}) {
    const Tensor x = numbers(shape, DType::float32, 1), row = numbers({shape[1]}, DType::float32, 2),
                 column = numbers({shape[0], 1}, DType::float32, 3);
    auto g = captured(f);
    const Tensors got = g(x, row, column), expected = f(x, row, column);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
  }
}

TEST_CASE(
    "what runs row by row takes no operand's place, whose next row its last register would reach into") {
  const auto f = [](const Tensor& x, const Tensor& column) {
    const Tensor a = tanh(x - column), total = sum(a, -1, true);
    const Tensor b = a * column + a, largest = max(b, -1, true);
    return Tensors{total, largest, exp(b - largest) * total};
  };
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Shape& shape : {Shape{600, 129}, Shape{300, 201}, Shape{40, 400}}) {
      const Tensor x = numbers(shape, dtype, 1), column = numbers({shape[0], 1}, dtype, 3);
      auto g = captured(f);
      const Tensors got = g(x, column), expected = f(x, column);
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
    }
}

TEST_CASE("a chain runs before somebody writes over one of its operands") {
  for (const Shape& shape : {Shape{3}, Shape{1000}, Shape{40000}}) {
    State replayed(numbers(shape, DType::float32, 1)), eager(numbers(shape, DType::float32, 1));
    const auto update = [](const State& s, const Tensor& x) {
      const Tensor old = s.value(), product = old * x;
      s.set(old - x);
      return product + s.value() * s.value();  // reads the old value, after the new one is there
    };
    auto step = capture([&](const Tensor& x) { return update(replayed, x); });
    for (int i = 0; i < 4; ++i) {
      const Tensor x = numbers(shape, DType::float32, 2 + i);
      CHECK(same_bits(step(x), update(eager, x)));
      CHECK(same_bits(replayed.value(), eager.value()));
    }
  }
}

TEST_CASE("long chains, cut into several, on one element and on many, forward and backward") {
  const auto f = [](const Tensor& start, const Tensor& a, const Tensor& b) {
    const Tensor x0 = variable(start);
    Tensor x = x0;
    for (int k = 0; k < 700; ++k) x = k % 3 == 2 ? b - x * a : x * a + b;
    return Tensors{x, gradients(sum(x), {x0})[0]};
  };
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t size : {1, 64, 1000}) {
      const Tensor a = 0.5 + 0.25 * numbers({size}, dtype, 1), b = numbers({size}, dtype, 2);
      const Tensors got = captured(f)(b, a, b), expected = f(b, a, b);
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
    }
}

TEST_CASE("a chain keeps few tiles as operands, however many there are") {
  const auto f = [](const Tensor& x) {
    Tensor total = x * 2.0;
    for (int k = 1; k <= 60; ++k) total = total + exp(x * (1.0 / k));
    return total;
  };
  const Tensor x = numbers({512}, DType::float32, 1);
  auto g = captured(f);
  CHECK(same_bits(g(x), f(x)));
  CHECK(g.statistics().frame_bytes < 12 * 512 * 4);
}

TEST_SUITE_END();
