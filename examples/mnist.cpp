// 784-128-10 on the real MNIST: at least 97.5 % of the 10,000 test digits within ten epochs.
//
//     mnist FOLDER    where FOLDER holds train-images-idx3-ubyte.gz and its three companions

#include <CLI/CLI.hpp>
#include <autodiff/autodiff.hpp>
#include <nn/nn.hpp>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

int body(int argc, char** argv) {
  std::string folder;
  std::int64_t epochs = 10;
  double goal = 97.5;
  CLI::App app{"Trains 784-128-10 on MNIST."};
  app.add_option("folder", folder, "folder with the four IDX files of MNIST, gzipped or not")->required();
  app.add_option("--epochs", epochs)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--goal", goal, "test accuracy to reach, in per cent")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  random::seed(42);
  auto [train, test] = nn::datasets::mnist(folder);
  nn::Sequential net{nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10)};
  nn::Adam adam(net.parameters(), {.learning_rate = 1e-3});
  nn::DataLoader loader(train, {.batch_size = 64, .shuffle = true, .epochs = epochs});
  nn::Progress progress(loader.size(), {.label = "training"});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    adam.step(gradients(loss, net.parameters()));
    return loss;
  });
  for (auto [x, y] : loader) progress.update(step(x, y).item<float>());
  progress.finish();

  const NoGrad no_grad;
  Claims claims;
  claims.at_least(fmt::format("784-128-10, {} epochs, on {} test digits", epochs, test.size()),
                  100 * nn::accuracy(net(test.x), test.y), goal, "% right");
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
