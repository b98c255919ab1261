// The loss of a character model of LSTM layers whose weight matrices are diagonal, and its gradient.
//
// main_params holds two rows for each layer, weights and biases of the gates (forget, in, out, change) side
// by side; extra_params the weights of the input, the weights and biases of the output.

#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

struct Gate {
  Tensor weight, bias;
  Tensor operator()(const Tensor& x) const { return x * weight + bias; }
};

class Model {
 public:
  explicit Model(const gradbench::Json& input) {
    const Tensor sequence = gradbench::numbers(input["sequence"]), state = gradbench::numbers(input["state"]);
    for (std::int64_t i = 0; i < state.dim(0); ++i) state_.push_back(slice(state, {i}));
    for (std::int64_t t = 0; t + 1 < sequence.dim(0); ++t) inputs_.push_back(slice(sequence, {t}));
    targets_ = slice(sequence, {Slice(1, Slice::none)});
  }

  Tensor loss(const Tensors& parameters) const {
    const Tensor &main = parameters[0], &extra = parameters[1];
    const std::int64_t b = extra.dim(1);
    const auto gate = [&](std::size_t layer, int i) {
      const auto part = [&](std::size_t row) {
        return slice(main, {static_cast<std::int64_t>(row), Slice(i * b, (i + 1) * b)});
      };
      return Gate{part(2 * layer), part(2 * layer + 1)};
    };
    struct Layer {
      Gate forget, in, out, change;
      Tensor hidden, cell;
    };
    std::vector<Layer> layers;
    for (std::size_t i = 0; 2 * i < state_.size(); ++i)
      layers.push_back({gate(i, 0), gate(i, 1), gate(i, 2), gate(i, 3), state_[2 * i], state_[2 * i + 1]});

    const Tensor in_weight = slice(extra, {0});
    Tensors hidden;
    hidden.reserve(inputs_.size());
    for (const Tensor& input : inputs_) {
      Tensor x = input * in_weight;
      for (Layer& layer : layers) {
        layer.cell = layer.cell * sigmoid(layer.forget(x)) +
                     sigmoid(layer.in(layer.hidden)) * tanh(layer.change(layer.hidden));
        layer.hidden = sigmoid(layer.out(x)) * tanh(layer.cell);
        x = layer.hidden;
      }
      hidden.push_back(x);
    }
    // What does not feed back is computed for all characters at once.
    const Tensor predictions = stack(hidden) * slice(extra, {1}) + slice(extra, {2});
    const Tensor normalised = predictions - log(sum(exp(predictions), 1, true) + 2.0);
    return -mean(targets_ * normalised);
  }

 private:
  std::vector<Tensor> state_, inputs_;
  Tensor targets_;
};

gradbench::Prepared prepare(const gradbench::Json& input, bool gradient) {
  const Tensors parameters{gradbench::numbers(input["main_params"]),
                           gradbench::numbers(input["extra_params"])};
  const auto f = [model = Model(input)](const Tensors& at) { return model.loss(at); };
  return gradbench::repeat(
      [=](const Tensors& in) {
        if (!gradient) return Tensors{f(in)};
        const Tensors g = grad(f)(in);
        return Tensors{concatenate({reshape(g[0], {-1}), reshape(g[1], {-1})})};
      },
      parameters);
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "objective", "jacobian", prepare); }
