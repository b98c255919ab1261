#include "autodiff/program/turn.hpp"

#include <chrono>
#include <thread>

namespace wengert::detail {

void Turn::wait() {
  contended_.store(true, std::memory_order_relaxed);
  const std::lock_guard first(queue_);
  for (int time = 0; !try_lock(); ++time) {
    if (time < 100)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace wengert::detail
