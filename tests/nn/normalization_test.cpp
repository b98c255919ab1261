#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "nn/nn.hpp"

using namespace wengert;

namespace {

const auto nearly = [](double value) { return doctest::Approx(value).epsilon(1e-10).scale(1.0); };
constexpr auto f64 = DType::float64;

// Mean and sum of squared deviations of the listed entries, one at a time.
struct Moments {
  double mean = 0, squares = 0;
};
Moments moments(const std::vector<double>& values) {
  Moments m;
  for (const double v : values) m.mean += v / static_cast<double>(values.size());
  for (const double v : values) m.squares += (v - m.mean) * (v - m.mean);
  return m;
}

void set_affine(const nn::Parameter& weight, const nn::Parameter& bias) {
  nn::Parameter w = weight, b = bias;
  w.set(random::uniform(w.shape(), 0.5, 2.0, f64));
  b.set(random::normal(b.shape(), f64));
}

}  // namespace

TEST_SUITE_BEGIN("normalization");

TEST_CASE("BatchNorm1d normalizes each channel by the batch and follows it with its running statistics") {
  random::seed(21);
  nn::BatchNorm1d norm(3, {.eps = 0.01, .momentum = 0.25, .dtype = f64});
  set_affine(norm.weight, norm.bias);
  std::vector<double> running_mean(3, 0.0), running_var(3, 1.0);
  for (const Shape& shape : {Shape{5, 3}, Shape{4, 3, 2}}) {
    const Tensor x = random::normal(shape, 1.5, 2.0, f64);
    const std::vector<double> in = x.to_vector<double>(), out = norm(x).to_vector<double>();
    const std::size_t inner = shape.size() == 3 ? 2 : 1;
    for (std::size_t c = 0; c < 3; ++c) {
      std::vector<double> channel;
      for (std::size_t i = 0; i < in.size(); ++i)
        if (i / inner % 3 == c) channel.push_back(in[i]);
      const Moments m = moments(channel);
      const double count = static_cast<double>(channel.size());
      const double w = norm.weight.value().to_vector<double>()[c],
                   b = norm.bias.value().to_vector<double>()[c];
      for (std::size_t i = 0; i < in.size(); ++i)
        if (i / inner % 3 == c)
          CHECK(out[i] == nearly((in[i] - m.mean) / std::sqrt(m.squares / count + 0.01) * w + b));
      running_mean[c] = 0.75 * running_mean[c] + 0.25 * m.mean;
      running_var[c] = 0.75 * running_var[c] + 0.25 * m.squares / (count - 1);
      CHECK(norm.running_mean.value().to_vector<double>()[c] == nearly(running_mean[c]));
      CHECK(norm.running_var.value().to_vector<double>()[c] == nearly(running_var[c]));
    }
  }
  CHECK(norm.num_batches_tracked.value().item<std::int64_t>() == 2);
  CHECK_FALSE(norm.running_mean.value().requires_grad());
}

TEST_CASE("BatchNorm1d uses its running statistics in eval mode, for a single example too") {
  random::seed(22);
  nn::BatchNorm1d norm(2, {.dtype = f64});
  norm(random::normal({10, 2}, 3.0, 2.0, f64));
  norm.eval();
  const std::vector<double> mean = norm.running_mean.value().to_vector<double>();
  const std::vector<double> var = norm.running_var.value().to_vector<double>();
  const std::vector<double> y = norm(tensor({{1.0, -2.0}}, f64)).to_vector<double>();
  CHECK(y[0] == nearly((1.0 - mean[0]) / std::sqrt(var[0] + 1e-5)));
  CHECK(y[1] == nearly((-2.0 - mean[1]) / std::sqrt(var[1] + 1e-5)));
  CHECK(norm.running_mean.value().to_vector<double>() == mean);
  CHECK(norm.num_batches_tracked.value().item<std::int64_t>() == 1);

  nn::BatchNorm1d without(2, {.track_running_stats = false, .dtype = f64});
  CHECK(without.named_buffers().empty());
  const Tensor x = random::normal({6, 2}, f64);
  const std::vector<double> trained = without(x).to_vector<double>();
  without.eval();
  CHECK(without(x).to_vector<double>() == trained);
}

TEST_CASE("LayerNorm normalizes each example over its last axes") {
  random::seed(23);
  for (const Shape& over : {Shape{4}, Shape{2, 4}}) {
    nn::LayerNorm norm(over, {.eps = 0.01, .dtype = f64});
    set_affine(norm.weight, norm.bias);
    const Tensor x = random::normal({3, 2, 4}, 0.5, 2.0, f64);
    const std::vector<double> in = x.to_vector<double>(), out = norm(x).to_vector<double>();
    const std::vector<double> w = norm.weight.value().to_vector<double>(),
                              b = norm.bias.value().to_vector<double>();
    for (std::size_t first = 0; first < in.size(); first += w.size()) {
      const Moments m =
          moments({in.begin() + static_cast<long>(first), in.begin() + static_cast<long>(first + w.size())});
      for (std::size_t i = 0; i < w.size(); ++i)
        CHECK(out[first + i] ==
              nearly((in[first + i] - m.mean) / std::sqrt(m.squares / static_cast<double>(w.size()) + 0.01) *
                         w[i] +
                     b[i]));
    }
  }
  CHECK(nn::LayerNorm({4}, {.bias = false}).parameters().size() == 1);
  CHECK(nn::LayerNorm({4}, {.elementwise_affine = false}).parameters().empty());
}

TEST_CASE("gradients of the normalizations are right, to the second order") {
  random::seed(24);
  const Tensor x = random::normal({5, 3}, f64), g = random::normal({5, 3}, f64);
  const Tensor w = random::uniform({3}, 0.5, 2.0, f64), b = random::normal({3}, f64);
  const auto check = [&](auto& norm) {
    const auto loss = [&](const Tensor& in, const Tensor& weight, const Tensor& bias) {
      return sum(norm(in) * g * weight) + sum(square(norm(in) + bias));
    };
    const GradcheckReport report = gradcheck(loss, {x, w, b}, {.order = 2});
    CHECK_MESSAGE(bool(report), to_string(report));
    CHECK(report.right == report.checked());
    // and of its own parameters: d(sum g y)/d weight = sum g * normalized x, d/d bias = sum g
    const Tensor y = norm(x);
    const auto [dw, db] = gradients<2>(sum(y * g), {norm.weight, norm.bias});
    const Tensor plain = (y - norm.bias.value()) / norm.weight.value();
    CHECK(max(abs(dw - sum(plain * g, 0))).template item<double>() < 1e-12);
    CHECK(max(abs(db - sum(g, 0))).template item<double>() < 1e-12);
  };
  nn::BatchNorm1d batch(3, {.dtype = f64});
  set_affine(batch.weight, batch.bias);
  check(batch);
  batch.eval();
  check(batch);
  nn::LayerNorm layer({3}, {.dtype = f64});
  set_affine(layer.weight, layer.bias);
  check(layer);
}

TEST_CASE("Residual adds its input and refuses another shape") {
  random::seed(25);
  const nn::Linear inner(3, 3);
  const nn::Residual block(inner);
  const Tensor x = variable(random::normal({4, 3}));
  CHECK(block(x).to_vector<float>() == (x + inner(x)).to_vector<float>());
  REQUIRE(block.named_parameters().size() == 2);
  CHECK(block.named_parameters()[0].name == "f.weight");
  CHECK(block.named_parameters()[0].parameter == inner.weight);
  const Tensor direct = gradients(sum(x + inner(x)), {x})[0];
  CHECK(gradients(sum(block(x)), {x})[0].to_vector<float>() == direct.to_vector<float>());
  // [4, 1] would broadcast
  CHECK_THROWS_WITH_AS(nn::Residual(nn::Linear(3, 1))(x),
                       doctest::Contains("Residual: x is float32[4, 3] but f(x) is"), ShapeError);
}

TEST_CASE("buffers are named, converted, saved and loaded with the parameters") {
  random::seed(26);
  const auto make = [] { return nn::Sequential{nn::Linear(4, 3), nn::BatchNorm1d(3), nn::ReLU()}; };
  nn::Sequential net = make();
  for (int i = 0; i < 3; ++i) net(random::normal({8, 4}));
  const std::vector<nn::NamedBuffer> buffers = net.named_buffers();
  REQUIRE(buffers.size() == 3);
  CHECK(buffers[0].name == "1.running_mean");
  CHECK(buffers[1].name == "1.running_var");
  CHECK(buffers[2].name == "1.num_batches_tracked");
  CHECK(net.parameter_count() == 4 * 3 + 3 + 3 + 3);

  const std::string path =
      (std::filesystem::temp_directory_path() / ("wengert-buffers-" + std::to_string(::getpid()))).string();
  nn::save_safetensors(net, path);
  nn::Sequential again = make();
  nn::load_safetensors(again, path);
  net.eval(), again.eval();
  const Tensor x = random::normal({2, 4});
  CHECK(again(x).to_vector<float>() == net(x).to_vector<float>());
  CHECK(again.named_buffers()[2].buffer.value().item<std::int64_t>() == 3);

  // a file of the parameters alone is not enough
  nn::NamedTensors parameters;
  for (const nn::NamedParameter& p : net.named_parameters())
    parameters.push_back({p.name, p.parameter.value()});
  nn::save_safetensors(parameters, path);
  CHECK_THROWS_WITH_AS(nn::load_safetensors(again, path),
                       doctest::Contains("has no tensor \"1.running_mean\""), FileError);
  std::filesystem::remove(path);

  net.to(f64);
  CHECK(net.named_buffers()[0].buffer.value().dtype() == f64);
  CHECK(net.named_buffers()[2].buffer.value().dtype() == DType::int64);
  CHECK(net(cast(x, f64)).dtype() == f64);
}

TEST_CASE("captured steps of normalized networks are the eager ones, running statistics included") {
  const auto make = [] {
    random::seed(27);
    return nn::Sequential{nn::Linear(4, 6), nn::BatchNorm1d(6), nn::Tanh(),
                          nn::Residual(nn::Sequential{nn::LayerNorm({6}), nn::Linear(6, 6)}),
                          nn::Linear(6, 3)};
  };
  const auto train = [&](const nn::Sequential& net, bool captured) {
    nn::SGD sgd(net.parameters(), {.learning_rate = 0.1});
    const auto step = [&](const Tensor& x, const Tensor& y) {
      const Tensor loss = nn::cross_entropy(net(x), y);
      sgd.step(gradients(loss, net.parameters()));
      return loss;
    };
    auto replayed = capture(step);
    random::seed(28);
    for (int i = 0; i < 20; ++i) {
      const Tensor x = random::normal({8, 4}), y = random::integers(0, 3, {8});
      captured ? replayed(x, y) : step(x, y);
    }
  };
  const nn::Sequential eager = make(), replayed = make();
  train(eager, false), train(replayed, true);
  const auto differ = [](const Tensor& a, const Tensor& b) { return max(abs(a - b)).item<float>(); };
  for (std::size_t i = 0; i < eager.parameters().size(); ++i)
    CHECK(differ(eager.parameters()[i], replayed.parameters()[i]) < 1e-5f);
  CHECK(differ(eager.named_buffers()[0].buffer.value(), replayed.named_buffers()[0].buffer.value()) < 1e-5f);
  CHECK(differ(eager.named_buffers()[1].buffer.value(), replayed.named_buffers()[1].buffer.value()) < 1e-5f);
  CHECK(replayed.named_buffers()[2].buffer.value().item<std::int64_t>() == 20);
}

TEST_CASE("wrong arguments of the normalizations are errors that say what was expected") {
  CHECK_THROWS_AS(nn::BatchNorm1d(0), ValueError);
  CHECK_THROWS_AS(nn::BatchNorm1d(3, {.eps = 0.0}), ValueError);
  CHECK_THROWS_AS(nn::BatchNorm1d(3, {.momentum = 1.5}), ValueError);
  CHECK_THROWS_AS(nn::LayerNorm(Shape{}), ValueError);
  CHECK_THROWS_AS(nn::LayerNorm({3, 0}), ValueError);
  const nn::BatchNorm1d batch(3);
  CHECK_THROWS_WITH_AS(batch(zeros({4, 2})),
                       doctest::Contains("x must be [n, 3] or [n, 3, l]: x is float32[4, 2]"), ShapeError);
  CHECK_THROWS_AS(batch(zeros({3})), ShapeError);
  CHECK_THROWS_WITH_AS(batch(zeros({1, 3})), doctest::Contains("at least two values a channel"), ValueError);
  CHECK_THROWS_AS(batch(zeros({4, 3}, f64)), DTypeError);
  const nn::LayerNorm layer({2, 3});
  CHECK_THROWS_WITH_AS(layer(zeros({4, 3})), doctest::Contains("must end in the lengths"), ShapeError);
  CHECK_THROWS_AS(layer(zeros({3})), ShapeError);
  CHECK_THROWS_AS(layer(zeros({2, 3}, f64)), DTypeError);
  const nn::Buffer buffer(zeros({2}));
  CHECK_THROWS_AS(buffer.set(zeros({3})), ShapeError);
  CHECK_THROWS_AS(buffer.set(zeros({2}, f64)), DTypeError);
  CHECK_THROWS_AS(nn::Buffer().value(), GraphError);
}

TEST_SUITE_END();
