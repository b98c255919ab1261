#include "autodiff/program/program.hpp"

#include "autodiff/graph/apply.hpp"
#include "autodiff/kernels/workers.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/count.hpp"

namespace wengert::program {

using detail::TensorImpl;

/// What one run at a time works on.
struct Program::Context {
  /// What each thread has to itself in a loop.
  struct Worker {
    detail::Storage* frame;
    std::vector<std::vector<std::byte*>> slots;  // by loop

    explicit Worker(const Plan& plan) : frame(detail::allocate_storage(plan.frame_bytes + 64)) {
      for (const Loop& loop : plan.loops) {
        std::vector<std::byte*>& own = slots.emplace_back(loop.slots);
        for (const auto& [slot, offset] : loop.temporaries) own[slot] = frame->bytes() + offset;
      }
    }
    ~Worker() { detail::release_storage(frame); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
  };

  detail::Storage* arena = nullptr;
  std::deque<Worker> workers;                    // the caller's first
  int threads = 1;                               // of this run
  std::vector<std::byte*> bases;                 // by buffer
  std::vector<std::byte*> slots;                 // of flat operations
  std::deque<TensorImpl> headers;                // by number
  std::vector<std::uint32_t> moving;             // headers on buffers that are elsewhere in every run
  std::vector<std::vector<TensorImpl*>> inputs;  // by call
  std::vector<Call> calls;
  std::vector<Tensor> fresh;
  std::vector<Tensor> new_states;  // by state; empty where it is changed in place

  ~Context() {
    if (arena != nullptr) detail::release_storage(arena);
  }
};

Program::Program(Graph recorded, const CaptureOptions& options)
    : Program(std::move(recorded), options, false) {}

std::shared_ptr<Program> Program::checked(Graph recorded) {
  return std::shared_ptr<Program>(new Program(std::move(recorded), no_passes(false), true));
}

Program::Program(Graph recorded, const CaptureOptions& options, bool checks)
    : fused_(options.fuse), checks_(checks) {
  statistics_.recorded = recorded.size();
  graph_ = optimise(std::move(recorded), options, statistics_.passes);
  graph_.shrink_to_fit();  // before the plan, which points to attributes
  schedule_ = make_schedule(graph_, {.fuse = options.fuse, .as_recorded = checks});
  plan_ = make_plan(graph_, schedule_, checks);
  count(graph_, schedule_, plan_, statistics_);
  for (const ValueId v : graph_.outputs()) output_layouts_.push_back(schedule_.layout(v));
  for (const StateUse& s : graph_.states()) state_layouts_.push_back(schedule_.layout(s.after));
  schedule_.shrink();
  for (const StateUse& s : graph_.states()) updates_ |= s.after != s.before;
}

Program::~Program() = default;

bool Program::fits() const {
  for (const StateUse& s : graph_.states()) {
    const TensorImpl& now = s.slot->value.impl();
    if (now.dtype != graph_.dtype(s.before) || now.shape != graph_.shape(s.before)) return false;
  }
  return true;
}

std::unique_ptr<Program::Context> Program::take() {
  {
    const detail::LockIfThreads lock(contexts_mutex_, !updates_);
    if (!contexts_.empty()) {
      std::unique_ptr<Context> context = std::move(contexts_.back());
      contexts_.pop_back();
      return context;
    }
  }
  auto c = std::make_unique<Context>();
  c->arena = detail::allocate_storage(plan_.arena_bytes + 64);
  c->workers.emplace_back(plan_);
  for (const Buffer& b : plan_.buffers)
    c->bases.push_back(b.home == Home::arena      ? c->arena->bytes() + b.offset
                       : b.home == Home::constant ? graph_.constants()[b.index].impl().data
                       : b.home == Home::frame    ? c->workers.front().frame->bytes()
                                                  : nullptr);
  for (const Place& place : plan_.slots) c->slots.push_back(c->bases[place.buffer] + place.offset);
  for (std::uint32_t h = 0; h < plan_.headers.size(); ++h) {
    const Header& header = plan_.headers[h];
    TensorImpl& x = c->headers.emplace_back(graph_.dtype(header.value), graph_.shape(header.value));
    const Layout layout = schedule_.layout(header.value);
    x.size = x.shape.elements();
    x.contiguous = layout.contiguous;
    x.strides = layout.strides_of(x.shape);
    if (c->bases[header.place.buffer] != nullptr)
      x.data = c->bases[header.place.buffer] + header.place.offset;
    else
      c->moving.push_back(h);
  }
  for (const CallStep& call : plan_.calls) {
    std::vector<TensorImpl*>& inputs = c->inputs.emplace_back();
    for (const std::uint32_t h : call.inputs) inputs.push_back(&c->headers[h]);
    const Instruction& i = graph_[call.instruction];
    c->calls.push_back(Call{*i.op, inputs.data(), i.input_count, graph_.attributes(i), i.where});
  }
  c->fresh.resize(plan_.fresh.size());
  c->new_states.resize(graph_.states().size());
  return c;
}

void Program::give_back(std::unique_ptr<Context> context) {
  for (Tensor& t : context->fresh) t = Tensor();
  for (Tensor& t : context->new_states) t = Tensor();
  const detail::LockIfThreads lock(contexts_mutex_, !updates_);
  contexts_.push_back(std::move(context));
}

bool Program::run(const Tensor* arguments, Tensor* results) {
  const detail::LockIfThreads turn(running_, updates_);
  if (!fits()) return false;
  std::unique_ptr<Context> context = take();
  struct Return {
    Program& program;
    std::unique_ptr<Context>& context;
    ~Return() { program.give_back(std::move(context)); }
  } give_back_at_end{*this, context};
  context->threads = plan_.parallel ? num_threads() : 1;
  while (context->workers.size() < static_cast<std::size_t>(context->threads))
    context->workers.emplace_back(plan_);
  prepare(*context, arguments);
  hand_out(*context, arguments, results);
  std::uint32_t at = 0;  // the step of the schedule, or while flat operations run the number of one
  bool flat = false;
  try {
    for (const PlannedStep& step : plan_.steps) {
      flat = step.kind == PlannedStep::Kind::flat;
      at = flat ? step.index : step.step;
      if (flat)
        for (; at < step.end; ++at) plan_.flat[at].run(context->slots.data());
      else if (step.kind == PlannedStep::Kind::loop)
        run_loop(*context, step.index);
      else
        run_call(*context, step.index);
    }
  } catch (const IndexError& e) {
    if (e.where().line == 0) rethrow_with_line(e, schedule_.steps[flat ? plan_.step_of(at) : at]);
    throw;
  }
  commit(*context);
  return true;
}

void Program::run_call(Context& context, std::uint32_t number) {
  const Call& call = context.calls[number];
  TensorImpl& out = context.headers[plan_.calls[number].output];
  if (call.op.kernel != nullptr)
    call.op.kernel(call, out);
  else
    call.op.body(call, out);
  if (checks_) detail::check_finite(call, out);
}

void Program::run_loop(Context& context, std::uint32_t number) {
  struct Job {
    const Loop& loop;
    std::uint32_t number;
    Context& context;
    LoopThread thread(int worker) const {
      Context::Worker& own = context.workers[static_cast<std::size_t>(worker)];
      return {context.bases.data(), own.slots[number].data(), own.frame->bytes()};
    }
  } job{plan_.loops[number], number, context};
  if (context.threads > 1 && job.loop.parallel) {
    kernels::run_tasks(
        job.loop.chunks, context.threads,
        [](void* pointer, int worker, kernels::TaskQueue& tasks) {
          const Job& shared = *static_cast<const Job*>(pointer);
          const LoopThread thread = shared.thread(worker);
          std::int64_t chunk = tasks.take();
          if (chunk < 0) return;
          begin_loop(shared.loop, thread);
          for (; chunk >= 0; chunk = tasks.take()) run_chunk(shared.loop, thread, chunk);
        },
        &job);
  } else {
    const LoopThread thread = job.thread(0);
    begin_loop(job.loop, thread);
    for (std::int64_t chunk = 0; chunk < job.loop.chunks; ++chunk) run_chunk(job.loop, thread, chunk);
  }
  finish_sums(job.loop, context.bases.data());
}

/// Row kernels don't know where their operator was called.
void Program::rethrow_with_line(const IndexError& e, const Step& step) const {
  for (const std::uint32_t n : step.instructions) {
    const Instruction& i = graph_[n];
    if (i.op->name != e.operation()) continue;
    const std::string_view text = e.what();
    throw IndexError(i.op->name, text.substr(std::min(text.size(), i.op->name.size() + 2)), i.where);
  }
}

namespace {

/// Whether nobody but the slot can see these bytes.
bool alone(const TensorImpl& x) {
  return x.counts.load() == TensorImpl::one_handle && x.storage->refs.load() == 1;
}

}  // namespace

void Program::prepare(Context& c, const Tensor* arguments) {
  for (const std::uint32_t b : plan_.moving) {
    const Buffer& buffer = plan_.buffers[b];
    switch (buffer.home) {
      case Home::argument:
        c.bases[b] = arguments[buffer.index].get()->data;
        break;
      case Home::state: {
        Tensor& value = graph_.states()[buffer.index].slot->value;
        if (!value.get()->contiguous) {
          const bool variable = value.requires_grad();
          NoGrad scope;
          value = contiguous(value);
          value.impl().requires_grad = variable;
        }
        c.bases[b] = value.get()->data;
        break;
      }
      case Home::new_state: {
        const StateUse& state = graph_.states()[buffer.index];
        TensorImpl& old = state.slot->value.impl();
        if (plan_.in_place[buffer.index] && old.contiguous && alone(old)) {
          c.bases[b] = old.data;
        } else {
          Tensor& fresh = c.new_states[buffer.index] =
              Tensor::adopt(detail::new_tensor(old.dtype, graph_.shape(state.after)));
          fresh.impl().requires_grad = old.requires_grad;
          c.bases[b] = fresh.get()->data;
        }
        break;
      }
      case Home::fresh: {
        Tensor& fresh = c.fresh[buffer.index] =
            Tensor::adopt(detail::new_tensor(graph_.dtype(buffer.value), graph_.shape(buffer.value)));
        c.bases[b] = fresh.get()->data;
        break;
      }
      case Home::constant:
      case Home::arena:
      case Home::frame:
        break;
    }
  }
  for (const auto& [slot, place] : plan_.moving_slots) c.slots[slot] = c.bases[place.buffer] + place.offset;
  for (const std::uint32_t h : c.moving) {
    const Place& place = plan_.headers[h].place;
    c.headers[h].data = c.bases[place.buffer] + place.offset;
  }
}

/// A value that outlives the run, as a tensor of its own: a handle, or a view of what holds its bytes.
Tensor Program::result(Context& c, ValueId v, const Layout& layout, const Tensor* arguments) const {
  const Buffer& b = plan_.buffers[plan_.buffer_of[layout.root]];
  Tensor holder;
  switch (b.home) {
    case Home::argument:
      holder = arguments[b.index];
      break;
    case Home::constant:
      holder = graph_.constants()[b.index];
      break;
    case Home::state:
      holder = graph_.states()[b.index].slot->value;
      break;
    case Home::new_state:
      holder = c.new_states[b.index].defined() ? c.new_states[b.index] : graph_.states()[b.index].slot->value;
      break;
    default:
      holder = c.fresh[b.index];
  }
  if (layout.root == v && !holder.requires_grad()) return holder;
  TensorImpl& base = holder.impl();
  return Tensor::adopt(detail::new_view(base, graph_.shape(v), layout.strides_of(graph_.shape(v)),
                                        layout.offset / static_cast<std::int64_t>(item_size(base.dtype))));
}

/// The tensors of the results, and of states that take over other values: they see the bytes that the kernels
/// are about to write. What can fail for want of memory has been done before a state changes in place.
void Program::hand_out(Context& c, const Tensor* arguments, Tensor* results) {
  for (std::size_t k = 0; k < graph_.outputs().size(); ++k)
    results[k] = result(c, graph_.outputs()[k], output_layouts_[k], arguments);
  for (std::uint32_t k = 0; k < graph_.states().size(); ++k) {
    const StateUse& state = graph_.states()[k];
    if (state.after == state.before) continue;
    const Buffer& b = plan_.buffers[plan_.buffer_of[state_layouts_[k].root]];
    if (b.home == Home::new_state && b.index == k) continue;
    Tensor value = result(c, state.after, state_layouts_[k], arguments);
    TensorImpl& base = value.impl();
    if (state.slot->value.requires_grad()) {
      value = Tensor::adopt(detail::new_view(base, base.shape, base.strides, 0));
      value.impl().requires_grad = true;
    }
    c.new_states[k] = std::move(value);
  }
}

void Program::commit(Context& c) noexcept {
  for (std::uint32_t k = 0; k < graph_.states().size(); ++k)
    if (c.new_states[k].defined()) graph_.states()[k].slot->value.swap(c.new_states[k]);
}

}  // namespace wengert::program
