#include "autodiff/program/trace.hpp"

#include <atomic>

#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert::program {
namespace {

std::atomic<std::uint32_t> traces{0};

/// The elements alone, contiguous, computed and not recorded.
Tensor elements_of(detail::TensorImpl& x) {
  if (x.contiguous) return Tensor::adopt(detail::new_view(x, x.shape, x.strides, 0));
  struct Pause {
    detail::Tracer* tracer = std::exchange(detail::recording.tracer, nullptr);
    ~Pause() { detail::recording.tracer = tracer; }
  } pause;
  NoGrad scope;
  return contiguous(Tensor::share(&x));
}

}  // namespace

Trace::Trace() : number_(++traces) {
  while (number_ == 0 || number_ == none) number_ = ++traces;  // after four thousand million of them
  detail::recording.tracer = this;
}

Trace::~Trace() { close(); }

Tensor Trace::traced(ValueId v) const {
  return Tensor::adopt(detail::new_traced(graph_.dtype(v), graph_.shape(v), number_, v));
}

Tensor Trace::argument(const Tensor& like) {
  Tensor x = traced(graph_.add_argument(like.dtype(), like.shape()));
  x.impl().requires_grad = like.requires_grad();
  return x;
}

void Trace::output(const Tensor& value) { graph_.add_output(value_of(value.impl())); }

ValueId Trace::value_of(const detail::TensorImpl& x) {
  if (x.trace == number_) return x.trace_value;
  if (x.trace != 0)
    throw GraphError("capture", "a tensor of another capture, which has ended, has no value", x.where);
  const auto [at, fresh] = constants_.try_emplace(&x, 0);
  if (fresh) {
    // The constant is the elements without their history; the original stays until the end of the trace,
    // so that its address means it and no other.
    auto& original = const_cast<detail::TensorImpl&>(x);
    kept_.push_back(Tensor::share(&original));
    met_variables_ |= x.requires_grad;
    at->second = graph_.add_constant(elements_of(original));
  }
  return at->second;
}

detail::TensorImpl* Trace::apply(const Call& call) {
  inputs_.clear();
  for (std::uint32_t i = 0; i < call.count; ++i) inputs_.push_back(value_of(call[i]));
  const Meta meta = call.op.infer(call);
  const ValueId v = graph_.add(call.op, inputs_, call.attributes, call.where, meta.dtype, meta.shape);
  return detail::new_traced(meta.dtype, meta.shape, number_, v);
}

const Tensor& Trace::read(const std::shared_ptr<detail::StateSlot>& slot) {
  const auto [at, fresh] = states_.try_emplace(slot.get());
  if (fresh) {
    Tensor value = traced(graph_.add_state(slot));
    value.impl().requires_grad = slot->value.requires_grad();
    at->second = {slot, std::move(value)};
  }
  return at->second.value;
}

void Trace::assign(const std::shared_ptr<detail::StateSlot>& slot, Tensor&& value) {
  read(slot);
  graph_.assign(slot, value_of(value.impl()));
  states_.at(slot.get()).value = std::move(value);
}

Graph Trace::finish() && { return std::move(graph_); }

}  // namespace wengert::program
