#include "nn/module.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <typeinfo>

#include "autodiff/ops/structure.hpp"

namespace wengert::nn {

/// What copies of a module share.
struct detail::ModuleState {
  std::string description;
  bool training = true;
  std::vector<NamedParameter> parameters;
  std::vector<NamedBuffer> buffers;
  struct Child {
    std::string name;
    std::shared_ptr<ModuleState> state;
  };
  std::vector<Child> children;
};

namespace {

using detail::ModuleState;

std::string class_name(const std::type_info& type) {
  int status = 0;
  char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? text : type.name();
  std::free(text);
  const std::size_t colon = name.rfind("::");
  return colon == std::string::npos || name.find('<') != std::string::npos ? name : name.substr(colon + 2);
}

bool reaches(const ModuleState& from, const ModuleState* target) {
  return &from == target || std::any_of(from.children.begin(), from.children.end(),
                                        [&](const auto& child) { return reaches(*child.state, target); });
}

void check_name(const ModuleState& state, const std::string& name) {
  if (name.empty() || name.find('.') != std::string::npos)
    throw ValueError("Module", "'" + name + "' can't be a name: it is empty or contains a dot");
  const auto same = [&](const auto& entry) { return entry.name == name; };
  if (std::any_of(state.parameters.begin(), state.parameters.end(), same) ||
      std::any_of(state.buffers.begin(), state.buffers.end(), same) ||
      std::any_of(state.children.begin(), state.children.end(), same))
    throw ValueError("Module", "the name '" + name + "' is taken");
}

/// f(parameter, prefix, name) for every parameter; one that stands in two places comes twice.
template <class F>
void visit(const ModuleState& state, const std::string& prefix, F&& f) {
  for (const NamedParameter& p : state.parameters) f(p.parameter, prefix, p.name);
  for (const auto& child : state.children) visit(*child.state, prefix + child.name + '.', f);
}

void collect_buffers(const ModuleState& state, const std::string& prefix, std::vector<NamedBuffer>& out) {
  for (const NamedBuffer& b : state.buffers)
    if (std::none_of(out.begin(), out.end(),
                     [&](const NamedBuffer& known) { return known.buffer == b.buffer; }))
      out.push_back({prefix + b.name, b.buffer});
  for (const auto& child : state.children) collect_buffers(*child.state, prefix + child.name + '.', out);
}

void collect(const ModuleState& state, Parameters& out) {
  for (const NamedParameter& p : state.parameters)
    if (!out.contains(p.parameter)) out.push_back(p.parameter);
  for (const auto& child : state.children) collect(*child.state, out);
}

void set_mode(ModuleState& state, bool training) {
  state.training = training;
  for (const auto& child : state.children) set_mode(*child.state, training);
}

struct Row {
  std::string name;
  std::string description;
  std::string count;
};

/// "40*100 + 100 = 4100": the weight's columns, n[l-1], come first, as the formula has them.
std::string count_text(const ModuleState& state, Parameters& seen, std::int64_t& total) {
  std::string text;
  std::int64_t sum = 0;
  for (const NamedParameter& p : state.parameters) {
    if (!text.empty()) text += " + ";
    if (seen.contains(p.parameter)) {
      text += "shared";
      continue;
    }
    seen.push_back(p.parameter);
    const Shape& shape = p.parameter.shape();
    std::string product;
    for (int i = shape.size() - 1; i >= 0; --i) {
      if (!product.empty()) product += '*';
      product += std::to_string(shape[i]);
    }
    text += product.empty() ? "1" : product;
    sum += p.parameter.size();
  }
  total += sum;
  return text.empty() ? text : text + " = " + std::to_string(sum);
}

void collect_rows(const ModuleState& state, const std::string& name, std::vector<Row>& rows, Parameters& seen,
                  std::int64_t& total) {
  if (!name.empty() || !state.parameters.empty())
    rows.push_back({name.empty() ? "." : name, state.description, count_text(state, seen, total)});
  for (const auto& child : state.children)
    collect_rows(*child.state, name.empty() ? child.name : name + '.' + child.name, rows, seen, total);
}

}  // namespace

Module::Module(std::string description) : state_(std::make_shared<detail::ModuleState>()) {
  state_->description = std::move(description);
}

Tensor Module::forward(const Tensor&) const {
  throw GraphError(class_name(typeid(*this)), "defines no Tensor forward(const Tensor&) const",
                   detail::call_site);
}

Parameter Module::register_parameter(const std::string& name, Parameter parameter) {
  check_name(*state_, name);
  if (!parameter.defined()) throw ValueError("Module", "the parameter '" + name + "' is empty");
  state_->parameters.push_back({name, parameter});
  return parameter;
}

Buffer Module::register_buffer(const std::string& name, Buffer buffer) {
  check_name(*state_, name);
  if (!buffer.defined()) throw ValueError("Module", "the buffer '" + name + "' is empty");
  state_->buffers.push_back({name, buffer});
  return buffer;
}

void Module::attach(const std::string& name, const Module& module) {
  check_name(*state_, name);
  if (reaches(*module.state_, state_.get()))
    throw ValueError("Module", "'" + name + "' would contain itself");
  if (module.state_->description.empty()) module.state_->description = class_name(typeid(module));
  state_->children.push_back({name, module.state_});
}

std::vector<NamedParameter> Module::named_parameters() const {
  std::vector<NamedParameter> result;
  Parameters seen;
  visit(*state_, "", [&](const Parameter& p, const std::string& prefix, const std::string& name) {
    if (seen.contains(p)) return;
    seen.push_back(p);
    result.push_back({prefix + name, p});
  });
  return result;
}

std::vector<NamedBuffer> Module::named_buffers() const {
  std::vector<NamedBuffer> result;
  collect_buffers(*state_, "", result);
  return result;
}

NamedStates Module::named_states(const std::string& prefix) const {
  NamedStates states;
  for (const NamedParameter& p : named_parameters()) states.push_back({prefix + p.name, p.parameter.state()});
  for (const NamedBuffer& b : named_buffers()) states.push_back({prefix + b.name, b.buffer.state()});
  return states;
}

Parameters Module::parameters() const {
  Parameters result;
  collect(*state_, result);
  return result;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& p : parameters()) count += p.size();
  return count;
}

void Module::to(DType dtype, SourceLocation where) {
  const Parameters all = parameters();
  std::vector<Tensor> converted;
  converted.reserve(all.size());
  for (const Parameter& p : all) converted.push_back(p.converted(dtype, where));
  std::vector<NamedBuffer> buffers = named_buffers();
  std::erase_if(buffers, [](const NamedBuffer& b) { return !is_floating(b.buffer.value().dtype()); });
  std::vector<Tensor> converted_buffers;
  for (const NamedBuffer& b : buffers)
    converted_buffers.push_back(Buffer::prepare(cast(b.buffer.value(), dtype, where)));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].replace(std::move(converted[i]));
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers[i].buffer.replace(std::move(converted_buffers[i]));
}

void Module::train(bool on) { set_mode(*state_, on); }
bool Module::is_training() const { return state_->training; }

std::string Module::summary() const {
  std::vector<Row> rows{{"name", "module", "parameters"}};
  Parameters seen;
  std::int64_t total = 0;
  collect_rows(*state_, "", rows, seen, total);
  if (!state_->parameters.empty() && rows[1].description.empty())
    rows[1].description = class_name(typeid(*this));
  rows.push_back({"total", "", std::to_string(total)});
  std::size_t name_width = 0;
  std::size_t description_width = 0;
  for (const Row& row : rows) {
    name_width = std::max(name_width, row.name.size());
    description_width = std::max(description_width, row.description.size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}  {:<{}}  {}", row.name, name_width, row.description,
                                   description_width, row.count);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const Module& module) { return out << module.summary(); }

Sequential::Sequential(std::vector<Layer> layers) : Module("Sequential"), layers_(std::move(layers)) {
  for (std::size_t i = 0; i < layers_.size(); ++i) attach(std::to_string(i), *layers_[i]);
}

Tensor Sequential::forward(const Tensor& x) const {
  Tensor y = x;
  for (const Layer& layer : layers_) y = layer->forward(y);
  return y;
}

}  // namespace wengert::nn
