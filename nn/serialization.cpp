#include "nn/serialization.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wengert::nn {

void save_safetensors(const Module& module, const std::string& path, const Metadata& metadata) {
  NamedTensors tensors;
  for (const NamedParameter& p : module.named_parameters()) tensors.push_back({p.name, p.parameter.value()});
  for (const NamedBuffer& b : module.named_buffers()) tensors.push_back({b.name, b.buffer.value()});
  save_safetensors(tensors, path, metadata);
}

void load_safetensors(const Module& module, const std::string& path) {
  const auto fail = [&](const std::string& problem) { throw FileError(path, problem); };
  NamedTensors present = load_safetensors(path);
  const std::vector<NamedParameter> parameters = module.named_parameters();
  const std::vector<NamedBuffer> buffers = module.named_buffers();
  NamedTensors wanted;
  for (const NamedParameter& p : parameters) wanted.push_back({p.name, p.parameter.value()});
  for (const NamedBuffer& b : buffers) wanted.push_back({b.name, b.buffer.value()});
  std::vector<Tensor> values;
  for (const NamedTensor& t : wanted) {
    const auto found = std::find_if(present.begin(), present.end(), [&](const NamedTensor& p) {
      return p.tensor.defined() && p.name == t.name;
    });
    if (found == present.end())
      fail(fmt::format("has no tensor \"{}\", the module needs {}", t.name, describe(t.tensor)));
    if (found->tensor.dtype() != t.tensor.dtype() || found->tensor.shape() != t.tensor.shape())
      fail(fmt::format("tensor \"{}\" is {}, the module has {}", t.name, describe(found->tensor),
                       describe(t.tensor)));
    values.push_back(std::move(found->tensor));
  }
  for (const NamedTensor& p : present)
    if (p.tensor.defined())
      fail(fmt::format("tensor \"{}\" is not a parameter or buffer of the module", p.name));

  for (std::size_t i = 0; i < parameters.size(); ++i) values[i] = Parameter::prepare(std::move(values[i]));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i < parameters.size())
      parameters[i].parameter.replace(std::move(values[i]));
    else
      buffers[i - parameters.size()].buffer.replace(std::move(values[i]));
  }
}

}  // namespace wengert::nn
