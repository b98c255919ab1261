// A dense layer has n[l-1] * n[l] weights and n[l] biases; the model summary prints the counts.

#include <autodiff/autodiff.hpp>
#include <string>
#include <vector>

#include "examples/notes/common/networks.hpp"
#include "examples/notes/common/note.hpp"

using namespace wengert;
using namespace examples;

namespace {

// Zeros: the numbers are not looked at, and VGG16's layers have 124 million of them.
nn::Sequential counted(const Sizes& sizes) {
  return dense(sizes, nn::ReLU(), {.weight_init = zeros, .bias_init = zeros});
}

// What the summary says about layer l (0, 1, ...) of a dense network.
std::string row(const nn::Sequential& net, std::size_t l) {
  const std::string text = net[2 * l].summary();
  const std::size_t last = text.rfind(' ');
  return text.substr(last + 1, text.find('\n', last) - last - 1);
}

int body(int argc, char** argv) {
  Note note("S4", "A fully connected layer has n[l-1] n[l] weights and n[l] biases.",
            "Deep neural networks, \"In general\"; Feed-forward networks, \"Feed-forward neural networks\" "
            "(10-10-5-1)");
  int seeds = 100;
  note.option("--seeds", seeds, "number of networks with random widths");
  note.start(argc, argv);

  const nn::Sequential slide = counted({10, 10, 5, 1});
  fmt::print("{}", slide.summary());
  const std::int64_t on_slide[] = {110, 55, 6};
  for (std::size_t l = 0; l < 3; ++l)
    note.equal(fmt::format("10-10-5-1, layer {}, in the summary", l + 1), std::stoll(row(slide, l)),
               on_slide[l]);

  // K. Simonyan, A. Zisserman, Very deep convolutional networks, ICLR 2015, table 1, column D: the last
  // pooling leaves 512 maps of 7 x 7, and then come layers of 4096, 4096 and 1000. The lecture's table gives
  // the total.
  constexpr std::int64_t vgg16 = 138'357'544;
  const nn::Sequential vgg = counted({512 * 7 * 7, 4096, 4096, 1000});
  fmt::print("{}", vgg.summary());
  const std::int64_t published[] = {102'764'544, 16'781'312, 4'097'000};
  std::vector<double> shares;
  for (std::size_t l = 0; l < 3; ++l) {
    note.equal(fmt::format("VGG16, fully connected layer {}, in the summary", l + 1), std::stoll(row(vgg, l)),
               published[l]);
    shares.push_back(static_cast<double>(published[l]) / 1e6);
  }
  shares.insert(shares.begin(), static_cast<double>(vgg16 - vgg.parameter_count()) / 1e6);

  int right = 0;
  for (int s = 0; s < seeds; ++s) {
    Sizes sizes;
    for (auto l = random::integers(2, 9, {}).item<std::int64_t>(); l > 0; --l)
      sizes.push_back(random::integers(1, 60, {}).item<std::int64_t>());
    std::int64_t expected = 0;
    for (std::size_t l = 1; l < sizes.size(); ++l) expected += sizes[l - 1] * sizes[l] + sizes[l];
    right += counted(sizes).parameter_count() == expected;
  }
  note.equal("random networks whose count is the sum of n[l-1] n[l] + n[l]", right, seeds);

  Picture picture("s04_parameter_counts", 2, 330);
  picture.panel("10-10-5-1: 171 parameters", "layer", "parameters")
      .bars("", {"10 to 10", "10 to 5", "5 to 1"}, {110, 55, 6});
  picture.panel("VGG16: 138 million, most in one layer", "layer", "parameters, millions")
      .bars("", {"13 conv.", "fc 1", "fc 2", "fc 3"}, shares);
  note.draw(picture);
  return note.finish();
}

}  // namespace

int main(int argc, char** argv) { return run(body, argc, argv); }
