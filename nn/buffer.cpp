#include "nn/buffer.hpp"

#include "autodiff/ops/structure.hpp"

namespace wengert::nn {

Buffer::Buffer(const Tensor& initial) : state_(prepare(initial)) {}

Tensor Buffer::prepare(const Tensor& value) { return contiguous(stop_gradient(value)); }

void Buffer::set(const Tensor& value, SourceLocation where) const { state_.set(prepare(value), where); }

}  // namespace wengert::nn
