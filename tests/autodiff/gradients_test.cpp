#include <doctest/doctest.h>
#include <pthread.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/tensor/storage.hpp"
#include "messages.hpp"

using namespace wengert;

namespace {

Tensor f64(const Nested& v) { return tensor(v, DType::float64); }
Tensor leaf(const Nested& v) { return variable(f64(v)); }
using Doubles = std::vector<double>;
Doubles list(const Tensor& x) { return x.to_vector<double>(); }

}  // namespace

TEST_CASE("gradients of a scalar with respect to several variables") {
  const Tensor a = leaf({1.0, 2.0}), b = leaf({3.0, 5.0});
  const auto [da, db] = gradients<2>(sum(a * a * b), {a, b});
  CHECK(list(da) == Doubles{6, 20});
  CHECK(list(db) == Doubles{1, 4});
  CHECK_FALSE(da.requires_grad());
}

TEST_CASE("broadcast variables receive the sum over their repetitions") {
  const Tensor a = leaf({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}), row = leaf({1.0, 10.0, 100.0}), s = leaf(2.0);
  const Tensors g = gradients(sum(a * row * s), {a, row, s});
  CHECK(list(g[0]) == Doubles{2, 20, 200, 2, 20, 200});
  CHECK(list(g[1]) == Doubles{10, 14, 18});
  CHECK(g[1].shape() == Shape{3});
  CHECK(g[2].shape() == Shape{});
  CHECK(g[2].item<double>() == 5 + 70 + 900);
}

TEST_CASE("a y of many elements takes a cotangent of its shape and dtype") {
  const Tensor x = leaf({1.0, 2.0, 3.0});
  const Tensor y = x * x;
  CHECK(list(gradients(y, {x}, {.cotangent = f64({1.0, 0.0, -1.0})})[0]) == Doubles{2, 0, -6});
  CHECK(
      has(message([&] { gradients(y, {x}); }), "gradients: y has 3 elements (float64[3]): pass a cotangent"));
  CHECK(has(message([&] {
              gradients(y, {x}, {.cotangent = f64({1.0, 2.0})});
            }),
            "the cotangent is float64[2], y is float64[3]"));
  CHECK(has(message([&] {
              gradients(y, {x}, {.cotangent = tensor({1.0, 2.0, 3.0})});
            }),
            "the cotangent is float32[3], y is float64[3]"));
}

TEST_CASE("the graph is not consumed: it may be asked again, also with another cotangent") {
  const Tensor x = leaf({0.5, 1.5});
  const Tensor y = exp(x);
  const Doubles first = list(gradients(sum(y), {x})[0]);
  CHECK(list(gradients(sum(y), {x})[0]) == first);
  CHECK(list(gradients(y, {x}, {.cotangent = f64({2.0, 2.0})})[0])[1] == 2 * first[1]);
}

TEST_CASE("with respect to intermediates, alone and together with what they come from") {
  const Tensor x = leaf({2.0, 3.0});
  const Tensor h = x * x;
  const Tensor y = sum(h * h * x);
  const Tensors g = gradients(y, {h, x});
  CHECK(list(g[0]) == Doubles{16, 54});   // 2 h x
  CHECK(list(g[1]) == Doubles{80, 405});  // 5 x^4, through h as well
  CHECK(list(gradients(y, {h})[0]) == Doubles{16, 54});
  CHECK(list(gradients(y, {y})[0]) == Doubles{1});
}

TEST_CASE("a tensor that y does not depend on gets zeros, or an error that says which") {
  const Tensor x = leaf({1.0, 2.0}), other = leaf({{1.0}, {2.0}});
  const Tensors g = gradients(sum(x), {x, other});
  CHECK(list(g[1]) == Doubles{0, 0});
  CHECK(g[1].shape() == Shape{2, 1});
  CHECK(located(message([&] {
                  gradients(sum(x), {x, other}, {.unused = Unused::error});
                }),
                "gradients: y does not depend on tensor 1 of wrt, float64[2, 1] ", __LINE__));
  CHECK(list(gradients(sum(f64({1.0, 2.0})), {x})[0]) == Doubles{0, 0});  // no graph at all
  CHECK(message([&] { gradients(sum(x), {x}, {.unused = Unused::error}); }).empty());
}

TEST_CASE("tensors that are empty, and a wrong number of results, are errors with the line") {
  const Tensor x = leaf({1.0});
  CHECK(located(message([&] { gradients(Tensor(), {x}); }), "y is an empty tensor ", __LINE__));
  CHECK(located(message([&] { gradients(x, {x, Tensor()}); }), "tensor 1 of wrt is empty ", __LINE__));
  CHECK(located(message([&] { gradients<2>(x, {x}); }), "asked for 2 gradients of 1 tensors ", __LINE__));
  CHECK(located(message([&] { exp(Tensor()); }), "exp: argument 0 is an empty tensor ", __LINE__));
  CHECK(located(message([&] { x + Tensor(); }), "is an empty tensor ", __LINE__));
  CHECK(has(message([&] { (void)Tensor().shape(); }), "this handle is empty"));
}

TEST_CASE("the same tensor as both operands counts twice") {
  const Tensor x = leaf({3.0});
  CHECK(gradients(x * x, {x})[0].item<double>() == 6);
  CHECK(gradients(x + x, {x})[0].item<double>() == 2);
  CHECK(gradients(x / x, {x})[0].item<double>() == 0);
  CHECK(gradients(x - x, {x})[0].item<double>() == 0);
  const Tensors twice = gradients(x * x, {x, x});  // the same tensor twice in wrt
  CHECK(twice[0].item<double>() == 6);
  CHECK(twice[1].item<double>() == 6);
}

TEST_CASE("a diamond adds up the paths") {
  const Tensor x = leaf(0.7);
  const Tensor a = exp(x), b = square(x);
  const Tensor y = a * b + a / b;
  const double e = std::exp(0.7);
  CHECK(gradients(y, {x})[0].item<double>() ==
        doctest::Approx(e * 0.49 + e * 1.4 + e / 0.49 - 2 * e / (0.7 * 0.7 * 0.7)).epsilon(1e-14));
}

TEST_CASE("derivatives of third order: tanh and x^3") {
  const auto third = [](const Tensor& x, auto f) {
    Tensor y = sum(f(x));
    for (int i = 0; i < 3; ++i) y = sum(gradients(y, {x}, {.create_graph = true})[0]);
    return y.template item<double>();
  };
  const double t = std::tanh(0.4);
  const double s = 1 - t * t;
  CHECK(third(leaf(0.4), [](const Tensor& x) { return tanh(x); }) ==
        doctest::Approx(s * (6 * t * t - 2)).epsilon(1e-13));
  CHECK(third(leaf(0.4), [](const Tensor& x) { return x * x * x; }) == doctest::Approx(6).epsilon(1e-14));
  CHECK(third(leaf(0.4), [](const Tensor& x) { return pow(x, 3.0); }) == doctest::Approx(6).epsilon(1e-13));
  CHECK(third(leaf(0.4), [](const Tensor& x) { return exp(2.0 * x); }) ==
        doctest::Approx(8 * std::exp(0.8)).epsilon(1e-14));
}

TEST_CASE("without create_graph the gradient is a constant; with it, it can be differentiated") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = sum(x * x * x);
  CHECK_FALSE(gradients(y, {x})[0].requires_grad());
  const Tensor g = gradients(y, {x}, {.create_graph = true})[0];
  CHECK(g.requires_grad());
  CHECK(list(gradients(sum(g), {x})[0]) == Doubles{6, 12});
  // A gradient asked for inside no_grad with create_graph is recorded: the option is explicit.
  const Tensor inside = no_grad([&] { return gradients(y, {x}, {.create_graph = true})[0]; });
  CHECK(inside.requires_grad());
}

TEST_CASE("no_grad records nothing and ends with its scope, also by an exception") {
  const Tensor x = leaf({1.0});
  CHECK(is_recording());
  {
    NoGrad scope;
    CHECK_FALSE(is_recording());
    CHECK_FALSE((x * 2.0).requires_grad());
    {
      EnableGrad again;
      CHECK((x * 2.0).requires_grad());
    }
    CHECK_FALSE((x * 2.0).requires_grad());
  }
  CHECK((x * 2.0).requires_grad());
  CHECK_THROWS_AS(no_grad([&] { return x + f64({1.0, 2.0, 3.0}) + f64({1.0, 2.0}); }), ShapeError);
  CHECK(is_recording());
  std::thread([] { CHECK(is_recording()); }).join();
}

TEST_CASE("stop_gradient passes the value and nothing back") {
  const Tensor x = leaf({2.0, 3.0});
  const Tensor s = stop_gradient(x);
  CHECK(list(s) == Doubles{2, 3});
  CHECK_FALSE(s.requires_grad());
  CHECK(list(gradients(sum(x * s), {x})[0]) == Doubles{2, 3});
  CHECK(list(gradients(sum(s * s), {x})[0]) == Doubles{0, 0});
}

TEST_CASE("a variable of a variable is a leaf of its own") {
  const Tensor x = leaf({2.0});
  const Tensor y = variable(x * x);
  CHECK(gradients(y * 3.0, {y})[0].item<double>() == 3);
  CHECK(gradients(y * 3.0, {x})[0].item<double>() == 0);
  CHECK(located(message([] {
                  variable(tensor({1, 2}));
                }),
                "only float32 and float64 are differentiable, got int64[2] ", __LINE__));
}

TEST_CASE("the elements of the cotangent and of the inputs are the same before and after") {
  const Tensor x = leaf({1.0, 2.0}), c = f64({0.5, 0.25});
  gradients(tanh(x) * x, {x}, {.cotangent = c});
  CHECK(list(x) == Doubles{1, 2});
  CHECK(list(c) == Doubles{0.5, 0.25});
}

TEST_CASE("forward mode: jvp of several primals, with history, of the same tensor twice, of a constant") {
  const Tensor a = f64({1.0, 2.0}), b = f64({3.0, 4.0}), da = f64({1.0, 0.0}), db = f64({0.0, 2.0});
  const auto [y, t] = jvp([](const Tensors& in) { return in[0] * in[1]; }, {a, b}, {da, db});
  CHECK(list(y) == Doubles{3, 8});
  CHECK(list(t) == Doubles{3, 4});
  const Tensor x = leaf({0.5, 1.0});
  const Tensor h = x * x;
  CHECK(list(jvp([](const Tensors& in) { return 3.0 * in[0]; }, {h}, {da}).second) == Doubles{3, 0});
  CHECK(list(jvp([](const Tensors& in) { return in[0] * in[1]; }, {a, a}, {da, da}).second) == Doubles{2, 0});
  CHECK(list(jvp([&](const Tensors&) { return b; }, {a}, {da}).second) == Doubles{0, 0});
  CHECK(list(jvp([&](const Tensors& in) { return in[0]; }, {a}, {da}).second) == Doubles{1, 0});
  CHECK(located(message([&] { jvp([](const Tensors& in) { return in[0]; }, {a}, {f64({1.0})}); }),
                "jvp: tangent 0 is float64[1], its primal is float64[2] ", __LINE__));
  CHECK(has(message([&] {
              jvp([](const Tensors& in) { return in[0]; }, {a, b}, {da});
            }),
            "2 primals but 1 tangents"));
}

TEST_CASE("forward over reverse gives Hessian-vector products") {
  // f = sum(x^2 y), its gradient along v.
  const Tensor x = f64({1.0, 2.0}), v = f64({1.0, -1.0});
  const auto gradient = [](const Tensors& in) {
    return gradients(sum(in[0] * in[0] * in[0]), {in[0]}, {.create_graph = true})[0];
  };
  CHECK(list(jvp(gradient, {x}, {v}).second) == Doubles{6, -12});
}

// ------------------------------------------------------------------------------------- large and long graphs

namespace {

#ifdef WENGERT_SANITIZED
constexpr int main_nodes = 200'000, thread_nodes = 100'000;
#else
constexpr int main_nodes = 1'000'000, thread_nodes = 400'000;
#endif

/// x -> x * a + b repeated: two nodes a step. The derivative is a^steps.
double chain_gradient(int nodes) {
  const Tensor x = leaf(1.0);
  Tensor y = x;
  const double a = 1.0 - 1.0 / nodes;
  for (int i = 0; i < nodes / 2; ++i) y = y * a + 1e-9;
  return gradients(y, {x})[0].item<double>();
}

void check_chain(int nodes) {
  CHECK(chain_gradient(nodes) == doctest::Approx(std::pow(1.0 - 1.0 / nodes, nodes / 2)).epsilon(1e-9));
}

}  // namespace

TEST_CASE("a chain of a million nodes: forward, backward, destruction on the main stack") {
  check_chain(main_nodes);
}

TEST_CASE("a long chain on a stack of 512 KiB, forward mode and second order included") {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 512 << 10) == 0);
  pthread_t thread;
  const auto body = [](void*) -> void* {
    check_chain(thread_nodes);
    const auto steps = [](const Tensors& in) {
      Tensor y = in[0];
      for (int i = 0; i < thread_nodes / 8; ++i) y = tanh(y);
      return y;
    };
    CHECK(jvp(steps, {f64(0.5)}, {f64(1.0)}).second.item<double>() > 0);
    const Tensor x = leaf(0.5);
    const Tensor g = gradients(steps({x}), {x}, {.create_graph = true})[0];
    CHECK(gradients(g, {x})[0].item<double>() < 0);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, nullptr) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST_CASE("values that no derivative reads are freed while the graph is alive") {
  constexpr std::int64_t n = 1 << 20;  // 4 MiB a tensor
  constexpr std::size_t bytes = n * sizeof(float);
  const Tensor x = variable(ones({n}));
  const std::size_t before = memory::stats().in_use;
  Tensor y = x;
  for (int i = 0; i < 50; ++i) y = y + 1.0;
  CHECK(memory::stats().in_use - before < 3 * bytes);  // only the last result
  Tensor t = x;
  for (int i = 0; i < 10; ++i) t = tanh(t);  // its rule reads every result
  const std::size_t kept = memory::stats().in_use - before;
  CHECK(kept > 10 * bytes);
  CHECK(kept < 14 * bytes);
  y = t = Tensor();
  CHECK(memory::stats().in_use == before);
}

TEST_CASE("cotangents are freed on the way back") {
  constexpr std::int64_t n = 1 << 20;
  constexpr std::size_t bytes = n * sizeof(float);
  const Tensor x = variable(ones({n}));
  Tensor y = x;
  for (int i = 0; i < 30; ++i) y = y * 0.5;
  const Tensor loss = sum(y);
  y = Tensor();
  const std::size_t before = memory::stats().in_use;
  memory::trim();
  const Tensor g = gradients(loss, {x})[0];
  CHECK(memory::stats().in_use - before <= 2 * bytes);
  CHECK(memory::stats().peak_in_use < before + 64 * bytes);
  CHECK(g.to_vector<float>()[0] == std::ldexp(1.0f, -30));
}

TEST_CASE("several threads ask for gradients of one shared graph") {
  const Tensor x = leaf({0.1, 0.2, 0.3}), w = leaf({1.0, 2.0, 3.0});
  Tensor h = x;
  for (int i = 0; i < 20; ++i) h = tanh(h * w);
  const Tensor y = sum(h * x);
  const Doubles expected = list(gradients(y, {x})[0]);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const Tensor mine = y + square(sum(x)) * 0.0;  // and adds nodes of its own
        const Tensors g = gradients(i % 2 ? y : mine, {x, w}, {.create_graph = i % 3 == 0});
        equal[static_cast<std::size_t>(t)] += list(g[0]) == expected;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(equal == std::vector<int>(4, 50));
}

TEST_CASE("a graph recorded in one thread is differentiated and destroyed in another") {
  Tensor x, y;
  std::thread([&] {
    x = leaf({1.0, 2.0});
    y = sum(exp(x) * x);
  }).join();
  CHECK(list(gradients(y, {x})[0])[0] == doctest::Approx(2 * std::exp(1.0)));
}

// -------------------------------------------------------------------------------------- lines and operators

TEST_CASE("errors name the operator, the shapes and the user's line; the operands stay as they were") {
  const Tensor a = leaf({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}), b = f64({1.0, 2.0});
  CHECK(located(message([&] { a + b; }),
                "add: the shapes don't broadcast: a is float64[2, 3], b is float64[2] ", __LINE__));
  CHECK(located(message([&] { maximum(a, b); }),
                "maximum: the shapes don't broadcast: a is float64[2, 3], b is float64[2] ", __LINE__));
  CHECK(has(message([&] {
              Tensor c = a;
              c += b;
            }),
            "add: the shapes don't broadcast"));
  CHECK(has(message([&] { where(a, a, a); }), "where: the condition must be bool"));
  CHECK(list(a) == Doubles{1, 2, 3, 4, 5, 6});
}

TEST_CASE("every node knows its operator and its line, those of the gradients too") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = tanh(x);
  const unsigned line = __LINE__ - 1;
  REQUIRE(y.made_by() != nullptr);
  CHECK(y.made_by()->name == "tanh");
  CHECK(y.where().line == line);
  const Tensor g = gradients(sum(y), {x}, {.create_graph = true})[0];
  CHECK(g.made_by()->name == "tanh_vjp");
  CHECK(g.where().line == line);
}

TEST_CASE("CheckFinite finds the operator that made a NaN or an infinity, forward and backward") {
  const Tensor x = leaf({1.0, 0.0});
  CHECK_FALSE(std::isfinite(list(log(x))[1]));
  {
    CheckFinite scope;
    CHECK(located(message([&] { log(x); }),
                  "log: finite inputs gave a result with NaN or infinity: x is float64[2] ", __LINE__));
    CHECK(message([&] { log(f64({1.0, 2.0})); }).empty());
    // What was infinite before is nobody's fault.
    CHECK(message([&] { f64({1.0, std::numeric_limits<double>::infinity()}) + 1.0; }).empty());
    const Tensor y = sum(sqrt(x));
    CHECK(has(message([&] { gradients(y, {x}); }), "sqrt_vjp: finite inputs gave"));
  }
  CHECK(message([&] { log(x); }).empty());
}
