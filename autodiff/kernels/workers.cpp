#include "autodiff/kernels/workers.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/kernels/blas.hpp"
#include "autodiff/tensor/error.hpp"

// OpenBLAS has these; another BLAS may not.
extern "C" {
[[gnu::weak]] int openblas_get_num_threads();
[[gnu::weak]] void openblas_set_num_threads(int);
[[gnu::weak]] char* openblas_get_corename();
}

namespace wengert {
namespace kernels {
namespace {

constexpr int most_threads = 256;

}  // namespace

/// The tasks of one job, and what became of them.
class Tasks {
 public:
  void begin(std::int64_t count, int ranges, WorkerFunction function, void* context,
             const std::int64_t* ends) {
    function_ = function;
    context_ = context;
    ranges_ = ranges;
    stop_.store(count, std::memory_order_relaxed);
    for (std::int64_t r = 0, first = 0; r < ranges; ++r) {
      Range& range = all_[static_cast<std::size_t>(r)];
      range.next.store(first, std::memory_order_relaxed);
      range.end = first = ends != nullptr ? ends[r] : count * (r + 1) / ranges;
    }
  }

  /// What one thread does.
  void work(int worker) noexcept {
    TaskQueue tasks(*this, worker);
    try {
      function_(context_, worker, tasks);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (tasks.latest_ >= stop_.load(std::memory_order_relaxed)) return;
      stop_.store(tasks.latest_, std::memory_order_relaxed);
      error_ = std::current_exception();
    }
  }

  std::int64_t take(TaskQueue& queue) {
    for (; queue.exhausted_ < ranges_; ++queue.exhausted_) {
      Range& range = all_[static_cast<std::size_t>(queue.range_)];
      const std::int64_t task = range.next.fetch_add(1, std::memory_order_relaxed);
      if (task < range.end && task < stop_.load(std::memory_order_relaxed)) return queue.latest_ = task;
      queue.range_ = queue.range_ + 1 == ranges_ ? 0 : queue.range_ + 1;
    }
    return -1;
  }

  /// After all threads have left.
  std::exception_ptr error() { return std::exchange(error_, nullptr); }

 private:
  struct alignas(64) Range {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  WorkerFunction function_ = nullptr;
  void* context_ = nullptr;
  int ranges_ = 1;
  std::atomic<std::int64_t> stop_{0};  // the lowest task that threw, or all
  std::mutex mutex_;
  std::exception_ptr error_;
  std::array<Range, most_threads> all_;
};

std::int64_t TaskQueue::take() {
  if (shared_ != nullptr) return shared_->take(*this);
  return ++latest_ < count_ ? latest_ : -1;
}

namespace {

struct Threads {
  std::atomic<int> wanted{1};
  BlasCuts cuts;

  Threads() {
    int count = static_cast<int>(std::thread::hardware_concurrency());
    if (openblas_get_num_threads != nullptr) count = openblas_get_num_threads();
    wanted = std::clamp(count, 1, most_threads);
    if (openblas_set_num_threads == nullptr) return;
    openblas_set_num_threads(1);
    cuts.allowed = true;
    if (openblas_get_corename == nullptr) return;
    for (const std::string_view core : {"SkylakeX", "Cooperlake", "Sapphirerapids"})
      cuts.wide_vectors |= openblas_get_corename() == core;
  }
};

Threads& threads() {
  static Threads all;
  return all;
}

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Waits in the processor while the next job is probably near: waking a thread costs more than a small job.
template <class Done>
bool spin_until(const Done& done) {
  constexpr std::chrono::microseconds limit(100);
  if (done()) return true;
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 32; ++i) {
      pause();
      if (done()) return true;
    }
  } while (std::chrono::steady_clock::now() - start < limit);
  return false;
}

/// Threads that sleep until there is a job. They start when they are first needed and are joined when the
/// process ends.
class Pool {
 public:
  explicit Pool(Pool* before_fork) : before_fork_(before_fork) {}

  /// False, and nothing done, while there is another job.
  bool run(std::int64_t count, int threads, WorkerFunction function, void* context,
           const std::int64_t* ends) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    start(threads - 1);
    tasks_.begin(count, threads, function, context, ends);
    gate_.store(open | static_cast<std::uint32_t>(threads - 1) << limit_shift, std::memory_order_release);
    jobs_.fetch_add(1, std::memory_order_release);
    jobs_.notify_all();
    tasks_.work(0);
    std::uint32_t left = gate_.fetch_and(~open, std::memory_order_acq_rel) & ~open;
    const auto done = [&] { return ((left = gate_.load(std::memory_order_acquire)) & inside) == 0; };
    if (!spin_until(done))
      while (!done()) gate_.wait(left, std::memory_order_acquire);
    const std::exception_ptr error = tasks_.error();
    busy_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

  void stop() {
    if (busy_.exchange(true, std::memory_order_acquire))
      return;  // another thread goes on while the process ends
    stopped_.store(true, std::memory_order_release);
    jobs_.fetch_add(1, std::memory_order_release);
    jobs_.notify_all();
    for (std::thread& t : helpers_) t.join();
  }

 private:
  // The gate: whether threads may still join the job, up to which number, and how many are inside.
  static constexpr std::uint32_t open = 1u << 31;
  static constexpr int limit_shift = 16;
  static constexpr std::uint32_t inside = 0xffff;

  void start(int count) {
    if (static_cast<int>(helpers_.size()) >= count) return;
    // The program's signals are for its own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      while (static_cast<int>(helpers_.size()) < count)
        helpers_.emplace_back([this, number = static_cast<std::uint32_t>(helpers_.size()) + 1,
                               seen = jobs_.load(std::memory_order_relaxed)] { serve(number, seen); });
    } catch (const std::exception&) {
      // The system has no more: the ones that are there do the work.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    // A thread that begins late would take its memory in the middle of what allocates nothing.
    const int all_ready = static_cast<int>(helpers_.size());
    for (int ready; (ready = ready_.load(std::memory_order_acquire)) < all_ready;)
      ready_.wait(ready, std::memory_order_acquire);
  }

  bool take_memory() {
    bool taken = true;
    try {
      packing_buffer();
    } catch (const std::bad_alloc&) {
      taken = false;
    }
    ready_.fetch_add(1, std::memory_order_release);
    ready_.notify_one();
    return taken;
  }

  void serve(std::uint32_t number, std::uint32_t seen) {
    // A product would fail in the middle without; the threads that have it do the work.
    if (!take_memory()) return;
    for (;;) {
      const auto called = [&] { return jobs_.load(std::memory_order_acquire) != seen; };
      if (!spin_until(called)) jobs_.wait(seen, std::memory_order_acquire);
      seen = jobs_.load(std::memory_order_acquire);
      if (stopped_.load(std::memory_order_acquire)) return;
      std::uint32_t gate = gate_.load(std::memory_order_acquire);
      while ((gate & open) != 0 && number <= (gate & ~open) >> limit_shift) {
        if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) continue;
        tasks_.work(static_cast<int>(number));
        if ((gate_.fetch_sub(1, std::memory_order_acq_rel) & open) == 0) gate_.notify_one();
        break;
      }
    }
  }

  std::atomic<bool> busy_{false};
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> helpers_;    // of the one who is busy
  std::atomic<int> ready_{0};           // of the helpers
  [[maybe_unused]] Pool* before_fork_;  // known to leak checkers
  Tasks tasks_;
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<std::uint32_t> jobs_{0};
};

/// The one pool: made when it is first needed, null again when the process ends.
class PoolHolder {
 public:
  PoolHolder() {
    pthread_atfork(nullptr, nullptr, [] { holder().forget(); });
  }
  ~PoolHolder() {
    ended_.store(true);
    if (Pool* pool = pool_.load()) pool->stop();
  }
  Pool* get() {
    if (Pool* pool = pool_.load(std::memory_order_acquire)) return pool;
    return make();
  }
  static PoolHolder& holder() {
    static PoolHolder all;
    return all;
  }

 private:
  Pool* make() {
    if (ended_.load()) return nullptr;
    Pool *fresh = new Pool(abandoned_), *known = nullptr;
    if (pool_.compare_exchange_strong(known, fresh)) return fresh;
    delete fresh;
    return known;
  }
  /// In the child of a fork there is only the thread that forked.
  void forget() { abandoned_ = pool_.exchange(nullptr); }

  std::atomic<Pool*> pool_{nullptr};
  std::atomic<bool> ended_{false};
  Pool* abandoned_ = nullptr;
};

}  // namespace

void run_tasks(std::int64_t count, int threads, WorkerFunction function, void* context,
               const std::int64_t* ends) {
  if (ends == nullptr) threads = static_cast<int>(std::min<std::int64_t>(threads, count));
  threads = std::min(threads, most_threads);
  if (threads > 1)
    if (Pool* pool = PoolHolder::holder().get();
        pool != nullptr && pool->run(count, threads, function, context, ends))
      return;
  TaskQueue tasks(count);
  function(context, 0, tasks);
}

BlasCuts blas_cuts() { return threads().cuts; }

}  // namespace kernels

int num_threads() { return kernels::threads().wanted.load(std::memory_order_relaxed); }

void set_num_threads(int count) {
  if (count < 1 || count > kernels::most_threads)
    throw ValueError("set_num_threads", "needs 1 to " + std::to_string(kernels::most_threads) + ", got " +
                                            std::to_string(count));
  kernels::threads().wanted.store(count, std::memory_order_relaxed);
}

}  // namespace wengert
