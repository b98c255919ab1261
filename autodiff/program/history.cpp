#include "autodiff/program/history.hpp"

#include <cstring>
#include <deque>
#include <mutex>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/tracer.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert::program {
namespace {

struct ResultNumber {
  std::int64_t result;
  template <class V>
  void visit(V&& v) const {
    v("result", result);
  }
};

/// While it lives, this thread reads other values from some states; operators compute as ever.
class Substitute final : public detail::Tracer {
 public:
  explicit Substitute(const SourceLocation& where)
      : where_(where), before_(std::exchange(detail::recording.tracer, this)) {}
  ~Substitute() { detail::recording.tracer = before_; }
  Substitute(const Substitute&) = delete;
  Substitute& operator=(const Substitute&) = delete;

  void set(const detail::StateSlot* slot, Tensor value) { values_.push_back({slot, std::move(value)}); }

  // The caller records the node.
  detail::TensorImpl* apply(const Call& call) override {
    struct Outside {
      detail::Tracer* self = detail::recording.tracer;
      ~Outside() { detail::recording.tracer = self; }
    } outside;
    detail::recording.tracer = before_;
    NoGrad scope;
    const Tensor result = apply_op(call.op, call.inputs, call.count, call.attributes, call.where);
    detail::retain(result.get());
    return result.get();
  }
  const Tensor& read(const std::shared_ptr<detail::StateSlot>& slot) override {
    for (const auto& [known, value] : values_)
      if (known == slot.get()) return value;
    return slot->value;
  }
  void assign(const std::shared_ptr<detail::StateSlot>&, Tensor&&) override {
    throw GraphError("captured_result",
                     "the function changes a state now, which it did not when it was captured", where_);
  }

 private:
  SourceLocation where_;
  detail::Tracer* before_;
  std::vector<std::pair<const detail::StateSlot*, Tensor>> values_;
};

struct Origin {
  detail::ErasedFunction function;
  std::weak_ptr<void> object;
  std::size_t arguments;
  std::vector<std::weak_ptr<detail::StateSlot>> states;
  std::vector<Meta> results;

  Tensor run(const Call& call) const {
    const auto gone = [&](const char* what) {
      throw GraphError(call.op.name, std::string(what) + " is gone, and with it the derivative of its result",
                       call.where);
    };
    const std::shared_ptr<void> alive = object.lock();
    if (alive == nullptr) gone("the captured function");
    std::vector<Tensor> in;
    for (std::uint32_t i = 0; i < arguments; ++i) in.push_back(call.input(i));
    in.emplace_back();
    std::vector<std::shared_ptr<detail::StateSlot>> slots;
    Substitute scope(call.where);
    for (std::size_t k = 0; k < states.size(); ++k) {
      slots.push_back(states[k].lock());
      if (slots.back() == nullptr) gone("a state of the captured function");
      scope.set(slots.back().get(), call.input(static_cast<std::uint32_t>(arguments + k)));
    }
    Tensors out;
    function(alive.get(), in.data(), arguments, out);
    return out[static_cast<std::size_t>(call.attrs<ResultNumber>().result)];
  }
};

}  // namespace

const OperatorDefinition& make_history(const Graph& graph, detail::ErasedFunction function,
                                       const std::shared_ptr<void>& object) {
  const auto origin = std::make_shared<Origin>(Origin{function, object, graph.arguments().size(), {}, {}});
  for (const StateUse& s : graph.states()) origin->states.push_back(s.slot);
  for (const ValueId v : graph.outputs()) origin->results.push_back({graph.dtype(v), graph.shape(v)});

  OperatorDefinition op;
  op.name = "captured_result";
  op.doc = "a result of a captured function";
  op.min_inputs = op.max_inputs = static_cast<int>(origin->arguments + origin->states.size());
  op.attributes = attribute_type<ResultNumber>();
  op.differentiable = true;
  op.reads_inputs = ~0u;
  op.infer = [origin](const Call& call) {
    return origin->results[static_cast<std::size_t>(call.attrs<ResultNumber>().result)];
  };
  op.body = [origin](const Call& call, detail::TensorImpl& out) {
    NoGrad scope;
    const Tensor y = contiguous(origin->run(call));
    std::memcpy(out.data, y.get()->data, static_cast<std::size_t>(y.size()) * item_size(y.dtype()));
  };
  op.compose = [origin](const Call& call) { return origin->run(call); };

  // Nodes point to definitions for as long as they live, which nobody knows.
  static std::mutex mutex;
  static auto& all = *new std::deque<OperatorDefinition>;
  const std::lock_guard lock(mutex);
  return all.emplace_back(std::move(op));
}

void attach_history(const OperatorDefinition& history, const Graph& graph, const Tensor* arguments,
                    std::size_t number, const SourceLocation& where, detail::TensorImpl& result) {
  std::vector<detail::TensorImpl*> inputs;
  bool variables = false;
  const auto add = [&](const Tensor& x) {
    inputs.push_back(x.get());
    variables |= x.requires_grad();
  };
  for (std::size_t i = 0; i < graph.arguments().size(); ++i) add(arguments[i]);
  for (const StateUse& s : graph.states()) add(s.slot->value);
  if (!variables) return;
  const ResultNumber attributes{static_cast<std::int64_t>(number)};
  detail::record_node({history, inputs.data(), static_cast<std::uint32_t>(inputs.size()), &attributes, where},
                      result);
}

}  // namespace wengert::program
