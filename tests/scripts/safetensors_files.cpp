// Writes the tensors that scripts/safetensors_python knows, or checks that a file has them.
#include <cstring>
#include <iostream>

#include "autodiff/autodiff.hpp"
#include "nn/serialization.hpp"

using namespace wengert;

namespace {

nn::NamedTensors tensors() {
  const Tensor matrix = reshape(arange(12, DType::float32) / 4.0 - 1.0, {3, 4});
  return {{"matrix", matrix},
          {"transposed", transpose(matrix)},
          {"double", linspace(-1.0, 1.0, 7, DType::float64)},
          {"labels", reshape(arange(6) - 3, {2, 1, 3})},
          {"mask", tensor({true, false, true})},
          {"number", tensor(2.5, DType::float64)},
          {"empty", zeros({0, 3})},
          {"h\xc3\xb6he \"x\"", tensor({1e-300, 1e300}, DType::float64)}};
}

bool same(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const Tensor x = contiguous(a);
  const Tensor y = contiguous(b);
  return std::memcmp(x.impl().data, y.impl().data,
                     static_cast<std::size_t>(x.size()) * item_size(x.dtype())) == 0;
}

int check(const std::string& path) {
  const nn::NamedTensors loaded = nn::load_safetensors(path);
  const nn::NamedTensors expected = tensors();
  int wrong = loaded.size() == expected.size() ? 0 : 1;
  for (const nn::NamedTensor& e : expected) {
    bool found = false;
    for (const nn::NamedTensor& l : loaded) found |= l.name == e.name && same(l.tensor, e.tensor);
    if (!found) std::cout << "not as expected: " << e.name << '\n';
    wrong += !found;
  }
  if (wrong == 0) std::cout << "reads " << loaded.size() << " tensors as Python wrote them\n";
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string action = argc == 3 ? argv[1] : "";
  if (action == "write") return nn::save_safetensors(tensors(), argv[2], {{"made by", "wengert"}}), 0;
  if (action == "check") return check(argv[2]);
  std::cerr << "usage: safetensors_files write|check FILE\n";
  return 2;
}
