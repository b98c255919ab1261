#include "autodiff/program/program_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <unordered_map>

#include "autodiff/interop/safetensors.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/attribute_json.hpp"

namespace wengert::program {
namespace {

using Json = nlohmann::json;
using detail::KeptProgram;
using detail::StateSlot;

constexpr const char* format_name = "wengert.program";
constexpr const char* format_version = "1";
constexpr const char* state_prefix = "states/";
constexpr const char* constant_prefix = "constants/";

/// FNV-1a over 64-bit words, the last one filled up with zeros, and over the number of bytes.
class Checksum {
 public:
  void add(const void* data, std::size_t count) {
    const char* from = static_cast<const char*>(data);
    for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, from + at, std::min(sizeof word, count - at));
      mix(word);
    }
    mix(count);
  }
  std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  void mix(std::uint64_t word) { hash_ = (hash_ ^ word) * 0x100000001b3; }
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

std::string checksum(const std::string& program, const NamedTensors& tensors) {
  std::vector<const NamedTensor*> sorted;
  for (const NamedTensor& t : tensors) sorted.push_back(&t);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->name < b->name; });
  Checksum sum;
  sum.add(program.data(), program.size());
  for (const NamedTensor* t : sorted) {
    const std::string type = describe(t->tensor);
    sum.add(t->name.data(), t->name.size());
    sum.add(type.data(), type.size());
    sum.add(t->tensor.impl().data, static_cast<std::size_t>(t->tensor.size()) * item_size(t->tensor.dtype()));
  }
  return sum.text();
}

// ------------------------------------------------------------------------------------------------- writing

/// Numbers things in the order in which they are met.
template <class Key>
class Numbers {
 public:
  std::size_t operator()(const Key& key) {
    const auto [at, fresh] = numbers_.try_emplace(key, list.size());
    if (fresh) list.push_back(key);
    return at->second;
  }
  std::vector<Key> list;

 private:
  std::map<Key, std::size_t> numbers_;
};

class ProgramWriter {
 public:
  explicit ProgramWriter(const std::vector<NamedStates>& names) {
    for (const NamedStates& list : names)
      for (const NamedState& n : list) {
        const auto [at, fresh] = names_.try_emplace(n.state.slot().get(), n.name);
        if (fresh && !taken_.insert(n.name).second)
          throw ValueError("save_program", "two states have the name '" + n.name + "'");
      }
  }

  void add(const KeptProgram& kept) {
    const Graph& g = kept.program->graph();
    Json program = {{"recording", kept.recording}, {"fuse", kept.program->fused()}};
    std::vector<std::size_t> numbers(g.values().size());
    std::size_t next = 0;
    Json arguments = Json::array(), constants = Json::array(), states = Json::array();
    for (const ValueId v : g.arguments()) {
      arguments.push_back(type(g, v));
      numbers[v] = next++;
    }
    for (ValueId v = 0; v < g.values().size(); ++v)
      if (g.constant(v) != nullptr) {
        constants.push_back(constant(*g.constant(v)));
        numbers[v] = next++;
      }
    for (const StateUse& s : g.states()) numbers[s.before] = next++;
    for (const Instruction& i : g.instructions()) numbers[i.output] = next++;
    for (const StateUse& s : g.states()) states.push_back({state(s.slot), numbers[s.after]});
    Json instructions = Json::array();
    for (const Instruction& i : g.instructions()) {
      Json inputs = Json::array();
      for (const ValueId v : g.inputs(i)) inputs.push_back(numbers[v]);
      Json json = {{"op", i.op->name}, {"in", std::move(inputs)}, {"type", type(g, i.output)}};
      if (i.attributes != none) json["attributes"] = attributes_to_json(*i.op->attributes, g.attributes(i));
      if (i.where.line != 0) json["at"] = {files_(i.where.file), i.where.line};
      instructions.push_back(std::move(json));
    }
    Json outputs = Json::array();
    for (const ValueId v : g.outputs()) outputs.push_back(numbers[v]);
    program["arguments"] = std::move(arguments);
    program["constants"] = std::move(constants);
    program["states"] = std::move(states);
    program["instructions"] = std::move(instructions);
    program["outputs"] = std::move(outputs);
    program["differentiable"] = kept.program->differentiable();
    programs_.push_back(std::move(program));
  }

  void write(const std::string& path) {
    Json states = Json::array();
    std::size_t unnamed = 0;
    for (const std::shared_ptr<StateSlot>& slot : states_) {
      std::string name;
      if (const auto known = names_.find(slot.get()); known != names_.end()) {
        name = known->second;
      } else {
        do name = "state." + std::to_string(unnamed++);
        while (taken_.contains(name));
      }
      states.push_back({{"name", name}, {"variable", slot->value.requires_grad()}});
      tensors_.push_back({state_prefix + name, contiguous(stop_gradient(slot->value))});
    }
    const Json json = {{"library", WENGERT_VERSION},
                       {"types", types_},
                       {"files", files_.list},
                       {"states", std::move(states)},
                       {"programs", std::move(programs_)}};
    std::string text;
    try {
      text = json.dump();
    } catch (const Json::exception& error) {
      throw ValueError("save_program", std::string("a name is not UTF-8: ") + error.what());
    }
    const std::string sum = checksum(text, tensors_);
    save_safetensors(
        tensors_, path,
        {{"format", format_name}, {"version", format_version}, {"checksum", sum}, {"program", text}});
  }

 private:
  std::size_t type(const Graph& g, ValueId v) {
    const auto [at, fresh] = type_numbers_.try_emplace(describe(g.dtype(v), g.shape(v)), types_.size());
    if (fresh) types_.push_back({name(g.dtype(v)), shape_to_json(g.shape(v))});
    return at->second;
  }

  /// Programs of one function have many constants in common: the same bytes under the same type.
  std::size_t constant(const Tensor& x) {
    const auto key = std::make_pair(static_cast<const void*>(x.impl().data), describe(x));
    const auto [at, fresh] = constants_.try_emplace(key, constants_.size());
    if (fresh) tensors_.push_back({constant_prefix + std::to_string(at->second), contiguous(x)});
    return at->second;
  }

  std::size_t state(const std::shared_ptr<StateSlot>& slot) {
    const auto [at, fresh] = state_numbers_.try_emplace(slot.get(), states_.size());
    if (fresh) states_.push_back(slot);
    return at->second;
  }

  std::unordered_map<const StateSlot*, std::string> names_;
  std::set<std::string> taken_;
  std::vector<std::shared_ptr<StateSlot>> states_;
  std::unordered_map<const StateSlot*, std::size_t> state_numbers_;
  std::map<std::pair<const void*, std::string>, std::size_t> constants_;
  std::unordered_map<std::string, std::size_t> type_numbers_;
  Json types_ = Json::array();
  Numbers<std::string> files_;
  Json programs_ = Json::array();
  NamedTensors tensors_;
};

// ------------------------------------------------------------------------------------------------- reading

/// Source files of loaded programs: locations are pointers that stay valid for good.
const char* kept_file_name(const std::string& name) {
  static std::mutex mutex;
  static auto* names = new std::set<std::string>;
  std::lock_guard lock(mutex);
  return names->insert(name).first->c_str();
}

[[noreturn]] void bad(const std::string& problem) { throw std::invalid_argument(problem); }

std::size_t number(const Json& json, std::size_t limit, const char* what) {
  if (!json.is_number_unsigned() || json.get<std::uint64_t>() >= limit)
    bad(fmt::format("{} {} is not there", what, json.dump()));
  return json.get<std::size_t>();
}

const Json& list(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (!value.is_array()) bad(fmt::format("\"{}\" must be a list", key));
  return value;
}

Meta type_from_json(const Json& json) {
  Meta meta{dtype_from_json(json.at(0)), shape_from_json(json.at(1))};
  for (const std::int64_t n : meta.shape)
    if (n < 0) bad("the shape " + to_string(meta.shape) + " is impossible");
  return meta;
}

class ProgramReader {
 public:
  ProgramReader(const Json& json, NamedTensors tensors) : json_(json) {
    for (NamedTensor& t : tensors) tensors_.emplace(std::move(t.name), std::move(t.tensor));
  }

  LoadedPrograms run(const std::vector<NamedStates>& bind) && {
    for (const Json& type : list(json_, "types")) types_.push_back(type_from_json(type));
    for (const Json& file : list(json_, "files")) files_.push_back(kept_file_name(file.get<std::string>()));
    for (const Json& state : list(json_, "states")) add_state(state, bind);
    for (const Json& program : list(json_, "programs")) add_program(program);
    if (result_.programs.empty()) bad("there is no program in it");
    for (auto& [slot, value] : bound_) slot->value.swap(value);
    return std::move(result_);
  }

 private:
  Tensor& tensor(const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || !found->second.defined()) bad("there is no tensor \"" + name + '"');
    return found->second;
  }

  void add_state(const Json& json, const std::vector<NamedStates>& bind) {
    const std::string name = json.at("name").get<std::string>();
    const bool variable = json.at("variable").get<bool>();
    Tensor value =
        std::move(tensor(state_prefix + name));  // nobody else has it, so that it is updated in place
    if (variable && !is_floating(value.dtype())) bad("the state " + name + " can't be a variable");
    value.impl().requires_grad = variable;
    for (const NamedState& known : result_.states)
      if (known.name == name) bad("the state " + name + " comes twice");
    for (const NamedStates& states : bind)
      for (const NamedState& own : states) {
        if (own.name != name) continue;
        const Tensor& old = own.state.value();
        if (old.dtype() != value.dtype() || old.shape() != value.shape())
          bad(fmt::format("the state {} is {}, the one to take its place {}", name, describe(value),
                          describe(old)));
        for (const NamedState& known : result_.states)
          if (known.state == own.state)
            bad(fmt::format("{} and {} are bound to one state", known.name, name));
        value.impl().requires_grad = old.requires_grad();
        bound_.emplace_back(own.state.slot(), std::move(value));
        result_.states.push_back(own);
        return;
      }
    result_.states.push_back({name, State(std::move(value))});
  }

  void add_program(const Json& json) {
    Graph g;
    std::vector<ValueId> values;
    for (const Json& type : list(json, "arguments")) {
      const Meta& meta = types_[number(type, types_.size(), "type")];
      values.push_back(g.add_argument(meta.dtype, meta.shape));
    }
    for (const Json& constant : list(json, "constants")) {
      const std::size_t n = number(constant, tensors_.size(), "constant");
      values.push_back(g.add_constant(tensor(constant_prefix + std::to_string(n))));
    }
    for (const Json& state : list(json, "states")) {
      const NamedState& use = result_.states[number(state.at(0), result_.states.size(), "state")];
      const std::size_t before = g.states().size();
      values.push_back(g.add_state(use.state.slot()));
      if (g.states().size() == before) bad("the state " + use.name + " is used twice");
    }
    std::size_t at = 0;
    for (const Json& instruction : list(json, "instructions")) {
      try {
        values.push_back(add_instruction(g, instruction, values));
      } catch (const std::exception& error) {
        bad(fmt::format("instruction {}: {}", at, error.what()));
      }
      ++at;
    }
    std::size_t k = 0;
    for (const Json& state : list(json, "states")) {
      const ValueId after = values[number(state.at(1), values.size(), "value")];
      const StateUse use = g.states()[k++];
      if (after != use.before) g.assign(use.slot, after);
    }
    for (const Json& output : list(json, "outputs"))
      g.add_output(values[number(output, values.size(), "value")]);
    const std::vector<bool> differentiable = json.at("differentiable").get<std::vector<bool>>();
    if (differentiable.size() != g.outputs().size())
      bad("\"differentiable\" has another length than \"outputs\"");

    KeptProgram kept{json.at("recording").get<bool>(), nullptr};
    kept.program = std::make_shared<Program>(std::move(g), no_passes(json.at("fuse").get<bool>()));
    kept.program->set_differentiable(differentiable);
    result_.programs.push_back(std::move(kept));
  }

  ValueId add_instruction(Graph& g, const Json& json, const std::vector<ValueId>& values) {
    const std::string name = json.at("op").get<std::string>();
    const OperatorDefinition* op = find_operator(name);
    if (op == nullptr)
      bad("there is no operator " + name + "; operators of one's own must be defined before");
    const Json& from = list(json, "in");
    const auto count = static_cast<int>(from.size());
    if (count < op->min_inputs || count > op->max_inputs)
      bad(fmt::format("{} does not take {} inputs", name, count));
    std::vector<ValueId> inputs;
    for (const Json& v : from) inputs.push_back(values[number(v, values.size(), "value")]);
    SourceLocation where;
    if (json.contains("at")) {
      where.file = files_[number(json.at("at").at(0), files_.size(), "file")];
      where.line = static_cast<unsigned>(number(json.at("at").at(1), ~0u, "line"));
    }
    if (json.contains("attributes") != (op->attributes != nullptr))
      bad(name + (op->attributes != nullptr ? " needs attributes" : " has no attributes"));
    std::vector<std::uint64_t> attributes;  // aligned
    if (op->attributes != nullptr) {
      attributes.resize((op->attributes->size + 7) / 8);
      attributes_from_json(*op->attributes, json.at("attributes"), attributes.data());
    }
    const ValueId v = g.add(*op, inputs, op->attributes == nullptr ? nullptr : attributes.data(), where);
    const Meta& meta = types_[number(json.at("type"), types_.size(), "type")];
    if (g.dtype(v) != meta.dtype || g.shape(v) != meta.shape)
      bad(fmt::format("{} is written down as {}, its shape rule gives {}", name,
                      describe(meta.dtype, meta.shape), describe(g.dtype(v), g.shape(v))));
    return v;
  }

  const Json& json_;
  std::unordered_map<std::string, Tensor> tensors_;
  std::vector<Meta> types_;
  std::vector<const char*> files_;
  std::vector<std::pair<std::shared_ptr<StateSlot>, Tensor>> bound_;
  LoadedPrograms result_;
};

}  // namespace

void write_programs(const std::string& path, const std::vector<KeptProgram>& programs,
                    const std::vector<NamedStates>& names) {
  ProgramWriter writer(names);
  for (const KeptProgram& program : programs) writer.add(program);
  writer.write(path);
}

LoadedPrograms read_programs(const std::string& path, const std::vector<NamedStates>& bind) {
  Metadata metadata;
  NamedTensors tensors = load_safetensors(path, &metadata);
  const auto fail = [&](const std::string& problem) { throw FileError(path, problem); };
  const auto text = [&](const char* key) -> const std::string& {
    static const std::string nothing;
    for (const MetadataEntry& entry : metadata)
      if (entry.key == key) return entry.value;
    return nothing;
  };
  if (text("format") != format_name) fail("is not a saved program: it has no entry format = wengert.program");
  if (text("version") != format_version)
    fail(fmt::format("has version {} of the format, this library reads version {}", text("version"),
                     format_version));
  if (text("checksum") != checksum(text("program"), tensors))
    fail("is damaged: what it holds has another checksum than was written down");
  try {
    const Json json = Json::parse(text("program"));
    return ProgramReader(json, std::move(tensors)).run(bind);
  } catch (const Json::exception& error) {
    fail(std::string("is not as the format says: ") + error.what());
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  } catch (const Error& error) {  // of shape rules and of the verifier
    fail(error.what());
  }
  __builtin_unreachable();
}

}  // namespace wengert::program
