#pragma once

/// \file
/// The pool of threads that large loops and matrix products are spread over.

#include <cstdint>

#include "autodiff/kernels/threads.hpp"

namespace wengert::kernels {

/// Hands out the numbers of a job's tasks. Each thread has a range of its own, the same in every job of as
/// many tasks, so that it finds in its cache what it wrote in the last one; then it helps others.
class TaskQueue {
 public:
  /// The next task for the caller, or -1.
  std::int64_t take();

 private:
  friend class Tasks;
  friend void run_tasks(std::int64_t, int, void (*)(void*, int, TaskQueue&), void*, const std::int64_t*);
  explicit TaskQueue(std::int64_t count) : count_(count) {}
  TaskQueue(class Tasks& shared, int worker) : shared_(&shared), range_(worker) {}

  class Tasks* shared_ = nullptr;  // null: no other threads
  std::int64_t count_ = 0;
  std::int64_t latest_ = -1;
  int range_ = 0;      // where it takes tasks from now
  int exhausted_ = 0;  // how many ranges it has seen the end of
};

/// What a thread does in a job: it takes tasks from the queue until there are none. Worker 0 is the caller.
using WorkerFunction = void (*)(void* context, int worker, TaskQueue& tasks);

/// Runs a job of `count` tasks on at most `threads` threads. Which thread does what differs from run to run;
/// results must not depend on it. Nobody waits for a thread that wakes up late: whoever is there does the
/// work. Within a task, and while another thread of the program runs a job, the caller does all tasks itself.
/// When tasks throw, no higher ones are begun, and the exception of the lowest of them arrives here, which
/// is the one that a single thread would have met. Allocates nothing once its threads have started. A thread
/// begins with its share of the tasks: `ends` says where each share ends, all are equal without it.
void run_tasks(std::int64_t count, int threads, WorkerFunction function, void* context,
               const std::int64_t* ends = nullptr);

/// From so many floating-point operations on, a matrix product is cut into tasks.
inline constexpr std::int64_t cut_flops = std::int64_t(1) << 22;

/// How matrix products may be cut into tasks.
struct BlasCuts {
  bool allowed = false;       ///< BLAS starts no threads of its own (OpenBLAS, which is told not to)
  bool wide_vectors = false;  ///< OpenBLAS runs its kernels for AVX-512
};
BlasCuts blas_cuts();

}  // namespace wengert::kernels
