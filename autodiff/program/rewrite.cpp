#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>

#include "autodiff/graph/rewriting.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/passes.hpp"
#include "autodiff/program/ranges.hpp"

namespace wengert::program {
namespace {

/// Adds up what the members of an attribute struct are.
class AttributeHash final : public AttributeVisitor {
 public:
  std::size_t value = 0;

  void member(const char*, bool& v) override { mix(v); }
  void member(const char*, std::int64_t& v) override { mix(static_cast<std::size_t>(v)); }
  void member(const char*, double& v) override { mix(std::hash<double>{}(v)); }
  void member(const char*, DType& v) override { mix(static_cast<std::size_t>(v)); }
  void member(const char*, AxisSet& v) override { mix(v.bits); }
  void member(const char*, Shape& v) override {
    mix(static_cast<std::size_t>(v.size()));
    for (const std::int64_t n : v) mix(static_cast<std::size_t>(n));
  }

 private:
  void mix(std::size_t v) { value = (value ^ v) * 0x9e3779b97f4a7c15u; }
};

/// The calls of a graph, to be found again: a hash table of positions.
class Calls {
 public:
  explicit Calls(const Graph& graph) : g_(graph) {}

  /// The result of an equal call, or none.
  ValueId find(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes) const {
    if (table_.empty()) return none;
    const auto h = static_cast<std::uint32_t>(hash(op, inputs, attributes));
    for (std::size_t at = h & mask(); table_[at].instruction != none; at = (at + 1) & mask()) {
      if (table_[at].hash != h) continue;
      const Instruction& other = g_[table_[at].instruction];
      const auto theirs = g_.inputs(other);
      if (other.op == &op && std::equal(inputs.begin(), inputs.end(), theirs.begin(), theirs.end()) &&
          same(op, attributes, g_.attributes(other)))
        return other.output;
    }
    return none;
  }
  /// Takes in the last instruction.
  void remember_last() {
    const auto last = static_cast<std::uint32_t>(g_.size() - 1);
    const Instruction& i = g_[last];
    if (i.op->draws) return;
    if (table_.size() < 2 * (count_ + 1)) grow();
    put({static_cast<std::uint32_t>(hash(*i.op, g_.inputs(i), g_.attributes(i))), last});
    ++count_;
  }

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t instruction = none;
  };

  static std::size_t hash(const OperatorDefinition& op, std::span<const ValueId> inputs,
                          const void* attributes) {
    std::size_t h = std::hash<const void*>{}(&op);
    if (op.attributes != nullptr) {
      AttributeHash members;
      op.attributes->visit(const_cast<void*>(attributes), members);  // which only looks at them
      h ^= members.value;
    }
    for (const ValueId v : inputs) {
      h = (h ^ v) * 0x9e3779b97f4a7c15u;
      h ^= h >> 29;
    }
    return h ^ h >> 32;
  }
  static bool same(const OperatorDefinition& op, const void* a, const void* b) {
    // Bytes first: unused ones may differ where the attributes are the same.
    return op.attributes == nullptr || std::memcmp(a, b, op.attributes->size) == 0 ||
           op.attributes->print(a) == op.attributes->print(b);
  }

  std::size_t mask() const { return table_.size() - 1; }
  void put(const Entry& entry) {
    std::size_t at = entry.hash & mask();
    while (table_[at].instruction != none) at = (at + 1) & mask();
    table_[at] = entry;
  }
  void grow() {
    std::vector<Entry> old(std::max<std::size_t>(64, 4 * table_.size()));
    old.swap(table_);
    for (const Entry& entry : old)
      if (entry.instruction != none) put(entry);
  }

  const Graph& g_;
  std::vector<Entry> table_;  // a power of two
  std::size_t count_ = 0;
};

class Rewriter final : public Rewriting {
 public:
  Rewriter(const Graph& from, bool assume) : from_(from), assume_(assume), r_(from), calls_(r_.to) {
    uses_.assign(r_.to.values().size(), 0);
  }

  Changed run() && {
    std::vector<std::uint32_t> old_uses(from_.values().size(), 0);
    for (const Instruction& i : from_.instructions())
      for (const ValueId v : from_.inputs(i)) ++old_uses[v];
    for (const ValueId v : from_.outputs()) old_uses[v] += 2;
    for (const StateUse& s : from_.states())
      if (s.after != s.before) old_uses[s.after] += 2;
    for (const Instruction& i : from_.instructions()) {
      const ValueId replacement = i.op->rewrite || !stated_.empty() ? ask(i) : none;
      if (replacement != none) {
        r_.replace(i.output, replacement);
      } else {
        r_.copy(i);
        calls_.remember_last();
      }
      uses_.resize(r_.to.values().size(), 0);
      uses_[r_[i.output]] += old_uses[i.output];
    }
    return std::move(r_).finish_if_changed();
  }

  DType dtype_of(Value v) const override { return r_.to.dtype(v); }
  const Shape& shape_of(Value v) const override { return r_.to.shape(v); }
  const OperatorDefinition* op(Value v) const override {
    const Instruction* i = r_.to.producer(v);
    return i == nullptr ? nullptr : i->op;
  }
  std::span<const Value> inputs_of(Value v) const override { return r_.to.inputs(*r_.to.producer(v)); }
  const void* attributes_of(Value v) const override { return r_.to.attributes(*r_.to.producer(v)); }
  bool used_here_only(Value v) const override { return v < uses_.size() && uses_[v] == 1; }

  bool is(Value v, double c) const override {
    return all_of(v, [c](auto e) { return e == static_cast<decltype(e)>(c); });
  }
  bool is_finite(Value v) const override {
    return all_of(v, [](auto e) { return std::isfinite(static_cast<double>(e)); });
  }
  std::optional<std::vector<Value>> finite_where_bounded(std::size_t i) const override {
    if (!assume_) return std::nullopt;
    // The old graph still has the calls that rules have taken apart.
    auto bounded = program::finite_where_bounded(from_, from_.inputs(*at_hand_)[i]);
    if (bounded)
      for (Value& v : *bounded) v = r_[v];
    return bounded;
  }

  bool read_by(const OperatorDefinition& op) const override {
    const auto& all = readers();
    const auto [first, last] = all.equal_range(at_hand_->output);
    return std::any_of(first, last, [&](const auto& r) { return from_[r.second].op == &op; });
  }
  bool input_read_by(int i, const OperatorDefinition& op) const override {
    const auto& all = readers();
    const auto [first, last] = all.equal_range(from_.inputs(*at_hand_)[static_cast<std::size_t>(i)]);
    return std::any_of(first, last, [&](const auto& r) {
      const Instruction& reader = from_[r.second];
      return reader.op == &op && op.attributes != nullptr && op.attributes == at_hand_->op->attributes &&
             op.attributes->print(from_.attributes(reader)) == op.attributes->print(call->attributes);
    });
  }

  void state(const OperatorDefinition& op, Value v, Value result) override {
    stated_.emplace(v, std::pair(&op, result));
  }
  Value find(const OperatorDefinition& op, std::initializer_list<Value> inputs,
             const void* attributes) const override {
    return known(op, {inputs.begin(), inputs.size()}, attributes);
  }
  Value make(const OperatorDefinition& op, std::span<const Value> inputs, const void* attributes) override {
    const Value there = known(op, inputs, attributes);
    if (there != none) return there;
    const std::vector<Value> own(inputs.begin(), inputs.end());  // they may be another call's, which move
    const Value v = r_.to.add(op, own, attributes, call->where);
    calls_.remember_last();
    uses_.resize(r_.to.values().size(), 0);
    return v;
  }
  Value number(double c, DType dtype) override { return r_.to.add_constant(full({}, c, dtype)); }

 private:
  template <class F>
  bool all_of(Value v, F holds) const {
    const Tensor* constant = r_.to.constant(v);
    if (constant == nullptr || constant->size() == 0 || constant->size() > most_looked_at) return false;
    const auto all = [&]<class T>(const T* x) { return std::all_of(x, x + constant->size(), holds); };
    switch (constant->dtype()) {
      case DType::float32:
        return all(constant->impl().as<float>());
      case DType::float64:
        return all(constant->impl().as<double>());
      case DType::int64:
        return all(constant->impl().as<std::int64_t>());
      default:
        return false;
    }
  }

  /// What a rule has stated about that call, or none.
  Value stated(const OperatorDefinition& op, std::span<const Value> inputs) const {
    if (inputs.size() != 1) return none;
    const auto [first, last] = stated_.equal_range(inputs[0]);
    for (auto s = first; s != last; ++s)
      if (s->second.first == &op) return s->second.second;
    return none;
  }
  Value known(const OperatorDefinition& op, std::span<const Value> inputs, const void* attributes) const {
    const Value v = stated(op, inputs);
    return v == none ? calls_.find(op, inputs, attributes) : v;
  }

  /// Instructions by what they read, made when a rule first asks.
  const std::unordered_multimap<ValueId, std::uint32_t>& readers() const {
    if (readers_.empty())
      for (std::uint32_t n = 0; n < from_.size(); ++n)
        for (const ValueId v : from_.inputs(from_[n])) readers_.emplace(v, n);
    return readers_;
  }

  Value ask(const Instruction& i) {
    at_hand_ = &i;
    mapped_.clear();
    for (const ValueId v : from_.inputs(i)) mapped_.push_back(r_[v]);
    const Call described = from_.describe(i);
    call = &described;
    inputs = mapped_;
    dtype = from_.dtype(i.output);
    shape = from_.shape(i.output);
    Value v = none;
    if (const auto said = stated(*i.op, mapped_); said != none)
      v = said;
    else if (i.op->rewrite)
      v = i.op->rewrite(*this);
    if (v != none && !has_type_of_result(v))
      throw GraphError(i.op->name, "its rewrite rule names a value of another type", i.where);
    return v;
  }

  const Graph& from_;
  const bool assume_;
  Rewrite r_;
  Calls calls_;
  std::vector<std::uint32_t> uses_;  // by new value: how often what it stands for is read
  std::vector<ValueId> mapped_;
  std::unordered_multimap<Value, std::pair<const OperatorDefinition*, Value>> stated_;  // by input
  const Instruction* at_hand_ = nullptr;
  mutable std::unordered_multimap<ValueId, std::uint32_t> readers_;
};

// Numbers and small tables that a function writes down in every one of its steps: those with the same bytes
// are one.
void share_constants(const Graph& g, Rewrite& r) {
  constexpr std::size_t largest = 1024;  // bytes
  std::unordered_map<std::string, ValueId> known;
  for (ValueId v = 0; v < g.values().size(); ++v) {
    const Tensor* constant = g.constant(v);
    if (constant == nullptr || !constant->is_contiguous()) continue;
    const std::size_t bytes = static_cast<std::size_t>(constant->size()) * item_size(constant->dtype());
    if (bytes > largest) continue;
    const Shape& shape = constant->shape();
    std::string key(reinterpret_cast<const char*>(constant->impl().data), bytes);
    key.append(reinterpret_cast<const char*>(shape.begin()),
               sizeof(std::int64_t) * static_cast<std::size_t>(shape.size()));
    key += static_cast<char>(shape.size());
    key += static_cast<char>(constant->dtype());
    const auto [first, fresh] = known.emplace(std::move(key), r[v]);
    if (!fresh) r.replace(v, first->second);
  }
}

}  // namespace

Changed rewrite(const Graph& graph) { return Rewriter(graph, false).run(); }

Changed rewrite_assuming(const Graph& graph) { return Rewriter(graph, true).run(); }

Changed share_common(const Graph& g) {
  Rewrite r(g);
  share_constants(g, r);
  Calls calls(r.to);
  std::vector<ValueId> inputs;
  for (const Instruction& i : g.instructions()) {
    inputs.clear();
    for (const ValueId v : g.inputs(i)) inputs.push_back(r[v]);
    const ValueId found = i.op->draws ? none : calls.find(*i.op, inputs, g.attributes(i));
    if (found != none) {
      r.replace(i.output, found);
      continue;
    }
    r.copy(i);
    calls.remember_last();
  }
  return std::move(r).finish_if_changed();
}

}  // namespace wengert::program
