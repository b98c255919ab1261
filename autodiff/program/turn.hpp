#pragma once

#include <atomic>
#include <mutex>

#include "autodiff/tensor/storage.hpp"

namespace wengert::detail {

/// A mutex for small things: taken with one locked instruction, given back with none, and with none at all
/// while the process has a single thread. Who has to wait asks again and again, at longer and longer
/// distances, one of all who wait at a time.
class Turn {
 public:
  /// Whether anybody has ever had to wait.
  bool contended() const { return contended_.load(std::memory_order_relaxed); }

  void lock() {
    if (single_threaded())
      taken_.store(true, std::memory_order_relaxed);  // threads that begin now see it
    else if (!try_lock())
      wait();
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  bool try_lock() { return !taken_.exchange(true, std::memory_order_acquire); }
  void wait();

  std::atomic<bool> taken_{false};
  std::atomic<bool> contended_{false};
  std::mutex queue_;
};

}  // namespace wengert::detail
