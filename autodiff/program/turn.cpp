#include "autodiff/program/turn.hpp"

#include <chrono>
#include <thread>

#include "autodiff/tensor/error.hpp"

namespace wengert::detail {

void Turn::wait(const void* holder) {
  if (holder == &me)
    throw GraphError("capture",
                     "a captured function is used while it runs or is being written down on the same thread: "
                     "by an operator of its own, in whose body the function itself is called or saved");
  contended_.store(true, std::memory_order_relaxed);
  const std::lock_guard first(queue_);
  holder = nullptr;
  for (int time = 0; !holder_.compare_exchange_weak(holder, &me, std::memory_order_acquire); ++time) {
    holder = nullptr;
    if (time < 100)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace wengert::detail
