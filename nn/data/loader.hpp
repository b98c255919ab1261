#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>

#include "nn/data/dataset.hpp"

namespace wengert::nn {

struct DataLoaderOptions {
  std::int64_t batch_size = 32;
  /// A new order for every epoch.
  bool shuffle = false;
  std::int64_t epochs = 1;
  /// Leave out the last batch of an epoch when it is not full.
  bool drop_last = false;
  /// Seed of the orders; without one it is drawn from the generator that random::seed() sets.
  std::optional<std::uint64_t> seed = std::nullopt;
};

/// What a loop over a DataLoader sees: the examples and targets of one batch, constants.
struct Batch {
  Tensor x;
  Tensor y;
};

/// Batches of a data set, over one or more epochs, for a range-based loop:
///
///     for (auto [x, y] : nn::DataLoader(train, {.batch_size = 100, .shuffle = true, .epochs = 60}))
///       adam.step(gradients(loss(net(x), y), net.parameters()));
///
/// Every epoch sees every example once, but for a last partial batch left out by .drop_last. Shuffled
/// batches are copies of the rows; unshuffled ones are views of the data set. A loop that starts again
/// goes on with new orders; the same seed gives the same sequence of orders on every machine.
/// The loader keeps the data set alive.
class DataLoader {
 public:
  /// Throws ValueError when the batch size is not positive, the number of epochs is negative, or the data
  /// set is empty (without tensors).
  explicit DataLoader(const Dataset& data, const DataLoaderOptions& options = {},
                      SourceLocation where = SourceLocation::current());
  DataLoader(DataLoader&&) noexcept;
  DataLoader& operator=(DataLoader&&) noexcept;
  ~DataLoader();

  /// Batches of one epoch.
  std::int64_t batches_per_epoch() const;
  /// Batches of a whole loop: batches_per_epoch() times the number of epochs.
  std::int64_t size() const;

  class iterator;
  /// Starts a loop; a loop that is still running over this loader ends its claim to it.
  iterator begin();
  std::default_sentinel_t end() const { return std::default_sentinel; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An input iterator: each batch is made when it is read.
class DataLoader::iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = Batch;

  Batch operator*() const;
  iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const iterator& it, std::default_sentinel_t) { return it.done(); }

  /// Epochs completed before this batch.
  std::int64_t epoch() const;
  /// Position of this batch in its epoch.
  std::int64_t batch() const;

 private:
  friend class DataLoader;
  explicit iterator(State* state) : state_(state) {}
  bool done() const;

  State* state_;
  std::int64_t index_ = 0;
};

}  // namespace wengert::nn
