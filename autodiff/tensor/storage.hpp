#pragma once

#include <cstddef>
#include <cstdint>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace wengert::detail {

/// Whether this process has only ever had one thread. While it is so, reference counts are changed
/// without locked instructions, as libstdc++ does for std::shared_ptr.
[[gnu::always_inline]] inline bool single_threaded() {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded;
#else
  return false;
#endif
}

/// An intrusive reference count. The compiler's own atomic functions: <atomic> brings half of the C library's
/// headers into every program.
template <class Word>
class Count {
 public:
  explicit Count(Word start) : word_(start) {}
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;
  [[gnu::always_inline]] void add(Word n) {
    if (single_threaded())
      word_ += n;
    else
      __atomic_fetch_add(&word_, n, __ATOMIC_RELAXED);
  }
  /// Returns what is left.
  [[gnu::always_inline]] Word subtract(Word n) {
    if (single_threaded()) return word_ -= n;
    return __atomic_sub_fetch(&word_, n, __ATOMIC_ACQ_REL);
  }
  [[gnu::always_inline]] Word load() const { return __atomic_load_n(&word_, __ATOMIC_ACQUIRE); }

 private:
  Word word_;
};

/// Every buffer starts on such a boundary and has this many bytes to spare after its last element, for
/// reading and writing: kernels run over whole vectors without a scalar tail
/// (docs/decisions/padded-buffers.md).
inline constexpr std::size_t buffer_alignment = 64;

/// A reference-counted buffer of the pool; the bytes follow the header. Views hold one count each.
struct alignas(buffer_alignment) Storage {
  Count<std::uint32_t> refs{1};
  /// Size class in the pool; the pool's own business.
  std::uint32_t size_class = 0;
  /// Not null: the bytes live inside another block, which this call gives back.
  void (*release)(Storage*) = nullptr;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

/// A buffer for at least `bytes` bytes, uninitialised. Throws std::bad_alloc.
Storage* allocate_storage(std::size_t bytes);
/// Gives a buffer with no references left back to the pool.
void free_storage(Storage* storage) noexcept;

[[gnu::always_inline]] inline void release_storage(Storage* storage) noexcept {
  if (storage->refs.subtract(1) == 0) storage->release ? storage->release(storage) : free_storage(storage);
}

#ifdef WENGERT_SANITIZED
inline constexpr bool pooled = false;  // so that the sanitizers see every use after free
#else
inline constexpr bool pooled = true;
#endif

inline constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Fresh memory on the boundary that buffers need, huge pages for large requests. Throws std::bad_alloc.
void* system_allocate(std::size_t bytes);

}  // namespace wengert::detail

namespace wengert::memory {

/// What the pool holds, in bytes. Buffers that were given back are kept for the next tensor of about
/// their size, because fresh pages from the system cost a third of the time of large tensors.
struct Stats {
  std::size_t in_use = 0;       ///< held by tensors (large buffers, over 1 MiB)
  std::size_t cached = 0;       ///< kept for reuse (large buffers)
  std::size_t peak_in_use = 0;  ///< largest in_use so far
};
Stats stats();
/// Gives every kept buffer back to the system.
void trim();
/// Most bytes of large buffers to keep; what is given back beyond goes to the system. Default 2 GiB.
void set_cache_limit(std::size_t bytes);

}  // namespace wengert::memory
