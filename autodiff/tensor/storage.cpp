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
constexpr std::size_t huge_page = std::size_t{2} << 20;

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

struct Link {
  Link* next;
};

#ifdef WENGERT_SANITIZED
constexpr bool pooled = false;  // so that the sanitizers see every use after free
#else
constexpr bool pooled = true;
#endif

// Free tensor headers.
struct BlockList {
  Link* first = nullptr;
  Link* last = nullptr;
  std::size_t count = 0;

  [[gnu::always_inline]] void push(void* p) {
    Link* block = new (p) Link{first};
    if (first == nullptr) last = block;
    first = block;
    ++count;
  }
  [[gnu::always_inline]] void* pop() {
    --count;
    return std::exchange(first, first->next);
  }
  void take_all(BlockList& from) {
    if (from.first == nullptr) return;
    from.last->next = first;
    if (first == nullptr) last = from.last;
    first = from.first;
    count += from.count;
    from = {};
  }
};
// A thread that releases more headers than it makes leaves them to the others from this number on.
constexpr std::size_t most_free_blocks = std::size_t{1} << 16;

// Free lists of one thread: tensor headers, and buffers up to small_limit. Constant initialisation, so
// that access needs no guard; ThreadCleanup empties it when the thread ends.
struct ThreadCache {
  BlockList blocks;
  Link* buffers[classes] = {};
  std::size_t buffered = 0;
  std::size_t next_slab = std::size_t{64} << 10;
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

void share_blocks();

struct ThreadCleanup {
  ~ThreadCleanup() {
    empty(cache);
    share_blocks();
    cache.dead = true;
  }
};

void register_cleanup() {
  static thread_local ThreadCleanup cleanup;
  (void)cleanup;
  cache.registered = true;
}

// Large buffers, and headers that no thread holds; shared by all threads.
struct LargePool {
  std::mutex mutex;
  BlockList blocks;
  Link* buffers[classes] = {};
  std::size_t limit = std::size_t{2} << 30;
  memory::Stats stats;
};
LargePool& large() {
  static LargePool* pool = new LargePool;  // never destroyed: static tensors may outlive it
  return *pool;
}

bool is_small(int size_class) { return class_bytes(size_class) <= small_limit; }

// Headers are cut from slabs: a long chain then lies on huge pages, one after the other. One allocation for
// each cost six times as much when a chain of 200,000 was recorded for the first time (page faults), and
// three times as much when it was released.
void add_slab() {
  const std::size_t bytes = std::exchange(cache.next_slab, huge_page);  // small programs stay small
  std::byte* slab = static_cast<std::byte*>(system_allocate(bytes));
  for (std::size_t at = bytes / block_size * block_size; at > 0;)
    cache.blocks.push(slab + (at -= block_size));
}

[[gnu::noinline]] void share_blocks() {
  LargePool& pool = large();
  std::lock_guard lock(pool.mutex);
  pool.blocks.take_all(cache.blocks);
}

[[gnu::noinline]] void refill_blocks() {
  if (!cache.dead && !cache.registered) register_cleanup();
  {
    LargePool& pool = large();
    std::lock_guard lock(pool.mutex);
    cache.blocks.take_all(pool.blocks);
  }
  if (cache.blocks.first == nullptr) add_slab();
}

}  // namespace

void* allocate_block() {
  if (!pooled) return system_allocate(block_size);
  if (cache.blocks.first == nullptr) refill_blocks();
  return cache.blocks.pop();
}

void free_block(void* p) noexcept {
  if (!pooled) return std::free(p);
  cache.blocks.push(p);
  if (cache.blocks.count > most_free_blocks || cache.dead) share_blocks();
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
