#pragma once

#include <cstdint>
#include <string>

#include "autodiff/tensor/tensor.hpp"

namespace wengert::nn {

/// Examples and what to predict from them: x[i] belongs to y[i] along the first axis of both.
struct Dataset {
  Tensor x;
  Tensor y;

  Dataset() = default;
  /// Throws ShapeError unless both have a first axis and it is equally long.
  Dataset(Tensor examples, Tensor targets, SourceLocation where = SourceLocation::current());

  /// Number of examples.
  std::int64_t size() const { return x.defined() ? x.shape()[0] : 0; }
  /// Examples first .. last - 1, as views of this set. Throws IndexError when the range is not inside it.
  /// Example: Dataset validation = train.range(3600, 4000);
  Dataset range(std::int64_t first, std::int64_t last,
                SourceLocation where = SourceLocation::current()) const;
};

/// The two parts that data usually comes in: auto [train, test] = nn::datasets::mnist1d();
struct Split {
  Dataset train;
  Dataset test;
};

namespace datasets {

/// Examples and targets from a pair of .npy files. The element types are those of the files.
/// Throws FileError (not there, not .npy, truncated, the numbers of examples differ).
/// Example: Dataset d = nn::datasets::npy("x.npy", "y.npy");
Dataset npy(const std::string& x_path, const std::string& y_path);

}  // namespace datasets
}  // namespace wengert::nn
