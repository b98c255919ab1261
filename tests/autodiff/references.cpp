#include "references.hpp"

#include "reference_arrays.hpp"

using namespace wengert;

namespace {

const references::Rules& rules() {
  static const references::Rules table = [] {
    references::Rules all = references::of_structure();
    all.merge(references::of_indexing());
    all.merge(references::of_arithmetic());
    return all;
  }();
  return table;
}

}  // namespace

CheckOptions reference_options(const std::string& name) {
  CheckOptions options;
  if (const auto found = rules().find(name); found != rules().end())
    options.reference = [&rule = found->second, op = find_operator(name)](const Tensors& in,
                                                                          const void* attributes) {
      return rule(references::Arguments(*op, in, attributes));
    };
  // Its derivative is zero because the caller says so, not because the function is flat.
  options.constant_by_definition = name == "stop_gradient";
  // Every element type can be had from every other.
  options.cannot_fail = name == "cast";
  return options;
}

std::vector<std::string> referenced_operators() {
  std::vector<std::string> names;
  for (const auto& [name, rule] : rules()) names.push_back(name);
  return names;
}
