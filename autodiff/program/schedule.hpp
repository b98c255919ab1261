#pragma once

#include "autodiff/program/graph.hpp"

namespace wengert::program {

/// How a value lies in memory: a root's bytes from an offset on, contiguous or with strides.
struct Layout {
  ValueId root = none;
  bool contiguous = true;
  std::int64_t offset = 0;                 ///< bytes
  std::shared_ptr<const Strides> strides;  ///< where not contiguous

  Strides strides_of(const Shape& shape) const { return contiguous ? contiguous_strides(shape) : *strides; }
};

/// Elements times operations of a loop that are worth a second thread.
inline constexpr std::int64_t parallel_work = 1 << 17;

/// How an operand of a loop moves over the rows and columns of its domain.
enum class Moves : std::uint8_t { full, scalar, row, column };

/// What an instruction is in a schedule.
enum class Kind : std::uint8_t {
  call,         ///< one call of the operator's kernel
  product,      ///< a call that is part of a loop, which uses its rows while they are in the cache
  view,         ///< no work: the result is another look at a root's bytes
  elementwise,  ///< the others may stand in loops
  rowwise,      ///< softmax and the like: whole rows
  sums_rows,    ///< adds up over all rows, or everything: complete after the loop only
};

struct Form {
  Kind kind = Kind::call;
  bool column_result = false;
  std::int64_t elements = 0;  ///< of the domain: rows * columns
  std::int64_t columns = 0;   ///< 0: any
  Moves moves[RowOp::max_inputs] = {};
};

/// Instructions that run together: one call, or a loop over the tiles of a domain.
struct Step {
  bool loop = false;
  std::uint32_t stage = 0;
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  /// Some instruction tells rows from columns; otherwise the loop may run over the elements as they lie.
  bool structured = false;
  std::vector<std::uint32_t> instructions;  ///< in order
  std::uint32_t product = none;             ///< of a loop: the instruction that is computed along with it

  /// Whether an instruction of this loop works on one element a row.
  bool on_column(const Form& form) const {
    return form.kind != Kind::rowwise && form.elements == rows && form.elements != rows * columns;
  }
};

struct Schedule {
  std::vector<Layout> layouts;         ///< by value
  std::vector<Form> forms;             ///< by instruction
  std::vector<Step> steps;             ///< in the order in which they run
  std::vector<std::uint32_t> step_of;  ///< by instruction; none for views

  /// Gives back what is not needed once there is a plan: it keeps the layouts of views, and which
  /// instructions are which step.
  void shrink();
  /// The layout of a value, before and after shrink().
  Layout layout(ValueId v) const;

 private:
  std::vector<std::pair<ValueId, Layout>> views_;  // by value
};

struct ScheduleOptions {
  bool fuse = true;          ///< chains of elementwise and row operators become loops
  bool products = true;      ///< which compute the rows of a product that they use
  bool as_recorded = false;  ///< without loops: steps in the order of the instructions
};

/// Whether an instruction may throw while it runs: it checks what it reads, is the user's, or its kernel may
/// take memory, for intermediate results or copies of operands that it can't use as they lie.
bool may_throw(const Graph& graph, const Schedule& schedule, const Instruction& i);

/// By instruction: the number of the state that its result replaces; none. A new value that is a view of
/// another one replaces the state's tensor after the run, and is nobody's.
std::vector<std::uint32_t> find_updates(const Graph& graph);

/// Groups the instructions of a graph into steps. Each gets the earliest stage at which its inputs are there;
/// what belongs together by its data and runs over one domain in one stage becomes one loop. Linear in the
/// number of instructions.
Schedule make_schedule(const Graph& graph, const ScheduleOptions& options = {});

}  // namespace wengert::program
