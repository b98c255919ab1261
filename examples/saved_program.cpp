// A training step leaves its process: recorded and trained here, saved, and trained on by a program that has
// the file alone, no network, no optimizer. Both end with the same bits.
//
//     saved_program                              records, saves, and starts itself again as
//     saved_program --resume FILE --out RESULT   which trains on and writes the weights

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <autodiff/autodiff.hpp>
#include <cstdlib>
#include <filesystem>
#include <nn/nn.hpp>

#include "examples/common/claims.hpp"

using namespace wengert;
using namespace examples;

namespace {

constexpr int steps_before = 40, steps_after = 60;

/// Both processes make the same data.
struct Spirals {
  Tensor points, labels;
  Spirals() {
    random::seed(11);
    const Tensor arm = random::integers(0, 2, {200}), t = 0.5 + 3.0 * random::uniform({200});
    const Tensor angle = 2.0 * t + 3.14159 * cast(arm, DType::float32);
    points = concatenate({expand_dims(t * cos(angle), 1), expand_dims(t * sin(angle), 1)}, 1) +
             0.1 * random::normal({200, 2});
    labels = arm;
  }
};

int resume(const std::string& file, const std::string& out) {
  const Spirals data;
  const LoadedProgram step = load_program(file);
  Tensor loss;
  for (int i = 0; i < steps_after; ++i) loss = step(data.points, data.labels)[0];
  save_safetensors({{"loss", loss}, {"weights", step.state("0.weight").value()}}, out);
  return 0;
}

int body(int argc, char** argv) {
  std::string file, out;
  CLI::App app("A training step that goes on in another process.");
  app.add_option("--resume", file, "Train on with this program");
  app.add_option("--out", out, "Where to write the result then");
  CLI11_PARSE(app, argc, argv);
  if (!file.empty()) return resume(file, out);

  const Spirals data;
  nn::Sequential net{nn::Linear(2, 16), nn::Tanh(), nn::Linear(16, 16), nn::Tanh(), nn::Linear(16, 2)};
  nn::Adam adam(net.parameters(), {.learning_rate = 0.02});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    adam.step(gradients(loss, net.parameters()));
    return loss;
  });
  Tensor loss;
  for (int i = 0; i < steps_before; ++i) loss = step(data.points, data.labels);
  const double at_leaving = loss.item<double>();

  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  const std::string stem = (folder / fmt::format("saved_program.{}", getpid())).string();
  file = stem + ".wengert";
  out = stem + ".safetensors";
  save_program(step, file, {net.named_states(), adam.named_states()});

  Claims claims;
  const int status = std::system(fmt::format("'{}' --resume '{}' --out '{}'", argv[0], file, out).c_str());
  std::filesystem::remove(file);
  claims.equal("another process loads the step and trains on", status, 0);
  if (status != 0) return claims.finish();
  for (int i = 0; i < steps_after; ++i) loss = step(data.points, data.labels);
  const NamedTensors there = load_safetensors(out);  // by name: loss, weights
  std::filesystem::remove(out);
  const double left = loss.item<double>();
  claims.at_most(fmt::format("its loss, {:.6f} after {:.6f}, is the one here", left, at_leaving),
                 largest_difference(there[0].tensor, loss), 0);
  claims.at_most("so are its weights",
                 largest_difference(there[1].tensor, net.named_states()[0].state.value()), 0);
  return claims.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
