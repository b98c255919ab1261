#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "autodiff/program/capture.hpp"
#include "autodiff/program/plan.hpp"
#include "autodiff/program/statistics.hpp"

namespace wengert::detail {

/// Locks a mutex unless the process has only ever had one thread.
class LockIfThreads {
 public:
  explicit LockIfThreads(std::mutex& mutex) : mutex_(single_threaded() ? nullptr : &mutex) {
    if (mutex_ != nullptr) mutex_->lock();
  }
  ~LockIfThreads() {
    if (mutex_ != nullptr) mutex_->unlock();
  }
  LockIfThreads(const LockIfThreads&) = delete;
  LockIfThreads& operator=(const LockIfThreads&) = delete;

 private:
  std::mutex* mutex_;
};

}  // namespace wengert::detail

namespace wengert::program {

/// Options of a program whose graph is taken as it is.
inline CaptureOptions no_passes(bool fuse) {
  return {.dead_code = false,
          .fold_constants = false,
          .simplify = false,
          .common_subexpressions = false,
          .rewrite = false,
          .fuse = fuse};
}

/// An optimised graph with everything that is needed to run it again and again.
class Program {
 public:
  explicit Program(Graph recorded, const CaptureOptions& options = {});
  /// A program that checks after every operator that finite inputs gave a finite result (CheckFinite). It
  /// runs them one by one, as they were recorded: the one that is named is the one that eager code would
  /// name.
  static std::shared_ptr<Program> checked(Graph recorded);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Runs the program on contiguous arguments of the recorded types, which are handles that count;
  /// `results` has room for all outputs.
  /// Several threads may run one program that updates no states; the caller sees to it that others take
  /// turns. When a kernel throws, no state has changed. False, and nothing done, when a state does not have
  /// the element type and shape any more that were recorded.
  bool run(const Tensor* arguments, Tensor* results);

  /// Whether the states still have the types that were recorded.
  bool fits() const;
  const Graph& graph() const { return graph_; }
  const Schedule& schedule() const { return schedule_; }
  const Plan& plan() const { return plan_; }
  const ProgramStatistics& statistics() const { return statistics_; }
  bool fused() const { return fused_; }
  bool updates() const { return updates_; }

  std::vector<bool> differentiable;             ///< by output: the recorded function gave it a history
  const OperatorDefinition* history = nullptr;  ///< of differentiable outputs; null: they have none

 private:
  struct Context;
  /// A state that is read from one buffer, and written to another where `written` is not none.
  struct StateRule {
    detail::StateSlot* slot;
    const Shape* shape;
    DType dtype;
    bool in_place;
    std::uint32_t read, written = none;

    bool fits() const {
      const detail::TensorImpl& now = slot->value.impl();
      return now.dtype == dtype && now.shape == *shape;
    }
  };
  /// A value that outlives the run, and the buffer that it lies in.
  struct ResultRule {
    ValueId value;
    Layout layout;
    std::uint32_t buffer;
    bool last = false;  ///< to be handed out from a new tensor, and as a whole
  };
  Program(Graph recorded, const CaptureOptions& options, bool checks);
  void find_results();
  Context* exchange(Context* context);
  Context* take();
  void give_back(Context* context) noexcept;
  void run_steps(Context& context);
  void run_side_by_side(Context& context, const PlannedStep& step);
  void run_call(Context& context, std::uint32_t number);
  void run_loop(Context& context, std::uint32_t number);
  void rethrow_with_line(const IndexError& e, const Step& step) const;
  void set_parts(Context& context) const;
  bool prepare(Context& context, const Tensor* arguments);
  void hand_out(Context& context, const Tensor* arguments, Tensor* results);
  void commit(Context& context) noexcept;
  Tensor result(Context& context, const ResultRule& rule, const Tensor* arguments) const;

  Graph graph_;
  Schedule schedule_;
  Plan plan_;
  std::vector<StateRule> states_;
  std::vector<ResultRule> outputs_;
  std::vector<std::pair<std::uint32_t, ResultRule>> taken_;  // by states, of values that lie elsewhere
  ProgramStatistics statistics_;
  bool fused_ = true;
  bool checks_ = false;
  bool updates_ = false;
  std::atomic<Context*> spare_{nullptr};
  std::mutex contexts_mutex_;
  std::vector<std::unique_ptr<Context>> contexts_;  // that were needed at the same time
};

/// The passes of `options` in their order, each followed by a check of the graph. What they did is appended
/// to `done`.
Graph optimise(Graph graph, const CaptureOptions& options, std::vector<PassStatistics>& done);

}  // namespace wengert::program
