#pragma once

/// \file
/// The pool of threads that large loops and matrix products are spread over.

#include <atomic>
#include <cstdint>

#include "autodiff/kernels/threads.hpp"

namespace wengert::kernels {

/// Hands out the numbers of a job's tasks, in order, to whichever thread asks.
class TaskQueue {
 public:
  TaskQueue(std::atomic<std::int64_t>& next, std::int64_t count) : next_(next), count_(count) {}
  /// The next task for the caller, or -1.
  std::int64_t take();
  /// The one it took last.
  std::int64_t latest() const { return latest_; }

 private:
  std::atomic<std::int64_t>& next_;
  std::int64_t count_;
  std::int64_t latest_ = -1;
};

/// What a thread does in a job: it takes tasks from the queue until there are none. Worker 0 is the caller.
using WorkerFunction = void (*)(void* context, int worker, TaskQueue& tasks);

/// Runs a job of `count` tasks on at most `threads` threads. Which thread does what differs from run to run;
/// results must not depend on it. Nobody waits for a thread that wakes up late: whoever is there does the
/// work. Within a task, and while another thread of the program runs a job, the caller does all tasks itself.
/// When tasks throw, no further ones are begun, and the exception of the lowest of them arrives here, which
/// is the one that a single thread would have met. Allocates nothing once its threads have started.
void run_tasks(std::int64_t count, int threads, WorkerFunction function, void* context);

/// Whether BLAS starts no threads of its own, so that products may be cut into tasks. Sees to it where the
/// BLAS is OpenBLAS.
bool blas_is_single();

}  // namespace wengert::kernels
