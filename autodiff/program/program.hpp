#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "autodiff/program/capture.hpp"
#include "autodiff/program/plan.hpp"
#include "autodiff/program/statistics.hpp"

namespace wengert::detail {
struct RowIndexError;
}

namespace wengert::program {

struct Context;

/// Options of a program whose graph is taken as it is.
inline CaptureOptions no_passes(bool fuse) {
  return {.dead_code = false,
          .fold_constants = false,
          .simplify = false,
          .common_subexpressions = false,
          .rewrite = false,
          .assume = false,
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

  /// Runs the program on contiguous arguments of the recorded types; `results` has room for all outputs.
  /// Several threads may run one program that updates no states; the caller sees to it that others take
  /// turns. The arguments may be handles that don't count unless
  /// calls_users(). When a kernel throws, no state has changed. False, and nothing done, when a state does
  /// not have the element type and shape any more that were recorded.
  bool run(const Tensor* arguments, Tensor* results);

  /// Whether the program is right only while what it looks at is bounded. When that does not hold, run() goes
  /// over to the program that assumes nothing, for good.
  bool assumes() const { return statistics_.assumptions != 0; }
  /// That program, made when it is first asked for.
  const std::shared_ptr<Program>& without_assumptions();
  /// The one that the next run runs.
  const Program& in_use() const {
    const Program* const other = instead_.load(std::memory_order_acquire);
    return other == nullptr ? *this : *other;
  }

  /// Whether the states still have the types that were recorded.
  bool fits() const;
  const Graph& graph() const { return graph_; }
  const Schedule& schedule() const { return schedule_; }
  const Plan& plan() const { return plan_; }
  const ProgramStatistics& statistics() const { return statistics_; }
  bool fused() const { return options_.fuse; }
  bool updates() const { return updates_; }
  /// Whether some operator runs a function of the user's, which may do anything.
  bool calls_users() const { return calls_users_; }
  /// Whether a run takes a few microseconds at most, so that another thread may as well wait for it.
  bool brief() const { return brief_; }

  /// Which outputs the recorded function gave a history, by output.
  const std::vector<bool>& differentiable() const { return differentiable_; }
  void set_differentiable(const std::vector<bool>& outputs) {
    differentiable_ = outputs;
    has_history_ = std::find(outputs.begin(), outputs.end(), true) != outputs.end();
  }
  bool has_history() const { return has_history_; }

  const OperatorDefinition* history = nullptr;  ///< of differentiable outputs; null: they have none

 private:
  /// A state that is read from one buffer, and written to another where `written` is not none.
  struct StateRule {
    detail::StateSlot* slot;
    const Shape* shape;
    DType dtype;
    bool in_place;
    std::uint32_t read, written = none;
    std::vector<std::uint32_t> like = {};  ///< changed in place: arguments that may be its value

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
    bool last = false;        ///< to be handed out from a new tensor, and as a whole
    std::uint32_t fresh = 0;  ///< its number
  };
  struct FreshRule {
    const Shape* shape;
    DType dtype;
    std::uint32_t buffer;
  };
  Program(Graph recorded, const CaptureOptions& options, bool checks);
  bool run_this(const Tensor* arguments, Tensor* results);
  void find_results();
  Context* exchange(Context* context);
  Context* take();
  void give_back(Context* context) noexcept;
  void run_steps(Context& context, const Tensor* arguments);
  void run_group(Context& context, std::uint32_t number);
  void run_call(Context& context, std::uint32_t number);
  void run_loop(Context& context, std::uint32_t number);
  /// A row kernel's error with its place and line.
  [[noreturn]] void fail(const detail::RowIndexError& e, const Tensor* arguments) const;
  bool prepare(Context& context, const Tensor* arguments);
  void hand_out(Context& context, const Tensor* arguments, Tensor* results);
  void commit(Context& context) noexcept;
  Tensor result(Context& context, const ResultRule& rule, const Tensor* arguments) const;

  CaptureOptions options_;
  Graph graph_;
  Schedule schedule_;
  Plan plan_;
  std::vector<StateRule> states_;
  std::vector<FreshRule> fresh_;
  std::vector<ResultRule> outputs_;
  std::vector<std::pair<std::uint32_t, ResultRule>> taken_;  // by states, of values that lie elsewhere
  ProgramStatistics statistics_;
  bool checks_ = false;
  bool updates_ = false;
  bool calls_users_ = false;
  bool brief_ = false;
  bool packs_ = false;  // products may lay out their operands
  bool has_history_ = false;
  std::vector<bool> differentiable_;
  Graph unassuming_;  // as it was before anything was assumed
  std::mutex unassuming_mutex_;
  std::shared_ptr<Program> without_assumptions_;
  std::atomic<Program*> instead_{nullptr};
  std::atomic<Context*> spare_{nullptr};
  std::mutex contexts_mutex_;
  std::vector<std::unique_ptr<Context>> contexts_;  // that were needed at the same time
};

/// The passes of `options` in their order, each followed by a check of the graph. What they did is appended
/// to `done`. Where they assume anything, `unassuming` gets the graph as it was before.
Graph optimise(Graph graph, const CaptureOptions& options, std::vector<PassStatistics>& done,
               Graph& unassuming);

}  // namespace wengert::program
