// The main job: train, validate, save, load, predict. MNIST-1D always; MNIST too when its folder is given:
//
//     s15_digits --mnist FOLDER    with train-images-idx3-ubyte.gz and its three companions

#include <algorithm>
#include <autodiff/autodiff.hpp>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

struct Task {
  std::string name, file;
  nn::Split split;
  std::int64_t kept_aside;  // of the training examples, to validate
  Sizes sizes;
  int batch;
  double rate;
  double
      noise;  // deviation of noise on the training inputs, which keeps a network from learning them by heart
  double goal;  // test accuracy, per cent
};

// One training example, as it looks.
void draw_example(Panel& panel, const std::vector<float>& x) {
  if (x.size() == 784) {
    std::vector<double> upright;
    for (int row = 27; row >= 0; --row)
      for (int i = 0; i < 28; ++i) upright.push_back(x[static_cast<std::size_t>(28 * row + i)]);
    panel.colours({0, 27, 28, upright}, 0, 1).command("set palette gray negative\nunset tics\nunset border");
    return;
  }
  std::vector<double> place(x.size());
  std::iota(place.begin(), place.end(), 0.0);
  panel.command("set yrange [-5:5]\nset xtics 10\nset ytics 4")
      .lines("", place, std::vector<double>(x.begin(), x.end()));
}

void learn(Note& note, const Task& task, int epochs) {
  const std::int64_t count = task.split.train.size() - task.kept_aside;
  const nn::Dataset data = task.split.train.range(0, count),
                    validation = task.split.train.range(count, count + task.kept_aside);
  nn::Sequential net = dense(task.sizes, nn::ReLU(), {.weight_init = nn::he_normal});
  nn::Adam adam(net.parameters(), {.learning_rate = task.rate});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor noisy = task.noise > 0 ? x + random::normal(x.shape(), 0.0, task.noise) : x;
    const Tensor loss = nn::cross_entropy(net(noisy), y);
    adam.step(gradients(loss, net.parameters()));
    return loss;
  });
  std::vector<double> epoch, train_accuracy, validation_accuracy, train_loss, validation_loss;
  const auto judge = [&](const nn::Dataset& on, std::vector<double>& accuracy, std::vector<double>& loss) {
    const NoGrad no_grad;
    const Tensor logits = net(on.x);
    accuracy.push_back(100 * nn::accuracy(logits, on.y)),
        loss.push_back(nn::cross_entropy(logits, on.y).item<float>());
  };
  for (int e = 1; e <= epochs; ++e) {
    if (e == epochs - epochs / 4) adam.set_learning_rate(task.rate / 10);
    for (auto [x, y] : nn::DataLoader(data, {.batch_size = task.batch, .shuffle = true})) step(x, y);
    epoch.push_back(e);
    judge(data.range(0, std::min<std::int64_t>(count, 5000)), train_accuracy, train_loss);
    judge(validation, validation_accuracy, validation_loss);
  }

  const nn::Dataset& test = task.split.test;
  const std::string model = note.out() + "/" + task.file + ".safetensors";
  nn::save_safetensors(net, model);
  const nn::Sequential loaded = dense(task.sizes, nn::ReLU());
  nn::load_safetensors(loaded, model);
  const NoGrad no_grad;
  const Tensor logits = loaded(test.x);
  note.check(fmt::format("{}: saved and loaded, the network predicts the same", task.name),
             fmt::format("largest difference {:g}", largest_difference(logits, net(test.x))), "0, exactly",
             largest_difference(logits, net(test.x)) == 0);
  note.at_least(fmt::format("{}: {}, {} epochs, on {} test examples", task.name, fmt::join(task.sizes, "-"),
                            epochs, test.size()),
                100 * nn::accuracy(logits, test.y), task.goal, "% right");

  const std::vector<std::int64_t> truth = test.y.to_vector<std::int64_t>(),
                                  said = argmax(logits, -1).to_vector<std::int64_t>();
  std::vector<double> confusion(100, 0.0);
  for (std::size_t i = 0; i < truth.size(); ++i)
    confusion[static_cast<std::size_t>(truth[i] * 10 + said[i])] += 1;

  Picture picture(task.file, 2, 900);
  picture.panel(task.name, "epoch", "% right")
      .command("set key bottom right")
      .lines("training", epoch, train_accuracy)
      .lines("validation", epoch, validation_accuracy);
  picture.panel("Cross-entropy", "epoch", "loss")
      .command("unset key")
      .lines("training", epoch, train_loss)
      .lines("validation", epoch, validation_loss);
  std::vector<std::string> digits;
  for (int d = 0; d < 10; ++d) digits.push_back(fmt::format("{}", d));
  std::vector<double> shown = confusion;
  for (double& c : shown) c = c == 0 ? std::nan("") : c;
  picture.panel("Confusion: test examples", "said", "is")
      .command("set logscale cb")
      .table(digits, digits, shown, "%g");

  // The wrong answers that the network was surest of.
  const std::vector<float> sure = max(softmax(logits), -1).to_vector<float>();
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < truth.size(); ++i)
    if (truth[i] != said[i]) wrong.push_back(i);
  std::sort(wrong.begin(), wrong.end(), [&](std::size_t a, std::size_t b) { return sure[a] > sure[b]; });
  for (std::size_t k = 0; k < std::min<std::size_t>(3, wrong.size()); ++k) {
    const std::size_t i = wrong[k];
    const bool image = task.sizes[0] == 784;
    draw_example(picture.panel(fmt::format("Is {}, said {} with {:.2f} %", truth[i], said[i], 100 * sure[i]),
                               image ? "" : "place", image ? "" : "value"),
                 take(test.x, full({}, static_cast<std::int64_t>(i))).to_vector<float>());
  }
  note.draw(picture);
}

int body(int argc, char** argv) {
  Note note(
      "S15",
      "A network learns digits: it is trained, validated, saved, loaded, and predicts what it has not seen.",
      "Multi-layer networks, \"Neural network example\"; Deep networks (after Prince), MNIST-1D");
  std::string folder;
  int epochs = 60, mnist_epochs = 10;
  note.option("--mnist", folder, "folder with the four IDX files of MNIST, gzipped or not");
  note.option("--epochs", epochs, "on MNIST-1D");
  note.option("--mnist-epochs", mnist_epochs, "on MNIST");
  note.start(argc, argv);
  if (note.quick()) epochs = 10;

  learn(note,
        {"MNIST-1D",
         "s15_digits",
         nn::datasets::mnist1d(),
         400,
         {40, 100, 100, 10},
         100,
         1e-2,
         0.2,
         note.full_or_quick(62.0, 50.0)},
        epochs);
  if (!folder.empty())
    learn(note,
          {"MNIST", "s15_digits_mnist", nn::datasets::mnist(folder), 5000, {784, 128, 10}, 64, 1e-3, 0, 97.5},
          mnist_epochs);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
