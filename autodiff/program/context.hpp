#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "autodiff/program/plan.hpp"

namespace wengert::program {

/// What one run at a time works on: memory, addresses, headers. A program keeps as many as runs of it have
/// been under way at the same time.
struct Context {
  struct Release {
    void operator()(detail::Storage* storage) const noexcept { detail::release_storage(storage); }
  };
  using Memory = std::unique_ptr<detail::Storage, Release>;

  /// What each thread has to itself in a loop.
  struct Worker {
    Memory frame;
    std::vector<std::vector<std::byte*>> slots;  // by loop

    explicit Worker(const Plan& plan);
  };

  /// The tasks of a group in the order of the threads that have them, chunk by chunk.
  struct Share {
    struct Piece {
      const GroupTask* task;
      std::int64_t chunk;
    };
    std::vector<Piece> pieces;
    std::vector<std::int64_t> ends;  // by thread
  };

  Memory arena;
  std::deque<Worker> workers;                            // the caller's first
  int threads = 1;                                       // of this run
  int shared_by = 1;                                     // the threads that `shares` are for
  std::vector<Share> shares;                             // by group
  std::vector<std::byte*> bases;                         // by buffer
  std::deque<detail::TensorImpl> headers;                // by number
  std::vector<std::uint32_t> moving;                     // headers on buffers that are elsewhere in every run
  std::vector<std::vector<detail::TensorImpl*>> inputs;  // by call
  std::vector<Call> calls;
  std::vector<Tensor> fresh;
  std::vector<Tensor> new_states;  // by state; empty where it is changed in place

  Context(const Graph& graph, const Schedule& schedule, const Plan& plan);

  /// Makes ready for a run on so many threads.
  void use_threads(int count, const Plan& plan);
  LoopThread thread(int worker, std::uint32_t loop) {
    Worker& own = workers[static_cast<std::size_t>(worker)];
    return {bases.data(), own.slots[loop].data(), own.frame->bytes()};
  }
  /// The addresses of buffers that are parts of others.
  void set_parts(const Plan& plan) {
    for (const std::uint32_t b : plan.parts) bases[b] = bases[plan.buffers[b].index] + plan.buffers[b].offset;
  }

 private:
  void share_out(const Plan& plan);
};

}  // namespace wengert::program
