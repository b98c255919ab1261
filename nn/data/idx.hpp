#pragma once

#include <string>

#include "nn/data/dataset.hpp"

namespace wengert::nn::datasets {

struct IdxOptions {
  /// Element type of the examples.
  DType dtype = DType::float32;
  /// Divide examples that are bytes by 255, so that they lie in [0, 1]; false: the numbers as they are.
  bool scaled = true;
};

/// The array of one IDX file, plain or gzipped: magic 0 0 TYPE NDIM, the dimensions, then the elements in
/// row-major order, all big-endian; TYPE 8 unsigned and 9 signed bytes, 11 and 12 integers of 16 and 32 bits,
/// 13 float32, 14 float64. The elements are converted to `dtype` and multiplied by `scale`.
/// Throws FileError: no such file, another format, truncated, longer than its dimensions say, damaged
/// compression. No memory is asked for that the file's length cannot fill.
/// Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits (file formats).
/// Example: Tensor pixels = nn::datasets::read_idx("t10k-images-idx3-ubyte.gz", DType::float32, 1.0 / 255);
Tensor read_idx(const std::string& path, DType dtype = DType::int64, double scale = 1.0);

/// Examples and int64 labels from two IDX files. Throws FileError also when the labels are not a list of
/// integers or their number is not that of the examples.
/// Example: Dataset letters = nn::datasets::idx("letters-images.gz", "letters-labels.gz", {.scaled = false});
Dataset idx(const std::string& examples, const std::string& labels, const IdxOptions& options = {});

/// MNIST from the four IDX files in a folder, gzipped or not, under their usual names
/// (train-images-idx3-ubyte.gz ...). x is float32[n, 784] in [0, 1], a row per image, y int64 labels 0 .. 9;
/// 60,000 and 10,000 of them in the original. Throws FileError as idx() does, and for other image sizes or
/// labels.
///
///     auto [train, test] = nn::datasets::mnist("data/mnist");
Split mnist(const std::string& folder);

}  // namespace wengert::nn::datasets
