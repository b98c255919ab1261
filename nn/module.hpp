#pragma once

#include <concepts>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "nn/buffer.hpp"
#include "nn/parameter.hpp"

namespace wengert::nn {

namespace detail {
struct ModuleState;

/// The user's line of the call of a module that is running, so that an error inside a layer names it.
inline constinit thread_local SourceLocation call_site;
class CallSite {
 public:
  explicit CallSite(const SourceLocation& where) : before_(std::exchange(call_site, where)) {}
  ~CallSite() { call_site = before_; }
  CallSite(const CallSite&) = delete;
  CallSite& operator=(const CallSite&) = delete;

 private:
  SourceLocation before_;
};
}  // namespace detail

/// A function with parameters: a layer, a network. Derive from it, register parameters and other modules
/// under their names, and define forward:
///
///     struct Net : nn::Module {
///       nn::Linear hidden = register_module("hidden", nn::Linear(784, 128));
///       nn::Linear output = register_module("output", nn::Linear(128, 10));
///       nn::Parameter scale = register_parameter("scale", nn::Parameter(ones({10})));
///       Tensor forward(const Tensor& x) const override { return output(relu(hidden(x))) * scale.value(); }
///     };
///     Net net;
///     Tensor y = net(x);     // parameters: "scale", "hidden.weight", "hidden.bias", "output.weight", ...
///
/// A module is a handle, as a Tensor is: copies share parameters and mode. It can't be assigned, because
/// the module it was registered with would keep the old one.
class Module {
 public:
  virtual ~Module() = default;
  Module& operator=(const Module&) = delete;

  /// Applies the module.
  Tensor operator()(const Tensor& x, SourceLocation where = SourceLocation::current()) const {
    detail::CallSite site(where);
    return forward(x);
  }
  /// What the module computes. The base throws GraphError, for modules that offer other functions instead.
  virtual Tensor forward(const Tensor& x) const;

  /// Every parameter once, its own first, then those of the modules in it, in the order of registration. The
  /// names are PyTorch's: "0.weight", "hidden.bias".
  std::vector<NamedParameter> named_parameters() const;
  Parameters parameters() const;
  /// Every buffer once, in the same order and with names of the same kind: "1.running_mean".
  std::vector<NamedBuffer> named_buffers() const;
  /// The states of all of them, with a prefix before their names: what save_program() and load_program()
  /// take.
  NamedStates named_states(const std::string& prefix = {}) const;
  /// Number of elements of all parameters.
  std::int64_t parameter_count() const;
  /// Converts all parameters and floating buffers to float32 or float64 (DTypeError for another type).
  void to(DType dtype, SourceLocation where = SourceLocation::current());

  /// Sets the mode of this and every module in it: Dropout drops only while training. New modules train.
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const;

  /// A table of the modules with the number of parameters of each and in all: for a Linear layer
  /// n[l-1]*n[l] + n[l].
  std::string summary() const;

 protected:
  /// `description` is the summary's word for it, e.g. "Linear(40, 100)"; by default the name of the class.
  explicit Module(std::string description = {});
  Module(const Module&) = default;

  /// Makes a parameter, a buffer or a module part of this one and returns it. Throws ValueError when the name
  /// is empty, contains a dot or is taken, or when a module would contain itself.
  Parameter register_parameter(const std::string& name, Parameter parameter);
  Buffer register_buffer(const std::string& name, Buffer buffer);
  template <std::derived_from<Module> M>
  M register_module(const std::string& name, M module) {
    attach(name, module);
    return module;
  }
  void attach(const std::string& name, const Module& module);

 private:
  std::shared_ptr<detail::ModuleState> state_;
};

/// Writes summary().
std::ostream& operator<<(std::ostream& out, const Module& module);

/// A module of any class, for Sequential.
class Layer {
 public:
  template <std::derived_from<Module> M>
  requires(!std::same_as<M, Module>) Layer(M module) : module_(std::make_shared<M>(std::move(module))) {}
  const Module& operator*() const { return *module_; }
  const Module* operator->() const { return module_.get(); }

 private:
  std::shared_ptr<const Module> module_;
};

/// Modules one after the other, named "0", "1", ...
///
///     nn::Sequential net{nn::Linear(40, 100), nn::Tanh(), nn::Linear(100, 10)};
///
/// Copy one with parentheses: braces around a Sequential make a Sequential that contains it.
class Sequential : public Module {
 public:
  Sequential(std::initializer_list<Layer> layers) : Sequential(std::vector<Layer>(layers)) {}
  explicit Sequential(std::vector<Layer> layers);
  Tensor forward(const Tensor& x) const override;

  std::size_t size() const { return layers_.size(); }
  const Module& operator[](std::size_t i) const { return *layers_[i]; }

 private:
  std::vector<Layer> layers_;
};

}  // namespace wengert::nn
