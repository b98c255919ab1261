#include "nn/data/loader.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "autodiff/ops/structure.hpp"
#include "autodiff/tensor/random.hpp"

namespace wengert::nn {
namespace {

// The rows at `order[0 .. count)`, one copy each; `t` is contiguous.
Tensor gather(const Tensor& t, const std::int64_t* order, std::int64_t count) {
  const detail::TensorImpl& from = t.impl();
  Shape shape = from.shape;
  const std::int64_t rows = shape[0];
  const std::size_t row_bytes =
      rows == 0 ? 0 : static_cast<std::size_t>(from.size / rows) * item_size(from.dtype);
  shape[0] = count;
  Tensor result = Tensor::adopt(detail::new_tensor(from.dtype, shape));
  if (row_bytes == 0) return result;
  std::byte* to = result.impl().data;
  if (row_bytes == 8) {  // labels: a copy of known size is one instruction
    for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + 8 * i, from.data + 8 * order[i], 8);
  } else {
    for (std::int64_t i = 0; i < count; ++i, to += row_bytes)
      std::memcpy(to, from.data + static_cast<std::size_t>(order[i]) * row_bytes, row_bytes);
  }
  return result;
}

}  // namespace

struct DataLoader::State {
  Dataset data;
  DataLoaderOptions options;
  random::Generator generator;
  std::int64_t batches = 0;  // of one epoch
  Tensor order;              // of the running epoch, int64[n], when shuffling

  void shuffle() {
    if (options.shuffle) order = generator.permutation(data.size());
  }
};

DataLoader::DataLoader(const Dataset& data, const DataLoaderOptions& options, SourceLocation where) {
  if (!data.x.defined() || !data.y.defined())
    throw ValueError("DataLoader", "the data set has no tensors", where);
  if (options.batch_size <= 0)
    throw ValueError("DataLoader",
                     "the batch size must be positive, not " + std::to_string(options.batch_size), where);
  if (options.epochs < 0)
    throw ValueError(
        "DataLoader",
        "the number of epochs must not be negative, as " + std::to_string(options.epochs) + " is", where);
  const Dataset checked(data.x, data.y, where);  // members are public: they may have changed since
  std::uint64_t seed = options.seed.value_or(0);
  if (options.shuffle && !options.seed)
    seed = static_cast<std::uint64_t>(
        random::integers(0, std::numeric_limits<std::int64_t>::max(), {}).item<std::int64_t>());
  const std::int64_t n = data.size(), size = options.batch_size;
  state_.reset(new State{.data = {stop_gradient(contiguous(checked.x)), stop_gradient(contiguous(checked.y))},
                         .options = options,
                         .generator = random::Generator(seed),
                         .batches = n / size + (n % size != 0 && !options.drop_last ? 1 : 0),
                         .order = {}});
}

DataLoader::DataLoader(DataLoader&&) noexcept = default;
DataLoader& DataLoader::operator=(DataLoader&&) noexcept = default;
DataLoader::~DataLoader() = default;

std::int64_t DataLoader::batches_per_epoch() const { return state_->batches; }

std::int64_t DataLoader::size() const { return state_->batches * state_->options.epochs; }

DataLoader::iterator DataLoader::begin() {
  if (size() > 0) state_->shuffle();
  return iterator(state_.get());
}

bool DataLoader::iterator::done() const { return index_ >= state_->batches * state_->options.epochs; }

std::int64_t DataLoader::iterator::epoch() const { return index_ / state_->batches; }

std::int64_t DataLoader::iterator::batch() const { return index_ % state_->batches; }

Batch DataLoader::iterator::operator*() const {
  const Dataset& data = state_->data;
  const std::int64_t first = batch() * state_->options.batch_size;
  const std::int64_t last = std::min(first + state_->options.batch_size, data.size());
  if (!state_->options.shuffle) {
    Dataset view = data.range(first, last);
    return {std::move(view.x), std::move(view.y)};
  }
  const std::int64_t* order = state_->order.impl().as<std::int64_t>() + first;
  return {gather(data.x, order, last - first), gather(data.y, order, last - first)};
}

DataLoader::iterator& DataLoader::iterator::operator++() {
  ++index_;
  if (!done() && batch() == 0) state_->shuffle();
  return *this;
}

}  // namespace wengert::nn
