#pragma once

#include <deque>

#include "autodiff/program/loop.hpp"
#include "autodiff/program/schedule.hpp"

namespace wengert::program {

/// What a buffer's address is.
enum class Home : std::uint8_t {
  argument,   ///< the caller's tensor
  constant,   ///< the graph's tensor
  state,      ///< the value that a state has when the program starts
  new_state,  ///< the value that it gets: the same bytes (in place) where nobody else holds them
  fresh,      ///< a new tensor: outputs
  arena,
  frame,  ///< a tile of the thread that runs the program
  part,   ///< something within another buffer
};

struct Buffer {
  Home home = Home::arena;
  /// Argument, constant, state; for fresh the number of the new tensor; of a part the other buffer.
  std::uint32_t index = 0;
  std::int64_t offset = 0;  ///< in the arena, the frame, the other buffer
  std::size_t bytes = 0;
  ValueId value = none;  ///< the root that lives here; none for work space
};

/// A call of a kernel; operands are headers by number.
struct CallStep {
  std::uint32_t instruction = 0;
  std::vector<std::uint32_t> inputs;
  std::uint32_t output = 0;
};

/// A value as kernels see it.
struct Header {
  ValueId value = none;
  Place place;
};

struct PlannedStep {
  enum class Kind : std::uint8_t {
    call,
    loop,
    flat,          ///< flat operations, one after the other
    side_by_side,  ///< the steps from here to `end` may run as a group
  };
  Kind kind = Kind::call;
  std::uint32_t index = 0;  ///< in calls, loops, groups, or the first flat operation
  std::uint32_t end = 0;    ///< one after the last flat operation, or the last planned step of a group
  std::uint32_t step = 0;   ///< of the schedule; the first one of flat operations
};

/// What one thread does of a group: a call, a few flat operations, or chunks of a loop.
struct GroupTask {
  PlannedStep::Kind kind = PlannedStep::Kind::call;
  std::uint32_t index = 0;
  std::uint32_t end = 0;
  std::int64_t chunks = 1;
  std::int64_t duration = 0;  ///< of each chunk: nanoseconds, roughly
};

/// Steps that run side by side.
struct Group {
  std::vector<GroupTask> tasks;
  std::uint32_t first_step = 0, last_step = 0;  ///< of the schedule
};

/// Everything about the execution of a graph that is known before it runs.
struct Plan {
  std::vector<Buffer> buffers;           ///< those of the arguments first, in their order
  std::vector<std::uint32_t> buffer_of;  ///< by root value; none where it lives in a loop's tiles only
  std::vector<std::uint32_t> fresh;      ///< buffers that are new tensors, in their order
  std::vector<Header> headers;
  std::vector<CallStep> calls;
  std::deque<Loop> loops;
  std::vector<PlannedStep> steps;
  std::vector<Group> groups;
  /// What needs nothing but the addresses of buffers, which are its slots: loops of a single tile, and calls
  /// that can be made directly.
  std::vector<FlatOp> flat;
  std::vector<std::uint32_t> parts;  ///< buffers that are parts of others
  std::deque<DirectSizes> direct_sizes;
  std::deque<SomeRows> products;     ///< of loops
  std::deque<std::int64_t> numbers;  ///< that row operations point to
  std::deque<std::vector<ChainStep>> chains;
  std::deque<std::vector<RowMove>> row_moves;
  std::vector<bool> in_place;  ///< by state: it may be changed where it lies
  std::size_t arena_bytes = 0;
  std::size_t frame_bytes = 0;
  bool parallel = false;  ///< some step may run on several threads
};

struct PlanOptions {
  bool calls;               ///< each instruction that is no view is a call of its operator's kernel
  std::int64_t least_gain;  ///< of groups, see find_groups()
};

Plan make_plan(const Graph& graph, const Schedule& schedule, const PlanOptions& options);

}  // namespace wengert::program
