// Chains of cheap operators that hand their results on in registers: the bits of eager code.

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/operator.hpp"
#include "autodiff/ops/updates.hpp"
#include "autodiff/program/program.hpp"
#include "autodiff/program/program_file.hpp"

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

/// Single elements that an operator of several inputs takes at its end.
int scalars(const OperatorDefinition& op) { return op.row.chain[static_cast<int>(DType::float32)]->scalars; }

/// `x` is input k; a, and b where there are more, the others that are no single elements.
Tensor call(const OperatorDefinition& op, int k, const Tensor& x, const Tensor& a, const Tensor& b) {
  std::vector<Tensor> inputs;
  for (int i = 0; i < op.max_inputs; ++i) {
    const bool single = op.max_inputs > 2 && i >= op.max_inputs - scalars(op);
    inputs.push_back(i == k                   ? x
                     : single                 ? full(Shape{}, 0.25 + 0.5 * i, x.dtype())
                     : (i + (i > k)) % 2 == 0 ? a
                                              : b);
  }
  return apply_op(op, Tensors(inputs), nullptr, {});
}

/// Operations of the loops of a captured function, a chain counted as one.
template <class Captured>
std::size_t operations(const Captured& f) {
  std::size_t sum = 0;
  for (const auto& kept : f.core().kept()) {
    const program::Plan& plan = kept.program->plan();
    sum += plan.flat.size();
    for (const program::Loop& loop : plan.loops) sum += loop.body.size();
  }
  return sum;
}

}  // namespace

TEST_SUITE_BEGIN("chains");

TEST_CASE("elementwise operators take part, and no others") {
  CHECK(members().size() >= 60);
  for (const OperatorDefinition* op : operators()) {
    INFO(op->name);
    CHECK(takes_part(*op, DType::float64) == takes_part(*op));
    CHECK(!takes_part(*op, DType::int64));
    if (takes_part(*op)) {
      CHECK(op->elementwise);
      CHECK(!op->boolean_result);
    } else if (op->elementwise && !op->boolean_result) {
      INFO("several operands and an elementary function are long code many times over; where reads bools");
      const std::string& n = op->name;
      CHECK(op->max_inputs >= 2);
      if (op->max_inputs == 2)
        CHECK((n == "power" || n == "sin_vjp" || n == "cos_vjp" || n == "softplus_vjp"));
    }
  }
}

TEST_CASE("every operator, before and after others, in every position, has the bits of eager code") {
  std::vector<const OperatorDefinition*> others;
  for (const char* name : {"add", "safe_multiply", "tanh_vjp", "abs", "lerp"})
    others.push_back(find_operator(name));
  for (const DType dtype : {DType::float32, DType::float64})
    for (const OperatorDefinition* op : members())
      for (const OperatorDefinition* other : others)
        for (const bool first : {false, true}) {
          const OperatorDefinition &inner = first ? *op : *other, &outer = first ? *other : *op;
          for (int k = 0; k < outer.max_inputs; ++k) {
            const auto f = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
              return call(outer, k, call(inner, 0, a, b, c), c, b);
            };
            // Groups of eight, four, two registers and one, the last of them filled in part.
            const Shape shapes[] = {{1}, {5}, {37}, {509}};
            for (const Shape& shape : shapes) {
              const Tensor a = numbers(shape, dtype, 1), b = numbers(shape, dtype, 2),
                           c = numbers(shape, dtype, 3), one = numbers({}, dtype, 4);
              INFO(inner.name, " ", outer.name, " ", k, " ", to_string(shape));
              CHECK(same_bits(captured(f)(a, b, c), f(a, b, c)));
              if (shape.elements() == 1) continue;
              CHECK(same_bits(captured(f)(a, b, one), f(a, b, one)));
              CHECK(same_bits(captured(f)(a, one, c), f(a, one, c)));
              CHECK(same_bits(captured(f)(one, b, c), f(one, b, c)));
            }
          }
        }
}

TEST_CASE("chains of several operators that an operator reads become one") {
  const auto f = [](const Tensor& x, const Tensor& y) {
    const Tensor a = tanh(x * y) * 0.5, b = square(x - y) + 1.0;
    return Tensors{a / b, a, b};
  };
  for (const Shape& shape : {Shape{7}, Shape{300}, Shape{70001}}) {
    const Tensor x = numbers(shape, DType::float32, 1), y = numbers(shape, DType::float32, 2);
    auto g = captured(f);
    const Tensors got = g(x, y), expected = f(x, y);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
    CHECK(operations(g) == 1);
    CHECK(g.statistics().frame_bytes == 0);
  }
}

TEST_CASE("what several operators of a chain read is computed before them, whatever their order") {
  const auto f = [](const Tensor& x, const Tensor& y) {
    const Tensor a = x * y, b = a + x, c = a - y;  // c joins b's chain, which computes what both read
    const Tensor d = b * c, e = c + y, g = maximum(d, e);
    const Tensor h = clip(g * b, -0.5, 0.75), i = h - a;
    return Tensors{i * e, sum(g, 0), clip(h * i, c, d), c};
  };
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Shape& shape : {Shape{1, 1}, Shape{3, 5}, Shape{40, 1000}, Shape{2, 70001}}) {
      const Tensor x = numbers(shape, dtype, 1), y = numbers(shape, dtype, 2);
      auto g = captured(f);
      const Tensors got = g(x, y), expected = f(x, y);
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
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

TEST_CASE(
    "chains over arrays that come from memory, of one and of many inputs, have the bits of eager code") {
  const auto f = [](const Tensor& a, const Tensor& b, const Tensor& c) {
    const Tensor moved = lerp(a, b, tensor({0.125f}));
    return Tensors{((a + b) * c - a) * b, adam_update(c, moved, square(b), 1.0f, 0.01f, 1e-6f), moved};
  };
  // 1 MB and more, and a last tile of every size of groups
  for (const std::int64_t n :
       {std::int64_t{262'144}, std::int64_t{300'023}, std::int64_t{65'536 + 16 * 7 + 3}}) {
    Tensors x;
    for (int seed = 1; seed < 4; ++seed) x.push_back(numbers({n}, DType::float32, seed));
    const Tensors eager = f(x[0], x[1], x[2]), replayed = captured(f)(x[0], x[1], x[2]);
    REQUIRE(eager.size() == replayed.size());
    for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], replayed[i]));
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

// The moments are written over the old ones in the middle of a chain, and what is written is read in it.
TEST_CASE("moments and update of Adam are one chain, with decay or without") {
  const auto& lerp = *find_operator("lerp");
  const auto& lerp_square = *find_operator("lerp_square");
  const auto& update = *find_operator("adam_update");
  const auto& add_scaled = *find_operator("add_scaled");
  const auto number = [](double x) { return full(Shape{}, x, DType::float32); };
  const Tensor weight1 = number(0.1), weight2 = number(0.01), keep = number(0.99), epsilon = number(1e-3),
               decay = number(0.02);
  struct Moments {
    State p, m, v;
    explicit Moments(const Shape& shape)
        : p(numbers(shape, DType::float32, 1)),
          m(numbers(shape, DType::float32, 2)),
          v(square(numbers(shape, DType::float32, 3))) {}
  };
  for (const bool decayed : {false, true})
    for (const Shape& shape : {Shape{1}, Shape{3}, Shape{1000}, Shape{40000}}) {
      INFO(to_string(shape), decayed ? " with decay" : "");
      const auto step = [&](const Moments& s, const Tensor& gradient, const Tensor& rate) {
        const auto apply = [](const OperatorDefinition& op, std::vector<Tensor> in) {
          return apply_op(op, Tensors(std::move(in)), nullptr, {});
        };
        const Tensor g = decayed ? apply(add_scaled, {gradient, s.p.value(), decay}) : gradient;
        const Tensor m = apply(lerp, {s.m.value(), g, weight1});
        const Tensor v = apply(lerp_square, {s.v.value(), g, weight2});
        const Tensor p = apply(update, {s.p.value(), m, v, keep, rate, epsilon});
        s.m.set(m), s.v.set(v), s.p.set(p);
        return m * v;
      };
      const Moments replayed(shape), eager(shape);
      auto replay = capture([&](const Tensor& g, const Tensor& r) { return step(replayed, g, r); });
      for (int i = 0; i < 4; ++i) {
        const Tensor g = numbers(shape, DType::float32, 4 + i), rate = number(0.1 + i);
        const Tensor got = replay(g, rate), expected = step(eager, g, rate);
        CHECK(same_bits(got, expected));
        CHECK(same_bits(replayed.p.value(), eager.p.value()));
        CHECK(same_bits(replayed.m.value(), eager.m.value()));
        CHECK(same_bits(replayed.v.value(), eager.v.value()));
      }
      if (shape.elements() > 1) CHECK(operations(replay) == 1);
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
