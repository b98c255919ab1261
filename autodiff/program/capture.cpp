#include "autodiff/program/capture.hpp"

#include <fmt/format.h>

#include <list>
#include <ostream>

#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/program.hpp"
#include "autodiff/program/trace.hpp"

namespace wengert::detail {
namespace {

struct Type {
  DType dtype;
  Shape shape;
};

/// Stands as the origin of results whose history was not recorded; a graph walk that meets it fails.
const OperatorDefinition& captured_result() {
  static const OperatorDefinition& op = [&]() -> OperatorDefinition& {
    OperatorDefinition d;
    d.name = "captured_result";
    d.doc = "the result of a captured function";
    d.contract = "has no history: to differentiate it is an error";
    d.min_inputs = d.max_inputs = 0;
    return *new OperatorDefinition(std::move(d));
  }();
  return op;
}

}  // namespace

struct CaptureCore::Impl {
  struct Entry {
    std::vector<Type> signature;
    bool recording;
    std::shared_ptr<program::Program> program;
  };

  CaptureOptions options;
  SourceLocation where;
  std::mutex mutex;
  std::list<Entry> entries;  // the last used in front

  bool matches(const Entry& e, const Tensor* arguments, std::size_t count) const {
    if (e.signature.size() != count || e.recording != detail::recording.enabled) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const TensorImpl& x = arguments[i].impl();
      if (x.dtype != e.signature[i].dtype || x.shape != e.signature[i].shape) return false;
    }
    return true;
  }

  Entry record(ErasedFunction function, void* object, const Tensor* arguments, std::size_t count) {
    Entry e;
    e.recording = detail::recording.enabled;
    program::Trace trace;
    std::vector<Tensor> symbols;
    for (std::size_t i = 0; i < count; ++i) {
      e.signature.push_back({arguments[i].dtype(), arguments[i].shape()});
      symbols.push_back(trace.argument(arguments[i]));
    }
    symbols.emplace_back();
    std::vector<bool> differentiable;
    Tensors results;
    function(object, symbols.data(), results);
    for (const Tensor& result : results) {
      if (!result.defined()) throw GraphError("capture", "the function returns an empty tensor", where);
      trace.output(result);
      differentiable.push_back(result.requires_grad());
    }
    trace.close();
    e.program = std::make_shared<program::Program>(std::move(trace).finish(), options);
    e.program->differentiable = std::move(differentiable);
    return e;
  }

  /// The program for these arguments, recorded when there is none. The mutex is held.
  Entry& find(ErasedFunction function, void* object, const Tensor* arguments, std::size_t count) {
    for (auto e = entries.begin(); e != entries.end(); ++e) {
      if (!matches(*e, arguments, count)) continue;
      if (e != entries.begin()) entries.splice(entries.begin(), entries, e);
      return entries.front();
    }
    entries.push_front(record(function, object, arguments, count));
    while (entries.size() > std::max<std::size_t>(options.programs, 1)) entries.pop_back();
    return entries.front();
  }

  const program::Program& last() {
    if (entries.empty()) throw GraphError("capture", "nothing has been captured yet: call it first", where);
    return *entries.front().program;
  }
};

CaptureCore::CaptureCore(const CaptureOptions& options, const SourceLocation& where)
    : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->where = where;
}
CaptureCore::~CaptureCore() = default;
CaptureCore::CaptureCore(CaptureCore&&) noexcept = default;
CaptureCore& CaptureCore::operator=(CaptureCore&&) noexcept = default;

void CaptureCore::call(ErasedFunction function, void* object, const Tensor* arguments, std::size_t count,
                       Tensors& results) {
  bool direct = recording.tracer != nullptr || recording.check_finite;
  bool contiguous_arguments = true;
  for (std::size_t i = 0; i < count; ++i) {
    const TensorImpl& x = arguments[i].impl();
    direct |= recording.enabled && x.requires_grad;
    contiguous_arguments &= x.contiguous;
  }
  if (direct) return function(object, arguments, results);

  std::vector<Tensor> copies;
  if (!contiguous_arguments)
    for (std::size_t i = 0; i < count; ++i) copies.push_back(contiguous(arguments[i]));
  const Tensor* const in = contiguous_arguments ? arguments : copies.data();
  std::shared_ptr<program::Program> program;
  for (;;) {
    {
      const LockIfThreads lock(impl_->mutex);
      program = impl_->find(function, object, arguments, count).program;
    }
    results.resize(program->graph().outputs().size());
    if (program->run(in, results.begin())) break;
    // A parameter has got another element type since this was recorded.
    const LockIfThreads lock(impl_->mutex);
    impl_->entries.remove_if([&](const Impl::Entry& e) { return e.program == program; });
  }
  if (!recording.enabled) return;
  for (std::size_t i = 0; i < results.size(); ++i) {
    TensorImpl& y = results[i].impl();
    if (!program->differentiable[i] || y.requires_grad) continue;
    if (y.counts.load() != TensorImpl::one_handle) continue;
    y.requires_grad = true;
    y.op = &captured_result();
    y.where = impl_->where;
  }
}

ProgramListing CaptureCore::listing() const {
  std::lock_guard lock(impl_->mutex);
  const program::Graph& graph = impl_->last().graph();
  return {graph.text(), graph.dot()};
}
std::string CaptureCore::report() const {
  std::lock_guard lock(impl_->mutex);
  const program::Report& r = impl_->last().report();
  return fmt::format(
      "{} operators recorded, {} after the passes, {} steps a run ({} loops), {} bytes of intermediate "
      "values, "
      "{} bytes of tiles a thread; {} of at most {} programs kept",
      r.recorded, r.instructions, r.steps, r.loops, r.arena_bytes, r.frame_bytes, impl_->entries.size(),
      impl_->options.programs);
}
std::size_t CaptureCore::programs() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->entries.size();
}

}  // namespace wengert::detail

namespace wengert {

std::ostream& operator<<(std::ostream& out, const ProgramListing& listing) { return out << listing.text(); }

}  // namespace wengert
