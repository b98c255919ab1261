#pragma once

#include <string>
#include <vector>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// A tensor with its name, and a text with its key.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};
struct MetadataEntry {
  std::string key;
  std::string value;
};
using NamedTensors = std::vector<NamedTensor>;
using Metadata = std::vector<MetadataEntry>;

/// \defgroup safetensors Files of tensors
/// The safetensors format, version 0.x: eight bytes with the length of a JSON header, the header (element
/// type, shape and position of each tensor, and free texts under "__metadata__"), the elements. Other
/// libraries read what is written here and the other way round; element types here are BOOL, I64, F32, F64.
///
///     save_safetensors({{"x", x}, {"y", y}}, "data.safetensors", {{"source", "simulation 7"}});
///     NamedTensors tensors = load_safetensors("data.safetensors");
///
/// Errors are FileError and name the file. Saving writes a temporary file in the same folder, makes it
/// durable and renames it: a file that is there is replaced by a whole one or not at all.

/// Saves tensors. Throws ValueError for a name that comes twice, is "__metadata__" or is not UTF-8.
void save_safetensors(const NamedTensors& tensors, const std::string& path, const Metadata& metadata = {});
/// Every tensor of a file, in the order of their names; `metadata` receives the texts when given.
NamedTensors load_safetensors(const std::string& path, Metadata* metadata = nullptr);

}  // namespace wengert
