// A program of twenty lines whose compile time footprint measures.
#include <autodiff/autodiff.hpp>
#include <iostream>
using namespace wengert;

Tensor focal_loss(const Tensor& logits, const Tensor& labels, double gamma) {
  Tensor log_p = take_along_axis(log_softmax(logits, -1), labels, -1);
  return -mean(pow(1.0 - exp(log_p), gamma) * log_p);
}

int main() {
  Tensor x = tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}});
  Tensor labels = tensor({{0}, {1}, {0}});
  Tensor w = variable(tensor({{0.1, -0.2}, {0.3, 0.4}})), b = variable(zeros({2}));
  for (int step = 0; step < 100; ++step) {
    auto [dw, db] = gradients<2>(focal_loss(matmul(x, w) + b, labels, 2.0), {w, b});
    w = variable(w - 0.1 * dw), b = variable(b - 0.1 * db);
  }
  std::cout << focal_loss(matmul(x, w) + b, labels, 2.0) << "\n";
}
