#pragma once

#include <atomic>
#include <mutex>

#include "autodiff/tensor/storage.hpp"

namespace wengert::detail {

/// A mutex for small things: taken with one locked instruction, given back with none, and with none at all
/// while the process has a single thread. Who has to wait asks again and again, at longer and longer
/// distances, one of all who wait at a time. Who takes it twice would wait for himself: a GraphError.
class Turn {
 public:
  /// Whether anybody has ever had to wait.
  bool contended() const { return contended_.load(std::memory_order_relaxed); }

  void lock() {
    const void* holder = nullptr;
    if (!single_threaded()) {
      if (!holder_.compare_exchange_strong(holder, &me, std::memory_order_acquire)) wait(holder);
    } else if (holder_.load(std::memory_order_relaxed) == nullptr) {
      holder_.store(&me, std::memory_order_relaxed);  // threads that begin now see it
    } else {
      wait(&me);
    }
  }
  void unlock() { holder_.store(nullptr, std::memory_order_release); }

 private:
  void wait(const void* holder);

  static inline constinit thread_local char me = 0;  ///< its address is a thread's name

  std::atomic<const void*> holder_{nullptr};
  std::atomic<bool> contended_{false};
  std::mutex queue_;
};

}  // namespace wengert::detail
