#include "autodiff/tensor/storage.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

namespace wengert {
namespace detail {
namespace {

// Size classes: eight to an octave, so that at most an eighth of a buffer is waste.
constexpr std::size_t smallest = 128;
constexpr int classes = 8 * 40;
constexpr std::size_t small_limit = std::size_t{1} << 20;

int class_of(std::size_t bytes) {
  if (bytes <= smallest) return 0;
  const std::size_t units = (bytes - 1) / (smallest / 8);  // >= 8
  const int octave = std::bit_width(units) - 4;
  return octave * 8 + static_cast<int>((units >> octave) - 8) + 1;
}

std::size_t class_bytes(int index) {
  if (index == 0) return smallest;
  const int octave = (index - 1) / 8;
  return static_cast<std::size_t>((index - 1) % 8 + 9) * (smallest / 8) << octave;
}

struct Link {
  Link* next;
};

// Free lists of one thread, of buffers up to small_limit. Constant initialisation, so that access needs no
// guard; ThreadCleanup empties it when the thread ends.
struct ThreadCache {
  Link* buffers[classes] = {};
  std::size_t buffered = 0;
  bool registered = false;
  bool dead = false;
};
constinit thread_local ThreadCache cache;
constexpr std::size_t thread_limit = std::size_t{64} << 20;

void empty(ThreadCache& c) {
  for (Link*& list : c.buffers)
    while (list != nullptr) std::free(std::exchange(list, list->next));
  c.buffered = 0;
}

struct ThreadCleanup {
  ~ThreadCleanup() {
    empty(cache);
    cache.dead = true;
  }
};

void register_cleanup() {
  static thread_local ThreadCleanup cleanup;
  (void)cleanup;
  cache.registered = true;
}

// Large buffers, shared by all threads.
struct LargePool {
  std::mutex mutex;
  Link* buffers[classes] = {};
  std::size_t limit = std::size_t{2} << 30;
  memory::Stats stats;
};
LargePool& large() {
  static LargePool* pool = new LargePool;  // never destroyed: static tensors may outlive it
  return *pool;
}

bool is_small(int size_class) { return class_bytes(size_class) <= small_limit; }

}  // namespace

void* system_allocate(std::size_t bytes) {
  const std::size_t alignment = bytes >= huge_page ? huge_page : buffer_alignment;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
  if (p == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (bytes >= huge_page) madvise(p, rounded, MADV_HUGEPAGE);
#endif
  return p;
}

Storage* allocate_storage(std::size_t bytes) {
  const int index = class_of(bytes + sizeof(Storage) + buffer_alignment);
  void* p = nullptr;
  if (is_small(index)) {
    if (Link* b = cache.buffers[index]; b != nullptr) {
      cache.buffers[index] = b->next;
      cache.buffered -= class_bytes(index);
      p = b;
    }
  } else {
    LargePool& pool = large();
    std::lock_guard lock(pool.mutex);
    if (Link* b = pool.buffers[index]; b != nullptr) {
      pool.buffers[index] = b->next;
      pool.stats.cached -= class_bytes(index);
      p = b;
    }
    if (p == nullptr) p = system_allocate(class_bytes(index));  // may throw: counted only when it is there
    pool.stats.in_use += class_bytes(index);
    pool.stats.peak_in_use = std::max(pool.stats.peak_in_use, pool.stats.in_use);
  }
  if (p == nullptr) p = system_allocate(class_bytes(index));
  Storage* storage = new (p) Storage;
  storage->size_class = static_cast<std::uint32_t>(index);
  return storage;
}

void free_storage(Storage* storage) noexcept {
  const int index = static_cast<int>(storage->size_class);
  const std::size_t bytes = class_bytes(index);
  Link* b = reinterpret_cast<Link*>(storage);
  if (is_small(index)) {
    if (!pooled || cache.dead || cache.buffered + bytes > thread_limit) return std::free(storage);
    if (!cache.registered) register_cleanup();
    b->next = cache.buffers[index];
    cache.buffers[index] = b;
    cache.buffered += bytes;
    return;
  }
  LargePool& pool = large();
  std::lock_guard lock(pool.mutex);
  pool.stats.in_use -= bytes;
  if (!pooled || pool.stats.cached + bytes > pool.limit) return std::free(storage);
  b->next = pool.buffers[index];
  pool.buffers[index] = b;
  pool.stats.cached += bytes;
}

}  // namespace detail

namespace memory {

Stats stats() {
  std::lock_guard lock(detail::large().mutex);
  return detail::large().stats;
}

void trim() {
  detail::empty(detail::cache);
  detail::LargePool& pool = detail::large();
  std::lock_guard lock(pool.mutex);
  for (detail::Link*& list : pool.buffers)
    while (list != nullptr) std::free(std::exchange(list, list->next));
  pool.stats.cached = 0;
}

void set_cache_limit(std::size_t bytes) {
  std::lock_guard lock(detail::large().mutex);
  detail::large().limit = bytes;
}

}  // namespace memory
}  // namespace wengert
