#include "autodiff/tensor/impl.hpp"

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

namespace wengert::detail {
namespace {

// -------------------------------------------------------------------------------------- memory of headers

struct Link {
  Link* next;
};

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

// The free headers of one thread. Constant initialisation, so that access needs no guard; ThreadCleanup
// hands them on when the thread ends.
struct ThreadBlocks {
  BlockList free;
  std::size_t most = most_free_blocks;  // 0 when the thread is ending
  std::size_t next_slab = std::size_t{64} << 10;
  bool registered = false;
};
constinit thread_local ThreadBlocks blocks;

// Headers that no thread holds.
struct SharedBlocks {
  std::mutex mutex;
  BlockList free;
};
SharedBlocks& shared() {
  static SharedBlocks* list = new SharedBlocks;  // never destroyed: static tensors may outlive it
  return *list;
}

[[gnu::noinline]] void share_blocks() {
  SharedBlocks& all = shared();
  std::lock_guard lock(all.mutex);
  all.free.take_all(blocks.free);
}

struct ThreadCleanup {
  ~ThreadCleanup() {
    share_blocks();
    blocks.most = 0;
  }
};

// Headers are cut from slabs: a long chain then lies on huge pages, one after the other. One allocation for
// each cost six times as much when a chain of 200,000 was recorded for the first time (page faults), and
// three times as much when it was released.
void add_slab() {
  const std::size_t bytes = std::exchange(blocks.next_slab, huge_page);  // small programs stay small
  std::byte* slab = static_cast<std::byte*>(system_allocate(bytes));
  for (std::size_t at = bytes / block_size * block_size; at > 0;) blocks.free.push(slab + (at -= block_size));
}

[[gnu::noinline]] void refill_blocks() {
  if (!blocks.registered && blocks.most > 0) {
    static thread_local ThreadCleanup cleanup;
    (void)cleanup;
    blocks.registered = true;
  }
  {
    SharedBlocks& all = shared();
    std::lock_guard lock(all.mutex);
    blocks.free.take_all(all.free);
  }
  if (blocks.free.first == nullptr) add_slab();
}

[[gnu::always_inline]] inline void* allocate_block() {
  if (!pooled) return system_allocate(block_size);
  if (blocks.free.first == nullptr) refill_blocks();
  return blocks.free.pop();
}

[[gnu::always_inline]] inline void free_block(void* p) noexcept {
  if (!pooled) return std::free(p);
  blocks.free.push(p);
  if (blocks.free.count > blocks.most) share_blocks();
}

// A header whose embedded bytes a view still used goes when the view does.
void free_header(Storage* embedded) {
  static_assert(offsetof(TensorImpl, embedded) == 0);
  free_block(embedded);
}

// ------------------------------------------------------------------------------------------ ends of headers

bool reads_value(const TensorImpl& impl, std::uint32_t input) {
  return impl.value_inputs >> (input < 31 ? input : 31) & 1;
}

/// No readers left, references still.
void release_value(TensorImpl* impl) noexcept {
  if (impl->storage == nullptr || impl->storage == &impl->embedded) return;
  release_storage(std::exchange(impl->storage, nullptr));
  impl->data = nullptr;
}

/// Gives up the inputs of a dead node; those that die with it are put in front of the list `dead`.
TensorImpl* release_inputs(TensorImpl* impl, TensorImpl* dead) noexcept {
  for (std::uint32_t i = 0; i < impl->input_count; ++i) {
    TensorImpl* input = impl->inputs[i];
    if (static_cast<std::uint32_t>(input->counts.load()) != 1) {
      if (reads_value(*impl, i) && input->counts.subtract(TensorImpl::one_value) >> 32 == 0)
        release_value(input);
      if (static_cast<std::uint32_t>(input->counts.subtract(TensorImpl::one_node)) != 0) continue;
    }
    input->walk = reinterpret_cast<std::uint64_t>(dead);
    dead = input;
  }
  if (impl->inputs != impl->few_inputs) std::free(impl->inputs);
  if (impl->attributes != nullptr && impl->attributes != impl->few_attributes) std::free(impl->attributes);
  return dead;
}

// No references left. A loop with its stack threaded through the dead headers: a graph may be a million nodes
// deep.
void destroy(TensorImpl* first) noexcept {
  first->walk = 0;
  for (TensorImpl* dead = first; dead != nullptr;) {
    TensorImpl* impl = dead;
    dead = reinterpret_cast<TensorImpl*>(impl->walk);
    if (impl->inputs != nullptr) dead = release_inputs(impl, dead);
    if (impl->storage != &impl->embedded) {
      if (Storage* const bytes = impl->storage; bytes != nullptr) {
        // A one that is read here stays: only who has a count can add another, and this header's is the last.
        // The read acquires, so whatever other holders did with the bytes before they gave up their counts
        // (a release) comes before the bytes are used again.
        if (bytes->refs.load() == 1 && bytes->release == nullptr)
          free_storage(bytes);
        else
          release_storage(bytes);
      }
      free_block(impl);
    } else if (impl->embedded.refs.load() == 1) {
      free_block(impl);
    } else {
      release_storage(&impl->embedded);  // a view outlives the header's own life
    }
  }
}

}  // namespace

TensorImpl* new_tensor(DType dtype, const Shape& shape) {
  TensorImpl* impl = new (allocate_block()) TensorImpl(dtype);
  const int ndim = shape.size();
  impl->shape.resize(ndim);
  impl->strides.resize(ndim);
  std::int64_t size = 1;
  for (int i = ndim; i-- > 0;) {  // the used entries only
    const std::int64_t n = shape[i];
    impl->shape[i] = n;
    impl->strides[i] = size;
    size *= n;
  }
  impl->size = size;
  const std::size_t bytes = static_cast<std::size_t>(size) * item_size(dtype);
  if (bytes <= TensorImpl::inline_bytes) {
    impl->embedded.release = free_header;
    impl->storage = &impl->embedded;
    impl->data = impl->small;
    return impl;
  }
  try {
    impl->storage = allocate_storage(bytes);
  } catch (...) {
    free_block(impl);
    throw;
  }
  impl->data = impl->storage->bytes();
  return impl;
}

TensorImpl* new_view(TensorImpl& base, const Shape& shape, const Strides& strides, std::int64_t offset) {
  TensorImpl* impl = new (allocate_block()) TensorImpl(base.dtype, shape);
  impl->size = shape.elements();
  impl->storage = base.storage;
  impl->storage->refs.add(1);
  impl->data = base.data + offset * static_cast<std::int64_t>(item_size(base.dtype));
  impl->strides = strides;
  impl->contiguous = is_contiguous(shape, strides);
  return impl;
}

TensorImpl* new_traced(DType dtype, const Shape& shape, std::uint32_t trace, std::uint32_t value) {
  TensorImpl* impl = new (allocate_block()) TensorImpl(dtype, shape);
  impl->size = shape.elements();
  impl->strides = contiguous_strides(shape);
  impl->trace = trace;
  impl->trace_value = value;
  return impl;
}

void release(TensorImpl* impl) noexcept {
  // The only owner needs no second step; whoever else holds the node keeps it alive while the value goes.
  const std::uint64_t counts = impl->counts.load();
  if (static_cast<std::uint32_t>(counts) == 1) return destroy(impl);
  if (single_threaded() && counts >> 32 > 1) {  // others read the value, and nobody comes between
    impl->counts.subtract(TensorImpl::one_handle);
    return;
  }
  if (impl->counts.subtract(TensorImpl::one_value) >> 32 == 0) release_value(impl);
  if (static_cast<std::uint32_t>(impl->counts.subtract(TensorImpl::one_node)) == 0) destroy(impl);
}

}  // namespace wengert::detail
