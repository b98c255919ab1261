#pragma once

#include <string>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// Reads a tensor from a NumPy .npy file (format 1.0, 2.0 or 3.0), written in C or in Fortran order, little
/// or big endian.
///
/// float32 (f4), float64 (f8), int64 (i8) and bool (b1) keep their element type. Other integers (i1, i2, i4,
/// u1, u2, u4, u8) become int64; float16 (f2) becomes float32. Other element types are refused.
/// Throws FileError, naming the file and what was expected, when the file can't be read, is not such a file,
/// has more than 8 dimensions, is truncated, or goes on after its last element.
/// Example: Tensor x = load_npy("x.npy").
Tensor load_npy(const std::string& path);

/// Writes a tensor as a .npy file, format 1.0, in C order; views are written as what they show. The file
/// appears under its name whole or not at all: it is written beside it and renamed.
/// Throws FileError when it can't be written, GraphError for an empty handle.
/// Example: save_npy("predictions.npy", y).
void save_npy(const std::string& path, const Tensor& x);

}  // namespace wengert
