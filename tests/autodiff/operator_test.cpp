#include "autodiff/operator.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <xtensor/xio.hpp>

#include "autodiff/autodiff.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/tensor/random.hpp"
#include "tests/autodiff/messages.hpp"

using namespace wengert;

namespace {

Tensor f64(const Nested& v) { return tensor(v, DType::float64); }

const Operator& soft_clip() {
  static const Operator op =
      elementwise({.name = "soft_clip",
                   .forward = [](auto x) { return x / (1.0 + abs(x)); },
                   .derivative = [](auto x, auto /*y*/) { return square(1.0 / (1.0 + abs(x))); },
                   .samples =
                       [] {
                         return Samples{random::normal({2, 3})};
                       }});
  return op;
}

const Operator& differences() {
  static const Operator op = define_operator({.name = "differences",
                                              .shape =
                                                  [](Shapes in) {
                                                    return Shape{in[0][0], in[1][0]};
                                                  },
                                              .forward =
                                                  [](const XArrays<double>& in, XArray<double>& out) {
                                                    xt::noalias(out) =
                                                        xt::view(in[0], xt::all(), xt::newaxis()) -
                                                        xt::view(in[1], xt::newaxis(), xt::all());
                                                  },
                                              .vjp =
                                                  [](const Call&, const Tensor& g) {
                                                    return Tensors{sum(g, 1), -sum(g, 0)};
                                                  },
                                              .samples =
                                                  [] {
                                                    return Samples{random::normal({3}), random::normal({4})};
                                                  }});
  return op;
}

// exp(sum(x)): a generic body that serves both floating types, and a rule that reads the result.
const Operator& exp_sum() {
  static const Operator op = define_operator(
      {.name = "exp_sum",
       .doc = "exp(sum(x))",
       .shape = [](Shapes) { return Shape{}; },
       .forward = [](const auto& in, auto& out) { out() = std::exp(xt::sum(in[0])()); },
       .reads = 0,
       .vjp = [](const Call& call,
                 const Tensor& g) { return Tensors{broadcast_to(g * call.output(), call.shape(0))}; },
       .samples =
           [] {
             return Samples{samples::values({4})}
                 .with({samples::values({2, 2})})
                 .with({samples::values({0})});
           }});
  return op;
}

UserOperatorSpec spec(const char* name) {
  return {.name = name,
          .shape = [](Shapes in) { return in[0]; },
          .forward = [](const XArrays<double>& in, XArray<double>& out) { xt::noalias(out) = 2.0 * in[0]; },
          .vjp = [](const Call&, const Tensor& g) { return Tensors{2.0 * g}; },
          .samples = [] { return Samples{samples::values({3})}; }};
}

std::function<void()> meanwhile;  // what calls_back does while it runs

const Operator& calls_back() {
  static const Operator op = [] {
    UserOperatorSpec s = spec("calls_back");
    s.forward = [](const XArrays<double>& in, XArray<double>& out) {
      if (meanwhile) meanwhile();
      xt::noalias(out) = 2.0 * in[0];
    };
    return define_operator(s);
  }();
  return op;
}

}  // namespace

TEST_CASE("an elementwise operator of one's own passes the battery and computes") {
  const OperatorReport report = check_operator(soft_clip());
  CHECK(report.checks > 50);
  CHECK(soft_clip()(f64({1.0, -3.0})).to_vector<double>() == std::vector<double>{0.5, -0.75});
  const Tensor x = variable(f64({1.0}));
  CHECK(gradients(sum(soft_clip()(x)), {x})[0].item<double>() == 0.25);
}

// Steps are compiled with the operator, here with this file's instruction set: they join a chain with others
// whose registers have the same size, which those of the library may not have. Without optimisation they
// would take long frames of the stack, and aren't there.
TEST_CASE("elementwise operators of one's own run as chains where they are compiled with optimisation") {
#ifdef __OPTIMIZE__
  const ChainRule* const rule = soft_clip().definition().row.chain[static_cast<int>(DType::float32)];
  REQUIRE(rule != nullptr);
  const ChainRule* const builtin = find_operator("add")->row.chain[static_cast<int>(DType::float32)];
  const bool same_size = rule->runner->group_bytes == builtin->runner->group_bytes;
  const auto frame_bytes = [&](auto f) {
    auto g = capture(f);
    const Tensor x = tensor({0.25, -3.0, 8.0, 1e-3});
    CHECK(g(x).template to_vector<float>() == f(x).template to_vector<float>());
    return g.statistics().frame_bytes;
  };
  const auto own = [](const Tensor& x) { return soft_clip()(soft_clip()(soft_clip()(x))); };
  CHECK(frame_bytes(own) == 0);
  const auto mixed = [](const Tensor& x) { return soft_clip()(soft_clip()(x + 1.0) * 2.0); };
  CHECK((frame_bytes(mixed) == 0) == same_size);
#else
  CHECK(soft_clip().definition().row.chain[static_cast<int>(DType::float32)] == nullptr);
#endif
}

TEST_CASE("an operator with an xtensor body passes the battery and computes") {
  check_operator(differences());
  const Tensor y = differences()(f64({1.0, 2.0}), f64({10.0, 20.0, 30.0}));
  CHECK(y.shape() == Shape{2, 3});
  CHECK(y.to_vector<double>() == std::vector<double>{-9, -19, -29, -8, -18, -28});
  CHECK(y.dtype() == DType::float64);
  CHECK(differences()(tensor({1.0}), tensor({2.0})).dtype() == DType::float32);
  CHECK(differences()(tensor({1.0}), f64({2.0})).dtype() == DType::float64);
  check_operator(exp_sum());
  CHECK(exp_sum()(tensor({0.5, -0.5})).item<float>() == 1.0f);
}

// It would wait for itself for ever, or change the states of a run that goes on afterwards.
TEST_CASE(
    "a body that calls the captured function it runs in is an error, and the states stay as they were") {
  const auto check = [] {
    State calls(f64({0.0, 0.0}));
    auto step = capture([&](const Tensor& x) {
      calls.set(calls.value() + 1.0);
      return calls_back()(x) * calls.value();
    });
    const Tensor x = f64({1.0, 3.0});
    const auto other_type = [&] { step(f64({1.0})); };
    for (const std::function<void()>& f :
         std::initializer_list<std::function<void()>>{[&] { step(x); }, [&] { other_type(); }}) {
      meanwhile = f;
      CHECK(has(message([&] { step(x); }), "used while it runs"));
      CHECK(calls.value().to_vector<double>() == std::vector<double>{0, 0});
    }
    meanwhile = nullptr;
    CHECK(step(x).to_vector<double>() == std::vector<double>{2, 6});
    CHECK(step(x).to_vector<double>() == std::vector<double>{4, 12});
  };
  check();
  std::thread(check).join();  // with one thread in a process, and several, other instructions take a turn
}

TEST_CASE("what a program consists of can be asked for while it runs") {
  State calls(f64({0.0, 0.0}));
  auto step = capture([&](const Tensor& x) {
    calls.set(calls.value() + 1.0);
    return calls_back()(x) * calls.value();
  });
  const Tensor x = f64({1.0, 3.0});
  step(x);
  const std::string report = step.report();
  for (const bool other_thread : {false, true}) {
    std::atomic<bool> answered{false};
    std::thread asker;
    meanwhile = [&] {
      const auto ask = [&] {
        CHECK(step.report() == report);
        CHECK(has(step.graph().text(), "calls_back("));
        CHECK(step.programs() == 1);
        answered = true;
      };
      if (!other_thread) return ask();
      asker = std::thread(ask);
      for (int i = 0; i < 10000 && !answered; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    step(x);
    CHECK(answered);
    if (asker.joinable()) asker.join();
  }
  meanwhile = nullptr;
}

TEST_CASE("the operator is in the table, in graphs, and its derivatives of higher order follow") {
  CHECK(find_operator("differences") == &differences().definition());
  const Tensor x = variable(f64({0.3, 0.1}));
  const Tensor y = exp_sum()(x);
  CHECK(y.made_by()->name == "exp_sum");
  const Tensor g = gradients(y, {x}, {.create_graph = true})[0];
  const Tensor h = gradients(sum(g), {x}, {.create_graph = true})[0];
  CHECK(h.to_vector<double>()[1] == doctest::Approx(2 * std::exp(0.4)).epsilon(1e-14));
}

TEST_CASE("errors of an own operator name it and the line: missing inputs, axes, another shape") {
  const auto fails = [](auto&& f, const std::string& text) {
    try {
      f();
      return false;
    } catch (const Error& e) {
      INFO(e.what());
      CHECK(std::string(e.what()).find(text) != std::string::npos);
      CHECK(std::string(e.what()).find("(operator_test.cpp:") != std::string::npos);
      return true;
    }
  };
  CHECK(fails([] { differences()(f64(1.0), f64({1.0})); },
              "differences: needs axis 0 of input 0: a is float64[], b is float64[1]"));
  CHECK(fails([] { differences()(f64({1.0})); }, "differences: takes 2 tensors, got 1"));
  CHECK(fails([] { differences()(f64({1.0}), f64({1.0}), f64({1.0})); }, "takes 2 tensors, got 3"));
  UserOperatorSpec wrong = spec("wrong_shape");
  wrong.shape = [](Shapes) { return Shape{2, 5}; };
  const Operator op = define_operator(wrong);
  CHECK(fails([&] { op(f64({1.0, 2.0, 3.0})); }, "wrong_shape: its forward rule"));
  UserOperatorSpec transposed = spec("transposed_shape");
  transposed.shape = [](Shapes in) { return Shape{in[0][1], in[0][0]}; };
  const Operator op2 = define_operator(transposed);
  CHECK(fails([&] { op2(samples::values({2, 3})); }, "made another shape than [3, 2]"));
}

TEST_CASE("registration refuses a missing derivative, missing samples, and a name that is taken") {
  UserOperatorSpec s = spec("no_vjp");
  s.vjp = nullptr;
  CHECK_THROWS_WITH_AS(define_operator(s), "no_vjp: the operator has no derivative rule (.vjp)", ValueError);
  s = spec("no_samples");
  s.samples = nullptr;
  CHECK_THROWS_AS(define_operator(s), ValueError);
  s = spec("no_shape");
  s.shape = nullptr;
  CHECK_THROWS_AS(define_operator(s), ValueError);
  s = spec("constant_without_reason");
  s.vjp = nullptr;
  s.differentiable = false;
  CHECK_THROWS_AS(define_operator(s), ValueError);
  CHECK_THROWS_AS(define_operator(spec("tanh")), ValueError);
  define_operator(spec("taken"));
  CHECK_THROWS_WITH_AS(define_operator(spec("taken")), "taken: an operator of this name exists already",
                       ValueError);
  CHECK_THROWS_AS(elementwise({.name = "no_derivative", .forward = [](auto x) { return x * x; }}),
                  ValueError);
  CHECK(find_operator("no_vjp") == nullptr);
  CHECK(find_operator("no_derivative") == nullptr);
}

TEST_CASE("check_operator throws with a report that names the wrong derivative") {
  UserOperatorSpec s = spec("wrong_factor");
  s.vjp = [](const Call&, const Tensor& g) { return Tensors{3.0 * g}; };
  const Operator op = define_operator(s);
  try {
    check_operator(op);
    FAIL("passed");
  } catch (const ValueError& e) {
    const std::string text = e.what();
    CHECK(text.find("check_operator: wrong_factor: ") == 0);
    CHECK(text.find("derivative with float64[3]") != std::string::npos);
    CHECK(text.find("operator_test.cpp:") != std::string::npos);
  }
  const Operator clip = elementwise({.name = "wrong_clip",
                                     .forward = [](auto x) { return x / (1.0 + abs(x)); },
                                     .derivative = [](auto x, auto) { return 1.0 / (1.0 + abs(x)); },
                                     .samples = [] { return samples::reals(); }});
  CHECK_THROWS_AS(check_operator(clip), ValueError);
}

TEST_CASE("defining and checking an operator with random samples leaves the program's random numbers alone") {
  random::seed(5);
  const double expected = random::normal({1}, DType::float64).item<double>();
  random::seed(5);
  UserOperatorSpec s = spec("random_samples");
  s.samples = [] { return Samples{random::normal({3})}; };
  check_operator(define_operator(s));
  CHECK(random::normal({1}, DType::float64).item<double>() == expected);
}

TEST_CASE("positions and masks reach an own operator as they are") {
  const Operator pick =
      define_operator({.name = "pick_rows",
                       .shape = [](Shapes in) { return Shape{in[1][0]}; },
                       .forward =
                           [](const XArrays<double>& in, XArray<double>& out) {
                             for (std::size_t i = 0; i < out.size(); ++i)
                               out(i) = in[0](static_cast<std::size_t>(in[1](i)));
                           },
                       .vjp =
                           [](const Call& call, const Tensor& g) {
                             return Tensors{take_transposed(g, call.input(1), call.shape(0), 0), Tensor()};
                           },
                       .samples =
                           [] {
                             return Samples{samples::values({4}), tensor({3, 0, 3})};
                           }});
  check_operator(pick);
  CHECK(pick(tensor({1.0, 2.0}), tensor({1, 1, 0})).dtype() == DType::float32);
}

TEST_CASE("an operator may drop the last handle of an argument of the captured function that calls it") {
  static Tensor held;
  UserOperatorSpec spec{};
  spec.name = "dropping";
  spec.shape = [](Shapes in) { return in[0]; };
  spec.forward = [](const XArrays<float>& in, XArray<float>& out) {
    held = Tensor();
    full({100}, 7.0);  // where its elements were
    xt::noalias(out) = in[0];
  };
  spec.differentiable = false;
  spec.contract = "the derivative is of no interest here";
  spec.samples = [] { return Samples{random::normal({3})}; };
  static const Operator dropping = define_operator(spec);
  auto f = capture([](const Tensor& x) { return dropping(x); });
  for (int time = 0; time < 3; ++time) {
    held = full({100}, 3.0);
    CHECK(f(held).to_vector<float>() == std::vector<float>(100, 3.0f));
  }
}
