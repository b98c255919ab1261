#include "autodiff/graph/apply.hpp"
#include "autodiff/kernels/workers.hpp"
#include "autodiff/ops/positions.hpp"
#include "autodiff/program/context.hpp"
#include "autodiff/program/interpret.hpp"
#include "autodiff/program/program.hpp"

namespace wengert::program {

void Program::run_group(Context& context, std::uint32_t number) {
  struct Job {
    Program& program;
    Context& context;
    const Context::Share& share;
  } job{*this, context, context.shares[number]};
  kernels::run_tasks(
      static_cast<std::int64_t>(job.share.pieces.size()), context.threads,
      [](void* pointer, int worker, kernels::TaskQueue& tasks) {
        const Job& shared = *static_cast<const Job*>(pointer);
        Program& p = shared.program;
        std::uint32_t begun = none;  // the loop whose operands the worker's frame has
        for (std::int64_t t; (t = tasks.take()) >= 0;) {
          const auto& [task, chunk] = shared.share.pieces[static_cast<std::size_t>(t)];
          if (task->kind == PlannedStep::Kind::flat) {
            for (std::uint32_t i = task->index; i < task->end; ++i)
              p.plan_.flat[i].run(shared.context.bases.data());
          } else if (task->kind == PlannedStep::Kind::call) {
            p.run_call(shared.context, task->index);
          } else {
            const Loop& loop = p.plan_.loops[task->index];
            const LoopThread thread = shared.context.thread(worker, task->index);
            if (begun != task->index) begin_loop(loop, thread);
            begun = task->index;
            run_chunk(loop, thread, chunk);
          }
        }
      },
      &job, job.share.ends.data());
  for (const GroupTask& task : plan_.groups[number].tasks)
    if (task.kind == PlannedStep::Kind::loop) finish_sums(plan_.loops[task.index], context.bases.data());
}

void Program::run_call(Context& context, std::uint32_t number) {
  const Call& call = context.calls[number];
  detail::TensorImpl& out = context.headers[plan_.calls[number].output];
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
  } job{plan_.loops[number], number, context};
  if (context.threads > 1 && job.loop.parallel) {
    kernels::run_tasks(
        job.loop.chunks, context.threads,
        [](void* pointer, int worker, kernels::TaskQueue& tasks) {
          const Job& shared = *static_cast<const Job*>(pointer);
          const LoopThread thread = shared.context.thread(worker, shared.number);
          std::int64_t chunk = tasks.take();
          if (chunk < 0) return;
          begin_loop(shared.loop, thread);
          for (; chunk >= 0; chunk = tasks.take()) run_chunk(shared.loop, thread, chunk);
        },
        &job);
  } else {
    const LoopThread thread = context.thread(0, number);
    begin_loop(job.loop, thread);
    for (std::int64_t chunk = 0; chunk < job.loop.chunks; ++chunk) run_chunk(job.loop, thread, chunk);
  }
  finish_sums(job.loop, context.bases.data());
}

void Program::fail(const detail::RowIndexError& e, const Tensor* arguments) const {
  const auto& all = graph_.instructions();
  const auto thrower = std::find_if(all.begin(), all.end(), [&](const Instruction& i) {
    return i.attributes != none && graph_.attributes(i) == e.attributes;
  });
  // The positions may have been in a tile, which knows no place in an array.
  if (const Tensor positions = interpret(graph_, arguments, graph_.inputs(*thrower)[e.input]);
      positions.defined()) {
    std::vector<detail::TensorImpl*> inputs(thrower->input_count);
    inputs[e.input] = positions.get();
    detail::check_positions({*thrower->op, inputs.data(), thrower->input_count, e.attributes, thrower->where},
                            e.input, e.rule);
  }
  throw e.at(thrower->where);
}

}  // namespace wengert::program
