#include "autodiff/program/capture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <ostream>

#include "autodiff/graph/apply.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/history.hpp"
#include "autodiff/program/interpret.hpp"
#include "autodiff/program/program_file.hpp"
#include "autodiff/program/trace.hpp"
#include "autodiff/program/turn.hpp"

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
    bool checked;  ///< for CheckFinite scopes
    std::shared_ptr<program::Program> program;
  };

  CaptureOptions options;
  SourceLocation where;
  Turn turn;
  std::list<Entry> entries;  // the last used in front
  /// Who only looks does not wait for a run: entries come and go within the turn and within this one.
  mutable Turn shown;
  std::atomic<const Entry*> front{nullptr};  // of them

  static bool matches(const Entry& e, const Tensor* arguments, std::size_t count) {
    if (e.signature.size() != count) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const TensorImpl& x = arguments[i].impl();
      if (x.dtype != e.signature[i].dtype || x.shape != e.signature[i].shape) return false;
    }
    return true;
  }

  Entry record(ErasedFunction function, const std::shared_ptr<void>& object, const Tensor* arguments,
               std::size_t count) {
    Entry e{{}, recording.enabled, recording.check_finite, nullptr};
    program::Trace trace;
    std::vector<Tensor> symbols;
    for (std::size_t i = 0; i < count; ++i) {
      e.signature.push_back({arguments[i].dtype(), arguments[i].shape()});
      symbols.push_back(trace.argument(arguments[i]));
    }
    symbols.emplace_back();
    std::vector<bool> differentiable;
    Tensors results;
    function(object.get(), symbols.data(), count, results);
    for (const Tensor& result : results) {
      if (!result.defined()) throw GraphError("capture", "the function returns an empty tensor", where);
      trace.output(result);
      differentiable.push_back(result.requires_grad());
    }
    trace.close();
    bool again = !trace.met_variables();  // whether the function gives the same when it runs once more
    program::Graph graph = std::move(trace).finish();
    for (const program::StateUse& s : graph.states()) again &= s.after == s.before;
    for (const program::Instruction& i : graph.instructions()) again &= !i.op->draws;
    e.program = e.checked ? program::Program::checked(std::move(graph))
                          : std::make_shared<program::Program>(std::move(graph), options);
    e.program->set_differentiable(differentiable);
    if (again && e.program->has_history())
      e.program->history = &program::make_history(e.program->graph(), function, object);
    return e;
  }

  /// Without a function to record, a checked program is made from the optimised one.
  Entry check(const Entry& e) const {
    Entry checked{e.signature, e.recording, true, program::Program::checked(e.program->graph())};
    checked.program->set_differentiable(e.program->differentiable());
    return checked;
  }

  /// The program of these types in the modes of this thread, or null. The turn is held.
  const Entry* current(const Tensor* arguments, std::size_t count) {
    const Recording& now = recording;
    for (auto e = entries.begin(); e != entries.end(); ++e) {
      if (e->recording != now.enabled || e->checked != now.check_finite || !matches(*e, arguments, count))
        continue;
      if (e != entries.begin()) {
        entries.splice(entries.begin(), entries, e);
        front.store(&*e, std::memory_order_release);
      }
      return &entries.front();
    }
    return nullptr;
  }

  /// Whether a program may run on the arguments as they are.
  static bool plain(const Tensor* arguments, std::size_t count) {
    const bool records = recording.enabled;
    for (std::size_t i = 0; i < count; ++i) {
      const TensorImpl* const x = arguments[i].get();
      if (x == nullptr || !x->contiguous || (x->requires_grad && records)) return false;
    }
    return true;
  }

  bool run(program::Program& program, const Tensor* arguments, bool variables, Tensors& results) const;
  bool replay(const Tensor* arguments, std::size_t count, Tensors& results);

  /// The program for these arguments, recorded when there is none. The turn is held.
  const std::shared_ptr<program::Program>& find(ErasedFunction function, const std::shared_ptr<void>& object,
                                                const Tensor* arguments, std::size_t count) {
    if (const Entry* const e = current(arguments, count); e != nullptr) return e->program;
    if (function == nullptr) return other_mode(arguments, count);
    keep(record(function, object, arguments, count));
    std::list<Entry> old;  // which end outside of the lock
    const std::lock_guard lock(shown);
    while (entries.size() > std::max<std::size_t>(options.programs, 1))
      old.splice(old.begin(), entries, std::prev(entries.end()));
    return entries.front().program;
  }

  void keep(Entry e) {
    std::list<Entry> one;
    one.push_back(std::move(e));
    const std::lock_guard lock(shown);
    entries.splice(entries.begin(), one);
    front = &entries.front();
  }
  /// A state has got another element type since this was recorded.
  void drop(const std::shared_ptr<program::Program>& program) {
    std::list<Entry> old;
    const std::lock_guard lock(shown);
    for (auto e = entries.begin(); e != entries.end();) {
      const auto here = e++;
      if (here->program == program) old.splice(old.begin(), entries, here);
    }
    front = entries.empty() ? nullptr : &entries.front();
  }

  /// What a function that was loaded, and can't be recorded again, has for these types.
  const std::shared_ptr<program::Program>& other_mode(const Tensor* arguments, std::size_t count) {
    const Entry* other = nullptr;
    for (const Entry& e : entries)
      if (!e.checked && matches(e, arguments, count) &&
          (other == nullptr || e.recording == recording.enabled))
        other = &e;
    if (other == nullptr) fail_signature(arguments, count);
    if (!recording.check_finite) return other->program;
    keep(check(*other));
    return entries.front().program;
  }

  [[noreturn]] void fail_signature(const Tensor* arguments, std::size_t count) const {
    const auto types = [](auto&& type, std::size_t n) {
      std::string text;
      for (std::size_t i = 0; i < n; ++i) text += (i == 0 ? "" : ", ") + type(i);
      return '(' + text + ')';
    };
    std::string known;
    for (const Entry& e : entries)
      known += (known.empty() ? "" : " or ") +
               types([&](std::size_t i) { return describe(e.signature[i].dtype, e.signature[i].shape); },
                     e.signature.size());
    throw ValueError("load_program", "the program was saved for arguments " + known + ", it is called with " +
                                         types([&](std::size_t i) { return describe(arguments[i]); }, count));
  }

  std::shared_ptr<program::Program> last() const {
    const std::lock_guard lock(shown);
    const Entry* const e = front.load(std::memory_order_acquire);
    if (e == nullptr) throw GraphError("capture", "nothing has been captured yet: call it first", where);
    return e->program;
  }
  std::size_t size() const {
    const std::lock_guard lock(shown);
    return entries.size();
  }
};

CaptureCore::CaptureCore(const CaptureOptions& options, const SourceLocation& where)
    : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->where = where;
}
CaptureCore::CaptureCore(std::vector<KeptProgram> programs) : impl_(std::make_unique<Impl>()) {
  for (KeptProgram& p : programs) {
    const program::Graph& g = p.program->graph();
    std::vector<Type> signature;
    for (const program::ValueId v : g.arguments()) signature.push_back({g.dtype(v), g.shape(v)});
    impl_->entries.push_back({std::move(signature), p.recording, false, std::move(p.program)});
  }
  if (!impl_->entries.empty()) impl_->front = &impl_->entries.front();
  impl_->options.programs = impl_->entries.size();
}
CaptureCore::~CaptureCore() = default;
CaptureCore::CaptureCore(CaptureCore&&) noexcept = default;
CaptureCore& CaptureCore::operator=(CaptureCore&&) noexcept = default;

namespace {

/// The history of results that are new tensors. Those that can have none say so when somebody differentiates
/// them.
void give_history(Tensors& results, const program::Program& program, const Tensor* arguments, bool variables,
                  const SourceLocation& where) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    TensorImpl& y = results[i].impl();
    if (y.requires_grad || y.counts.load() != TensorImpl::one_handle) continue;
    if (!program.differentiable()[i] && !(variables && is_floating(y.dtype))) continue;
    if (program.history != nullptr) {
      program::attach_history(*program.history, program.graph(), arguments, i, where, y);
      continue;
    }
    y.requires_grad = true;
    y.op = &captured_result();
    y.where = where;
  }
}

}  // namespace

[[gnu::always_inline]] inline bool CaptureCore::Impl::run(program::Program& program, const Tensor* arguments,
                                                          bool variables, Tensors& results) const {
  results.resize(program.graph().outputs().size());
  if (!program.run(arguments, results.begin())) return false;
  if (recording.enabled && (variables || program.has_history()))
    give_history(results, program, arguments, variables, where);
  return true;
}

/// Runs a known program, if there is one, on arguments that need not count: nothing but the program's own
/// kernels runs meanwhile.
[[gnu::always_inline]] inline bool CaptureCore::Impl::replay(const Tensor* arguments, std::size_t count,
                                                             Tensors& results) {
  if (!plain(arguments, count)) return false;
  std::unique_lock lock(turn);
  const Entry* const e = current(arguments, count);
  if (e == nullptr || e->program->calls_users()) return false;
  // Programs that update states take turns, whatever their signatures. The others run side by side, but
  // where the turn is all that a short one needs it keeps that until somebody else has wanted it.
  if (e->program->updates() || (e->program->brief() && !turn.contended()))
    return run(*e->program, arguments, false, results);
  const std::shared_ptr<program::Program> program = e->program;
  lock.unlock();
  return run(*program, arguments, false, results);
}

void CaptureCore::call(ErasedFunction function, const std::shared_ptr<void>& object, const Tensor* arguments,
                       std::size_t count, Tensors& results) {
  if (recording.tracer == nullptr && impl_->replay(arguments, count, results)) [[likely]]
    return;
  const std::vector<Tensor> counted(arguments, arguments + count);
  call_counted(function, object, counted.data(), count, results);
}

void CaptureCore::call_counted(ErasedFunction function, const std::shared_ptr<void>& object,
                               const Tensor* arguments, std::size_t count, Tensors& results) {
  const bool traced = recording.tracer != nullptr;
  bool variables = false, contiguous_arguments = true;
  for (std::size_t i = 0; i < count; ++i) {
    const TensorImpl& x = arguments[i].impl();
    variables |= recording.enabled && x.requires_grad;
    contiguous_arguments &= x.contiguous;
  }
  if ((traced || variables) && function != nullptr) return function(object.get(), arguments, count, results);

  if (!contiguous_arguments) {
    std::vector<Tensor> copies;
    for (std::size_t i = 0; i < count; ++i) copies.push_back(contiguous(arguments[i]));
    return call_counted(function, object, copies.data(), count, results);
  }
  for (;;) {
    std::shared_ptr<program::Program> program;
    {
      const std::lock_guard lock(impl_->turn);
      program = impl_->find(function, object, arguments, count);
      if (program->updates() && !traced && impl_->run(*program, arguments, variables, results)) return;
    }
    if (traced) {
      results.resize(program->graph().outputs().size());
      program::interpret(program->graph(), arguments, results.begin());
      if (recording.enabled) give_history(results, *program, arguments, variables, impl_->where);
      return;
    }
    if (!program->updates() && impl_->run(*program, arguments, variables, results)) return;
    if (function == nullptr)
      throw GraphError("load_program", "a state has another element type or shape than in the program");
    const std::lock_guard lock(impl_->turn);
    impl_->drop(program);
  }
}

std::vector<KeptProgram> CaptureCore::kept() const {
  const std::lock_guard lock(impl_->turn);
  std::vector<KeptProgram> list;
  for (const Impl::Entry& e : impl_->entries)
    if (!e.checked) list.push_back({e.recording, e.program});
  return list;
}
ProgramListing CaptureCore::listing() const {
  const auto last = impl_->last();
  const program::Graph& graph = last->in_use().graph();
  return {graph.text(), graph.dot()};
}
ProgramStatistics CaptureCore::statistics() const { return impl_->last()->in_use().statistics(); }
std::string CaptureCore::report() const {
  return fmt::format("{}\n{} of at most {} programs kept", to_string(statistics()), programs(),
                     impl_->options.programs);
}
std::size_t CaptureCore::programs() const { return impl_->size(); }

}  // namespace wengert::detail

namespace wengert {

std::ostream& operator<<(std::ostream& out, const ProgramListing& listing) { return out << listing.text(); }

}  // namespace wengert
