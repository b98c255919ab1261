#pragma once

#include <cstdint>
#include <string>

#include "nn/data/dataset.hpp"

namespace wengert::nn::datasets {

/// MNIST-1D, generated: ten digits drawn as curves of 40 values, padded, stretched, scaled, shifted, sheared
/// and buried in noise. x is float32[4000, 40] and [1000, 40], y int64 labels 0 .. 9, 500 of each digit.
/// A linear classifier reaches about 32 % on the test set, a dense network 65 %, a convolutional one 92 %.
/// The same seed gives the same numbers on every machine, whatever random::seed() was.
/// Source: S. Greydanus, D. Kobak, Scaling down deep learning with MNIST-1D, ICML 2024 (arXiv:2011.14439).
///
///     auto [train, test] = nn::datasets::mnist1d();
Split mnist1d(std::uint64_t seed = 42);

/// MNIST-1D as its authors froze it, from x.npy, y.npy, x_test.npy and y_test.npy in a folder.
/// Throws FileError when one is missing or not float32[n, 40] with int64 labels 0 .. 9.
Split mnist1d(const std::string& folder);

}  // namespace wengert::nn::datasets
