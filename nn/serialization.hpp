#pragma once

/// \file
/// Files of parameters, in the safetensors format (autodiff/interop/safetensors.hpp has the format and its
/// errors):
///
///     nn::save_safetensors(net, "net.safetensors");
///     nn::load_safetensors(other, "net.safetensors");

#include "autodiff/interop/safetensors.hpp"
#include "nn/module.hpp"

namespace wengert::nn {

using wengert::load_safetensors;
using wengert::Metadata;
using wengert::MetadataEntry;
using wengert::NamedTensor;
using wengert::NamedTensors;
using wengert::save_safetensors;

/// Saves all parameters and buffers under their names.
void save_safetensors(const Module& module, const std::string& path, const Metadata& metadata = {});
/// Sets all parameters and buffers from a file that has exactly them: same names, shapes and element types.
/// Nothing has changed when it throws.
void load_safetensors(const Module& module, const std::string& path);

}  // namespace wengert::nn
