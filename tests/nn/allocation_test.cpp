#include <doctest/doctest.h>
#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <thread>

#include "autodiff/autodiff.hpp"
#include "autodiff/program/program.hpp"
#include "autodiff/program/trace.hpp"
#include "nn/nn.hpp"

// A replay allocates nothing: counted in malloc, which this executable brings itself; the sanitizers bring
// their own, and then nothing is counted.

namespace {
std::atomic<long> allocations{0};           // of all threads
thread_local std::size_t buffer_bytes = 0;  // of aligned blocks: what buffers of tensors are
}  // namespace

#if defined(__GLIBC__) && !defined(WENGERT_SANITIZED)
#define WENGERT_COUNTS_ALLOCATIONS

namespace {
thread_local std::size_t most_bytes = SIZE_MAX;  // of an aligned block: there is no more memory
}

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  ++allocations;
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++allocations;
  buffer_bytes += bytes;
  if (bytes > most_bytes) return nullptr;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  ++allocations;
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? 12 : 0;
}
}
#endif

using namespace wengert;

TEST_SUITE_BEGIN("allocations");

namespace {

/// Allocations of 100 replays of a training step, once it has been run a few times.
long allocations_of_a_step(std::int64_t batch, std::int64_t width) {
  random::seed(3);
  nn::Sequential net{nn::Linear(20, width), nn::ReLU(), nn::Linear(width, 5)};
  nn::Adam adam(net.parameters(), {.learning_rate = 1e-2});
  auto step = capture([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = nn::cross_entropy(net(x), y);
    adam.step(gradients(loss, net.parameters()));
    return loss;
  });
  const Tensor x = random::normal({batch, 20}), y = random::integers(0, 5, {batch});
  float before = 0, after = 0;
  for (int i = 0; i < 5; ++i) before = step(x, y).item<float>();
  const long start = allocations;
  for (int i = 0; i < 100; ++i) after = step(x, y).item<float>();
  const long count = allocations - start;
  CHECK(after < before);
#ifdef WENGERT_COUNTS_ALLOCATIONS
  const long again = allocations;  // the count counts: recording allocates
  step(slice(x, 0, Slice(0, 10)), slice(y, 0, Slice(0, 10)));
  CHECK(allocations > again);
#endif
  return count;
}

}  // namespace

TEST_CASE("a captured training step allocates nothing") { CHECK(allocations_of_a_step(50, 30) == 0); }

TEST_CASE("a captured training step that is spread over threads allocates nothing") {
  const int before = num_threads();
  set_num_threads(3);
  CHECK(allocations_of_a_step(1000, 500) == 0);
  set_num_threads(before);
}

TEST_CASE("a first run allocates the arena, the tiles and the results that the plan said, and nothing else") {
  const int threads = num_threads();
  set_num_threads(1);  // each has tiles of its own
  random::seed(4);
  const Tensor x = random::normal({300, 100}), w = random::normal({100, 200});
  State scale(ones({300, 200}));
  const nn::Parameter p(random::normal({200, 7}));
  for (const bool fuse : {true, false}) {
    program::Trace trace;
    const Tensor first = trace.argument(x), second = trace.argument(w);  // in this order
    const Tensor h = tanh(matmul(first, second) * scale.value());
    const Tensor loss = sum(square(matmul(h, p.value())));
    trace.output(h);
    trace.output(softmax(h, -1));
    trace.output(gradients(loss, {p.value()})[0]);
    trace.close();
    program::Program program(std::move(trace).finish(), {.fuse = fuse});
    const ProgramStatistics s = program.statistics();
    CHECK(s.arena_bytes > 300 * 200 * 4);
    CHECK(s.result_bytes == (2 * 300 * 200 + 200 * 7) * 4);
    memory::trim();  // buffers come from the system again
    const Tensor arguments[] = {x, w};
    Tensors results(3);
    buffer_bytes = 0;
    program.run(arguments, results.begin());
#ifdef WENGERT_COUNTS_ALLOCATIONS
    // Buffers are rounded up by at most an eighth, and have a header and a vector to spare.
    CHECK(buffer_bytes >= s.peak_bytes());
    CHECK(buffer_bytes <= s.peak_bytes() / 8 * 9 + 5 * 512);
#endif
    buffer_bytes = 0;
    results = Tensors(3);
    program.run(arguments, results.begin());
    CHECK(buffer_bytes == 0);
  }
  set_num_threads(threads);
}

#ifdef WENGERT_COUNTS_ALLOCATIONS
// What takes memory comes before updates that write over states; what products need is there by then.
TEST_CASE("where memory ends in the middle of a replay, every state is as it was") {
  const auto check = [](const Tensor& x, auto f) {
    State state(zeros({3}));
    auto g = capture([&](const Tensor& a) {
      const Tensor y = f(tanh(a));
      state.set(state.value() + 1.0);  // could be done together with the tanh
      return y;
    });
    std::thread([&] { g(x); }).join();
    CHECK(g.statistics().new_state_bytes == 0);
    std::thread([&] {  // it has no memory for products yet
      memory::trim();
      most_bytes = 100000;
      CHECK_THROWS_AS(g(x), std::bad_alloc);
      CHECK(state.value().to_vector<float>() == std::vector<float>(3, 1.0f));
      most_bytes = SIZE_MAX;
      g(x);
      CHECK(state.value().to_vector<float>() == std::vector<float>(3, 2.0f));
    })
        .join();
  };
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor w = random::normal({32, 1024}, 0.0, 1e-3);
  check(random::normal({64, 32}), [&](const Tensor& x) { return sum(matmul(x, w)); });
  check(random::normal({8, 50000}), [](const Tensor& x) { return sum(logsumexp(x, 0)); });
  check(random::normal({8, 50000}), [](const Tensor& x) { return sum(var(x, 0)); });
  check(random::normal({200, 300}), [](const Tensor& x) { return sum(softmax(transpose(x))); });
  set_num_threads(threads);
}
#endif

TEST_CASE("a captured program takes less than 200 bytes an operator, and two allocations while it is made") {
  constexpr long operators = 40000;
  const Tensor x = full({4, 4}, 0.5), a = full({}, 0.999), b = full({}, 0.001);
  const auto bytes = [] {
    const auto info = mallinfo2();
    return static_cast<long>(info.uordblks + info.hblkhd);
  };
  const auto chain = [&](long count) {
    program::Trace trace;
    Tensor y = trace.argument(x);
    for (long i = 0; i < count / 2; ++i) y = y * a + b;
    trace.output(y);
    trace.close();
    return std::move(trace).finish();
  };
  const program::Program warm(chain(100));  // what threads and operators keep for good
  const long before = bytes(), start = allocations;
  const program::Program program(chain(operators));
  CHECK(program.statistics().instructions == operators);
#ifdef WENGERT_COUNTS_ALLOCATIONS
  CHECK((bytes() - before) / operators < 200);
  CHECK(allocations - start < 2 * operators);
#else
  CHECK(before + start != 1);
#endif
}

TEST_SUITE_END();
