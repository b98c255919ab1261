#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "autodiff/graph/rewriting.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/program/passes.hpp"

namespace wengert::program {
namespace {

/// The calls of a graph, to be found again.
class Calls {
 public:
  explicit Calls(const Graph& graph) : g_(graph) {}

  /// The result of an equal call, or none.
  ValueId find(const OperatorDefinition& op, std::span<const ValueId> inputs, const void* attributes) const {
    const auto [first, last] = known_.equal_range(hash(op, inputs));
    for (auto at = first; at != last; ++at) {
      const Instruction& other = g_[at->second];
      const auto theirs = g_.inputs(other);
      if (other.op == &op && std::equal(inputs.begin(), inputs.end(), theirs.begin(), theirs.end()) &&
          same(op, attributes, g_.attributes(other)))
        return other.output;
    }
    return none;
  }
  /// Takes in the last instruction.
  void remember_last() {
    const Instruction& i = g_[g_.size() - 1];
    if (!i.op->draws) known_.emplace(hash(*i.op, g_.inputs(i)), static_cast<std::uint32_t>(g_.size() - 1));
  }

 private:
  static std::size_t hash(const OperatorDefinition& op, std::span<const ValueId> inputs) {
    std::size_t h = std::hash<const void*>{}(&op);
    for (const ValueId v : inputs) {
      h = (h ^ v) * 0x9e3779b97f4a7c15u;
      h ^= h >> 29;
    }
    return h;
  }
  static bool same(const OperatorDefinition& op, const void* a, const void* b) {
    // Bytes first: unused ones may differ where the attributes are the same.
    return op.attributes == nullptr || std::memcmp(a, b, op.attributes->size) == 0 ||
           op.attributes->print(a) == op.attributes->print(b);
  }

  const Graph& g_;
  std::unordered_multimap<std::size_t, std::uint32_t> known_;  // hash -> instruction
};

class Rewriter final : public Rewriting {
 public:
  explicit Rewriter(const Graph& from) : from_(from), r_(from), calls_(r_.to) {
    uses_.assign(r_.to.values().size(), 0);
  }

  Graph run() && {
    std::vector<std::uint32_t> old_uses(from_.values().size(), 0);
    for (const Instruction& i : from_.instructions())
      for (const ValueId v : from_.inputs(i)) ++old_uses[v];
    for (const ValueId v : from_.outputs()) old_uses[v] += 2;
    for (const StateUse& s : from_.states())
      if (s.after != s.before) old_uses[s.after] += 2;
    for (const Instruction& i : from_.instructions()) {
      const ValueId replacement = i.op->rewrite ? ask(i) : none;
      if (replacement != none) {
        r_.replace(i.output, replacement);
      } else {
        r_.copy(i);
        calls_.remember_last();
      }
      uses_.resize(r_.to.values().size(), 0);
      uses_[r_[i.output]] += old_uses[i.output];
    }
    return std::move(r_).finish();
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
    const Tensor* constant = r_.to.constant(v);
    if (constant == nullptr || constant->size() == 0 || constant->size() > largest) return false;
    const auto all = [&]<class T>(const T* x) {
      return std::all_of(x, x + constant->size(), [&](T e) { return e == static_cast<T>(c); });
    };
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

  Value find(const OperatorDefinition& op, std::initializer_list<Value> inputs,
             const void* attributes) const override {
    return calls_.find(op, {inputs.begin(), inputs.size()}, attributes);
  }
  Value make(const OperatorDefinition& op, std::span<const Value> inputs, const void* attributes) override {
    const Value known = calls_.find(op, inputs, attributes);
    if (known != none) return known;
    const std::vector<Value> own(inputs.begin(), inputs.end());  // they may be another call's, which move
    const Value v = r_.to.add(op, own, attributes, call->where);
    calls_.remember_last();
    uses_.resize(r_.to.values().size(), 0);
    return v;
  }
  Value number(double c, DType dtype) override { return r_.to.add_constant(full({}, c, dtype)); }

 private:
  static constexpr std::int64_t largest = 1 << 14;  // elements of a constant that are looked at

  Value ask(const Instruction& i) {
    mapped_.clear();
    for (const ValueId v : from_.inputs(i)) mapped_.push_back(r_[v]);
    const Call described = from_.describe(i);
    call = &described;
    inputs = mapped_;
    dtype = from_.dtype(i.output);
    shape = from_.shape(i.output);
    const Value v = i.op->rewrite(*this);
    if (v != none && !has_type_of_result(v))
      throw GraphError(i.op->name, "its rewrite rule names a value of another type", i.where);
    return v;
  }

  const Graph& from_;
  Rewrite r_;
  Calls calls_;
  std::vector<std::uint32_t> uses_;  // by new value: how often what it stands for is read
  std::vector<ValueId> mapped_;
};

}  // namespace

Graph rewrite(const Graph& graph) { return Rewriter(graph).run(); }

Graph share_common(const Graph& g) {
  Rewrite r(g);
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
  return std::move(r).finish();
}

}  // namespace wengert::program
