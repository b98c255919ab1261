#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "nn/nn.hpp"

using namespace wengert;

namespace {

struct Net : nn::Module {
  nn::Linear hidden = register_module("hidden", nn::Linear(4, 3));
  nn::Sequential head = register_module("head", nn::Sequential{nn::Dropout(0.5), nn::Linear(3, 2)});
  nn::Parameter scale = register_parameter("scale", nn::Parameter(ones({2})));
  Tensor forward(const Tensor& x) const override { return head(tanh(hidden(x))) * scale.value(); }
};

struct TwoInputs : nn::Module {
  Tensor operator()(const Tensor& a, const Tensor& b) const { return a + b; }
};

struct Recursive : nn::Module {
  void contain(const Module& other) { attach("inner", other); }
};

std::vector<std::string> names(const nn::Module& module) {
  std::vector<std::string> result;
  for (const auto& [name, parameter] : module.named_parameters()) result.push_back(name);
  return result;
}

double bound(const Tensor& x) { return max(abs(x)).item<double>(); }

}  // namespace

TEST_SUITE_BEGIN("modules");

TEST_CASE("a parameter is a handle of one slot, and set() checks before it changes") {
  nn::Parameter p(tensor({1.0, 2.0}));
  const nn::Parameter q = p;
  CHECK(p == q);
  p.set(tensor({3.0, 4.0}));
  CHECK(q.value().to_vector<float>() == std::vector<float>{3, 4});
  CHECK(q.value().requires_grad());
  CHECK_THROWS_WITH_AS(p.set(tensor({1.0})),
                       doctest::Contains("Parameter::set: the parameter is float32[2], the value float32[1] "
                                         "(modules_test.cpp:"),
                       ShapeError);
  CHECK_THROWS_AS(p.set(tensor({1.0, 2.0}, DType::float64)), DTypeError);
  CHECK_THROWS_AS(p.set(Tensor()), GraphError);
  CHECK(q.value().to_vector<float>() == std::vector<float>{3, 4});
  CHECK_THROWS_AS(nn::Parameter(tensor({1, 2})), DTypeError);
  CHECK_THROWS_AS(nn::Parameter().value(), GraphError);
}

TEST_CASE("set() cuts history off and never turns a caller's constant into a variable") {
  nn::Parameter p(tensor({1.0, 2.0}));
  const Tensor constant = tensor({5.0, 6.0});
  p.set(constant);
  CHECK_FALSE(constant.requires_grad());
  CHECK(p.value().requires_grad());
  p.set(p.value() * 2.0);
  CHECK(p.value().made_by() == nullptr);
  const Tensor x = p.value();
  p.set(x - 0.1 * gradients(sum(square(x)), {p})[0]);
  CHECK(p.value().to_vector<float>()[1] == doctest::Approx(12.0 - 2.4));
}

TEST_CASE("parameters have PyTorch's names, their own before those of modules inside") {
  const nn::Sequential net{nn::Linear(40, 100), nn::Tanh(), nn::Linear(100, 10, {.bias = false})};
  CHECK(names(net) == std::vector<std::string>{"0.weight", "0.bias", "2.weight"});
  CHECK(net.named_parameters()[0].parameter.shape() == Shape{100, 40});
  CHECK(net.named_parameters()[1].parameter.shape() == Shape{100});
  CHECK(names(Net()) ==
        std::vector<std::string>{"scale", "hidden.weight", "hidden.bias", "head.1.weight", "head.1.bias"});
}

TEST_CASE("parameter counts are n[l-1]*n[l] + n[l]: 10-10-5-1 has 110, 55 and 6") {
  const nn::Sequential net{nn::Linear(10, 10), nn::Sigmoid(), nn::Linear(10, 5), nn::Sigmoid(),
                           nn::Linear(5, 1)};
  CHECK(net.parameter_count() == 171);
  const std::string expected =
      "name   module          parameters\n"
      "0      Linear(10, 10)  10*10 + 10 = 110\n"
      "1      Sigmoid\n"
      "2      Linear(10, 5)   10*5 + 5 = 55\n"
      "3      Sigmoid\n"
      "4      Linear(5, 1)    5*1 + 1 = 6\n"
      "total                  171\n";
  CHECK(net.summary() == expected);
  std::ostringstream out;
  out << net;
  CHECK(out.str() == expected);
}

TEST_CASE("the summary names user-defined and nested modules") {
  CHECK(Net().summary() ==
        "name    module        parameters\n"
        ".       Net           2 = 2\n"
        "hidden  Linear(4, 3)  4*3 + 3 = 15\n"
        "head    Sequential\n"
        "head.0  Dropout(0.5)\n"
        "head.1  Linear(3, 2)  3*2 + 2 = 8\n"
        "total                 25\n");
}

TEST_CASE("a parameter in two places is one parameter") {
  const nn::Linear layer(3, 3);
  const nn::Sequential net{layer, nn::Tanh(), layer};
  CHECK(net.parameters().size() == 2);
  CHECK(net.parameter_count() == 12);
  CHECK(names(net) == std::vector<std::string>{"0.weight", "0.bias"});
  CHECK(net.summary().find("2      Linear(3, 3)  shared + shared = 0") != std::string::npos);
}

TEST_CASE("copies of a module share parameters and mode") {
  Net net;
  Net copy = net;
  copy.eval();
  CHECK_FALSE(net.is_training());
  CHECK_FALSE(net.head[0].is_training());
  copy.scale.set(zeros({2}));
  CHECK(bound(net(ones({1, 4}))) == 0.0);
  net.train();
  CHECK(copy.head[0].is_training());
}

TEST_CASE("registration refuses bad names, empty parameters and cycles") {
  struct Bad : nn::Module {
    explicit Bad(const std::string& name) { register_parameter(name, nn::Parameter(ones({1}))); }
    void twice() { register_module("p", nn::Tanh()); }
    void empty() { register_parameter("q", nn::Parameter()); }
  };
  CHECK_THROWS_AS(Bad(""), ValueError);
  CHECK_THROWS_AS(Bad("a.b"), ValueError);
  CHECK_THROWS_WITH_AS(Bad("p").twice(), doctest::Contains("the name 'p' is taken"), ValueError);
  CHECK_THROWS_AS(Bad("p").empty(), ValueError);
  Recursive outer;
  Recursive inner;
  inner.contain(nn::Tanh());
  outer.contain(inner);
  CHECK_THROWS_WITH_AS(outer.contain(outer), doctest::Contains("taken"), ValueError);
  Recursive again;
  CHECK_THROWS_WITH_AS(again.contain(again), doctest::Contains("would contain itself"), ValueError);
}

TEST_CASE("a module without forward says so, and may offer other calls") {
  const TwoInputs both;
  CHECK(both(tensor({1.0}), tensor({2.0})).item<float>() == 3.0f);
  CHECK_THROWS_WITH_AS(both.forward(ones({1})), doctest::Contains("TwoInputs: defines no Tensor forward"),
                       GraphError);
}

TEST_CASE("Linear is x W^T + b, for any number of leading axes") {
  nn::Linear layer(3, 2, {.dtype = DType::float64});
  layer.weight.set(tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}, DType::float64));
  layer.bias.set(tensor({0.5, -0.5}, DType::float64));
  const Tensor x = tensor({{1.0, 0.0, -1.0}, {2.0, 1.0, 0.5}}, DType::float64);
  CHECK(layer(x).to_vector<double>() == std::vector<double>{-1.5, -2.5, 6.0, 15.5});
  CHECK(layer(reshape(x, {2, 1, 3})).shape() == Shape{2, 1, 2});
  CHECK(layer(reshape(x, {2, 1, 3})).to_vector<double>() == layer(x).to_vector<double>());
  CHECK(layer(slice(x, {0})).to_vector<double>() == std::vector<double>{-1.5, -2.5});
  CHECK(layer(zeros({0, 3}, DType::float64)).shape() == Shape{0, 2});

  const auto [dw, db] = gradients<2>(sum(square(layer(x))), {layer.weight, layer.bias});
  // 2 (x W^T + b)^T x and the sum over rows of 2 (x W^T + b), by hand
  CHECK(dw.to_vector<double>() == std::vector<double>{21.0, 12.0, 9.0, 57.0, 31.0, 20.5});
  CHECK(db.to_vector<double>() == std::vector<double>{9.0, 26.0});
  CHECK(dw.is_contiguous());
}

TEST_CASE("a wrong input names the layer and the user's line") {
  const nn::Sequential net{nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)};
  const unsigned line = __LINE__ + 2;
  try {
    net(ones({5, 7}));
    FAIL("no error");
  } catch (const ShapeError& error) {
    CHECK(error.operation() == "Linear(3, 4)");
    CHECK(error.where().line == line);
    CHECK(std::string(error.what())
              .find("the last axis of x must have length 3: x is float32[5, 7] "
                    "(modules_test.cpp:") != std::string::npos);
  }
  CHECK_THROWS_AS(net(ones({5, 3}, DType::float64)), DTypeError);
  CHECK_THROWS_AS(net(tensor(1.0)), ShapeError);
  CHECK_THROWS_AS(nn::Linear(0, 3), ValueError);
}

TEST_CASE("operators inside layers carry the user's line") {
  const nn::Sequential net{nn::Linear(3, 4), nn::Tanh()};
  const Tensor y = net(ones({5, 3}));
  const unsigned line = __LINE__ - 1;
  CHECK(y.where().line == line);
}

TEST_CASE("to() converts every parameter, and the network computes in the new type") {
  nn::Sequential net{nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)};
  const std::vector<float> before = net.parameters()[0].value().to_vector<float>();
  net.to(DType::float64);
  for (const nn::Parameter& p : net.parameters()) {
    CHECK(p.dtype() == DType::float64);
    CHECK(p.value().requires_grad());
    CHECK(p.value().made_by() == nullptr);
  }
  CHECK(net(ones({1, 3}, DType::float64)).dtype() == DType::float64);
  CHECK_THROWS_AS(net.to(DType::int64), DTypeError);
  net.to(DType::float32);
  CHECK(net.parameters()[0].value().to_vector<float>() == before);
}

TEST_CASE("activations are the functions of their names") {
  const Tensor x = tensor({{-2.0, 0.0, 3.0}, {1.0, -1.0, 0.5}});
  const auto same = [](const Tensor& a, const Tensor& b) {
    CHECK(a.shape() == b.shape());
    CHECK(a.to_vector<float>() == b.to_vector<float>());
  };
  same(nn::Tanh()(x), tanh(x));
  same(nn::Sigmoid()(x), sigmoid(x));
  same(nn::ReLU()(x), relu(x));
  same(nn::LeakyReLU(0.2)(x), leaky_relu(x, 0.2));
  same(nn::Softplus()(x), softplus(x));
  same(nn::Softmax()(x), softmax(x, -1));
  same(nn::Softmax(0)(x), softmax(x, 0));
  same(nn::LogSoftmax()(x), log_softmax(x, -1));
  const Tensor images = reshape(arange(24, DType::float32), {2, 3, 4});
  same(nn::Flatten()(images), reshape(images, {2, 12}));
  same(nn::Flatten(0)(images), reshape(images, {24}));
  same(nn::Flatten(-1)(images), images);
  CHECK(nn::Flatten()(zeros({0, 3, 4})).shape() == Shape{0, 12});
  CHECK_THROWS_AS(nn::Flatten()(ones({3})), IndexError);
}

TEST_CASE("Dropout drops with its probability while training and does nothing in eval()") {
  random::seed(3);
  nn::Dropout dropout(0.25);
  const Tensor x = variable(ones({200, 100}));
  const Tensor y = dropout(x);
  std::int64_t dropped = 0;
  for (const float v : y.to_vector<float>()) {
    CHECK_MESSAGE((v == 0.0f || v == 1.0f / 0.75f), v);
    dropped += v == 0.0f;
  }
  // 20,000 draws of 1/4: the deviation is 61
  CHECK(std::abs(static_cast<double>(dropped) - 5000.0) < 4 * 61);
  // the same mask in the derivative
  CHECK(gradients(sum(y), {x})[0].to_vector<float>() == y.to_vector<float>());
  CHECK(dropout(x).to_vector<float>() != y.to_vector<float>());
  random::seed(3);
  CHECK(dropout(x).to_vector<float>() == y.to_vector<float>());

  dropout.eval();
  CHECK(dropout(x).get() == x.get());
  CHECK(nn::Dropout(0.0)(x).get() == x.get());
  CHECK(nn::Dropout(1.0)(full({3}, INFINITY)).to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK_THROWS_AS(nn::Dropout(1.5), ValueError);
  CHECK_THROWS_AS(nn::Dropout(-0.1), ValueError);
}

TEST_CASE("initializers have the deviations of their papers") {
  random::seed(11);
  const Shape shape{300, 200};
  const auto deviation = [](const Tensor& x) { return wengert::std(x).item<double>(); };
  const auto near = [](double value) { return doctest::Approx(value).epsilon(0.02); };
  CHECK(deviation(nn::he_normal(shape)) == near(std::sqrt(2.0 / 200)));
  CHECK(deviation(nn::he_uniform(shape)) == near(std::sqrt(2.0 / 200)));
  CHECK(deviation(nn::xavier_normal(shape)) == near(std::sqrt(2.0 / 500)));
  CHECK(deviation(nn::xavier_uniform(shape)) == near(std::sqrt(2.0 / 500)));
  CHECK(bound(nn::he_uniform(shape)) <= std::sqrt(6.0 / 200));
  CHECK(bound(nn::xavier_uniform(shape)) <= std::sqrt(6.0 / 500));
  CHECK(bound(nn::lecun_uniform(shape)) <= std::sqrt(1.0 / 200));
  CHECK(bound(nn::lecun_uniform(shape)) > 0.99 * std::sqrt(1.0 / 200));
  CHECK(deviation(nn::he_normal({10, 20, 5, 5})) == near(std::sqrt(2.0 / 500)));
  CHECK(nn::he_normal(shape, DType::float64).dtype() == DType::float64);
  CHECK_THROWS_AS(nn::he_normal({3}), ValueError);
}

TEST_CASE("Linear starts as PyTorch's does, or as it is told to, from the seed") {
  random::seed(5);
  const nn::Linear layer(25, 40);
  CHECK(bound(layer.weight) <= 0.2);
  CHECK(bound(layer.bias) <= 0.2);
  CHECK(bound(layer.bias) > 0.15);
  random::seed(5);
  const nn::Linear again(25, 40);
  CHECK(again.weight.value().to_vector<float>() == layer.weight.value().to_vector<float>());
  CHECK(again.bias.value().to_vector<float>() == layer.bias.value().to_vector<float>());
  const nn::Linear told(25, 40, {.weight_init = nn::he_normal, .bias_init = wengert::zeros});
  CHECK(bound(told.bias) == 0.0);
  CHECK(bound(told.weight) > 0.2);
}

TEST_SUITE_END();
