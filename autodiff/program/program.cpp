#include "autodiff/program/program.hpp"

#include "autodiff/graph/apply.hpp"
#include "autodiff/kernels/blas.hpp"
#include "autodiff/kernels/threads.hpp"
#include "autodiff/ops/bounded.hpp"
#include "autodiff/ops/positions.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/context.hpp"
#include "autodiff/program/count.hpp"
#include "autodiff/program/passes.hpp"

namespace wengert::program {

using detail::TensorImpl;

namespace {

/// Operations and bytes of programs that take a few microseconds at most.
constexpr std::int64_t brief_work = 1 << 15;

}  // namespace

Program::Program(Graph recorded, const CaptureOptions& options)
    : Program(std::move(recorded), options, false) {}

std::shared_ptr<Program> Program::checked(Graph recorded) {
  return std::shared_ptr<Program>(new Program(std::move(recorded), no_passes(false), true));
}

Program::Program(Graph recorded, const CaptureOptions& options, bool checks)
    : options_(options), checks_(checks) {
  statistics_.recorded = recorded.size();
  graph_ = optimise(std::move(recorded), options, statistics_.passes, unassuming_);
  if (unassuming_.size() != 0) statistics_.assumptions = assumptions(graph_) - assumptions(unassuming_);
  graph_.shrink_to_fit();  // before the plan, which points to attributes
  schedule_ =
      make_schedule(graph_, {.fuse = options.fuse, .products = options.fuse_products, .as_recorded = checks});
  plan_ = make_plan(graph_, schedule_, {.calls = checks, .least_gain = options.least_gain});
  count(graph_, schedule_, plan_, statistics_);
  find_results();
  schedule_.shrink();
  for (const Instruction& i : graph_.instructions()) {
    calls_users_ |= i.op->body != nullptr;
    packs_ |= i.op->row.direct != nullptr && flops(graph_, i) >= kernels::packing_flops;
  }
  brief_ = !plan_.parallel && !calls_users_ && statistics_.flops + statistics_.bytes_moved < brief_work;
}

Program::~Program() { delete spare_.load(); }

/// What every run asks about states and results.
void Program::find_results() {
  for (std::uint32_t k = 0; k < graph_.states().size(); ++k) {
    const StateUse& s = graph_.states()[k];
    StateRule rule{s.slot.get(), &graph_.shape(s.before), graph_.dtype(s.before), plan_.in_place[k],
                   plan_.buffer_of[s.before]};
    if (s.after != s.before) {
      updates_ = true;
      const Layout layout = schedule_.layout(s.after);
      const std::uint32_t b = plan_.buffer_of[layout.root];
      if (plan_.buffers[b].home == Home::new_state && plan_.buffers[b].index == k)
        rule.written = b;
      else
        taken_.emplace_back(k, ResultRule{s.after, layout, b});
      if (rule.in_place)
        for (std::uint32_t a = 0; a < graph_.arguments().size(); ++a)
          if (const ValueId v = graph_.arguments()[a];
              graph_.dtype(v) == rule.dtype && graph_.shape(v) == *rule.shape)
            rule.like.push_back(a);
    }
    states_.push_back(std::move(rule));
  }
  for (const ValueId v : graph_.outputs()) {
    const Layout layout = schedule_.layout(v);
    outputs_.push_back({v, layout, plan_.buffer_of[layout.root]});
  }
  for (const std::uint32_t b : plan_.fresh) {
    const ValueId v = plan_.buffers[b].value;
    fresh_.push_back({&graph_.shape(v), graph_.dtype(v), b});
  }
  std::vector<bool> met(plan_.buffers.size(), false);
  const auto note = [&](ResultRule& r) {
    r.last = !met[r.buffer] && plan_.buffers[r.buffer].home == Home::fresh && r.layout.root == r.value;
    r.fresh = plan_.buffers[r.buffer].index;
    met[r.buffer] = true;
  };
  for (auto taken = taken_.rbegin(); taken != taken_.rend(); ++taken) note(taken->second);
  for (auto output = outputs_.rbegin(); output != outputs_.rend(); ++output) note(*output);
}

bool Program::fits() const {
  return std::all_of(states_.begin(), states_.end(), [](const StateRule& s) { return s.fits(); });
}

// What run() consists of is inline: of the 33 ns that a call of a small program takes, with lookup and the
// end of its result, it would be 8 more.

/// Puts a context aside for the next run, or takes the one that is there.
[[gnu::always_inline]] inline Context* Program::exchange(Context* context) {
  if (!updates_ && !detail::single_threaded()) return spare_.exchange(context, std::memory_order_acq_rel);
  Context* const before = spare_.load(std::memory_order_relaxed);
  spare_.store(context, std::memory_order_relaxed);
  return before;
}

[[gnu::always_inline]] inline Context* Program::take() {
  if (Context* const spare = exchange(nullptr); spare != nullptr) return spare;
  {
    const std::lock_guard lock(contexts_mutex_);
    if (!contexts_.empty()) {
      Context* const context = contexts_.back().release();
      contexts_.pop_back();
      return context;
    }
  }
  return new Context(graph_, schedule_, plan_);
}

[[gnu::always_inline]] inline void Program::give_back(Context* context) noexcept {
  for (Tensor& t : context->fresh) t = Tensor();
  for (Tensor& t : context->new_states) t = Tensor();
  Context* const other = exchange(context);
  if (other == nullptr) [[likely]]
    return;
  const std::lock_guard lock(contexts_mutex_);
  contexts_.emplace_back(other);
}

bool Program::run(const Tensor* arguments, Tensor* results) {
  if (Program* const other = instead_.load(std::memory_order_acquire); other != nullptr) [[unlikely]]
    return other->run(arguments, results);
  try {
    return run_this(arguments, results);
  } catch (const detail::OutOfBounds&) {
    if (!assumes()) throw;
  }
  Program& other = *without_assumptions();
  instead_.store(&other, std::memory_order_release);
  return other.run(arguments, results);
}

const std::shared_ptr<Program>& Program::without_assumptions() {
  const std::lock_guard lock(unassuming_mutex_);
  if (without_assumptions_ == nullptr) {
    CaptureOptions options = options_;
    options.assume = false;
    const auto general = std::make_shared<Program>(Graph(unassuming_), options);
    general->set_differentiable(differentiable_);
    without_assumptions_ = general;
    unassuming_ = {};
  }
  return without_assumptions_;
}

bool Program::run_this(const Tensor* arguments, Tensor* results) {
  struct Lent {
    Program& program;
    Context* const context;
    ~Lent() { program.give_back(context); }
  } lent{*this, take()};
  Context& context = *lent.context;
  if (plan_.parallel) context.use_threads(num_threads(), plan_);
  if (updates_ && packs_) kernels::packing_buffer();  // while no state has changed
  if (!prepare(context, arguments)) return false;
  hand_out(context, arguments, results);
  run_steps(context, arguments);
  commit(context);
  return true;
}

[[gnu::always_inline]] inline void Program::run_steps(Context& context, const Tensor* arguments) {
  std::byte* const* const slots = context.bases.data();
  try {
    for (std::size_t k = 0; k < plan_.steps.size(); ++k) {
      const PlannedStep& step = plan_.steps[k];
      if (step.kind == PlannedStep::Kind::side_by_side) {
        if (context.threads == 1) continue;
        run_group(context, step.index);
        k = step.end - 1;
        continue;
      }
      if (step.kind == PlannedStep::Kind::flat) {
        const FlatOp* const end = plan_.flat.data() + step.end;
        const FlatOp* flat = plan_.flat.data() + step.index;
        // Several calls side by side: the processor predicts each by itself.
        for (; end - flat >= 4; ++flat) {
          flat->run(slots);
          (++flat)->run(slots);
          (++flat)->run(slots);
          (++flat)->run(slots);
        }
        for (; flat != end; ++flat) flat->run(slots);
        continue;
      }
      if (step.kind == PlannedStep::Kind::loop)
        run_loop(context, step.index);
      else
        run_call(context, step.index);
    }
  } catch (const detail::RowIndexError& e) {
    fail(e, arguments);
  }
}

namespace {

/// Whether nobody but the slot can see these bytes, handles that don't count left aside.
bool alone(const TensorImpl& x) {
  return x.counts.load() == TensorImpl::one_handle && x.storage->refs.load() == 1;
}

/// Whether one of these arguments is the value itself: a view would show in the counts.
bool among(const std::vector<std::uint32_t>& like, const Tensor* arguments, const TensorImpl& value) {
  for (const std::uint32_t a : like)
    if (arguments[a].get() == &value) return true;
  return false;
}

}  // namespace

/// The addresses of what is elsewhere in every run. False when a state does not fit.
[[gnu::always_inline]] inline bool Program::prepare(Context& c, const Tensor* arguments) {
  for (std::size_t k = 0; k < graph_.arguments().size(); ++k) c.bases[k] = arguments[k].get()->data;
  for (std::size_t k = 0; k < states_.size(); ++k) {
    const StateRule& state = states_[k];
    if (!state.fits()) return false;
    Tensor& value = state.slot->value;
    if (!value.get()->contiguous) {
      const bool variable = value.requires_grad();
      NoGrad scope;
      value = contiguous(value);
      value.impl().requires_grad = variable;
    }
    TensorImpl& old = *value.get();
    c.bases[state.read] = old.data;
    if (state.written == none) continue;
    c.bases[state.written] = old.data;
    if (state.in_place && alone(old) && !among(state.like, arguments, old)) continue;
    const Shape& shape = graph_.shape(graph_.states()[k].after);
    Tensor& fresh = c.new_states[k] = Tensor::adopt(detail::new_tensor(state.dtype, shape));
    fresh.impl().requires_grad = old.requires_grad;
    c.bases[state.written] = fresh.get()->data;
  }
  for (std::size_t k = 0; k < fresh_.size(); ++k) {
    TensorImpl* const fresh = detail::new_tensor(fresh_[k].dtype, *fresh_[k].shape);
    c.fresh[k] = Tensor::adopt(fresh);
    c.bases[fresh_[k].buffer] = fresh->data;
  }
  c.set_parts(plan_);
  for (const std::uint32_t h : c.moving) {
    const Place& place = plan_.headers[h].place;
    c.headers[h].data = c.bases[place.buffer] + place.offset;
  }
  return true;
}

/// A value that outlives the run, as a tensor of its own: a handle, or a view of what holds its bytes.
Tensor Program::result(Context& c, const ResultRule& rule, const Tensor* arguments) const {
  const Buffer& b = plan_.buffers[rule.buffer];
  if (rule.last) return std::move(c.fresh[rule.fresh]);
  Tensor holder;
  switch (b.home) {
    case Home::argument:
      holder = arguments[b.index];
      break;
    case Home::constant:
      holder = graph_.constants()[b.index];
      break;
    case Home::state:
      holder = states_[b.index].slot->value;
      break;
    case Home::new_state:
      holder = c.new_states[b.index].defined() ? c.new_states[b.index] : states_[b.index].slot->value;
      break;
    default:
      holder = c.fresh[b.index];
  }
  if (rule.layout.root == rule.value && !holder.requires_grad()) return holder;
  TensorImpl& base = holder.impl();
  const Shape& shape = graph_.shape(rule.value);
  return Tensor::adopt(
      detail::new_view(base, shape, rule.layout.strides_of(shape),
                       rule.layout.offset / static_cast<std::int64_t>(item_size(base.dtype))));
}

/// The tensors of the results, and of states that take over other values: they see the bytes that the kernels
/// are about to write. What can fail for want of memory has been done before a state changes in place.
[[gnu::always_inline]] inline void Program::hand_out(Context& c, const Tensor* arguments, Tensor* results) {
  for (const ResultRule& output : outputs_)
    *results++ = output.last ? std::move(c.fresh[output.fresh]) : result(c, output, arguments);
  for (const auto& [k, rule] : taken_) {
    Tensor value = result(c, rule, arguments);
    TensorImpl& base = value.impl();
    if (states_[k].slot->value.requires_grad()) {
      value = Tensor::adopt(detail::new_view(base, base.shape, base.strides, 0));
      value.impl().requires_grad = true;
    }
    c.new_states[k] = std::move(value);
  }
}

[[gnu::always_inline]] inline void Program::commit(Context& c) noexcept {
  for (std::size_t k = 0; k < states_.size(); ++k)
    if (c.new_states[k].defined()) states_[k].slot->value.swap(c.new_states[k]);
}

}  // namespace wengert::program
