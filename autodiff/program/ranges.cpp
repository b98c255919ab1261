#include "autodiff/program/ranges.hpp"

#include <algorithm>
#include <unordered_map>

#include "autodiff/kernels/interval.hpp"

namespace wengert::program {
namespace {

using kernels::Interval;

/// Goes from a value through the operators that compute it to values that will have to be looked at: what a
/// row operator reads, and what is computed by operators that tell nothing.
class Walk {
 public:
  explicit Walk(const Graph& graph) : g_(graph) {}

  std::vector<ValueId> bounded;

  Interval of(ValueId v) {
    if (const auto before = known_.find(v); before != known_.end()) return before->second;
    const Interval range = known_.size() < most ? find(v) : Interval();
    known_.emplace(v, range);
    return range;
  }

 private:
  static constexpr std::size_t most = 64;  // values

  Interval find(ValueId v) {
    if (!is_floating(g_.dtype(v))) return {};
    if (g_.constant(v) != nullptr) return of_constant(*g_.constant(v));
    const Instruction* const i = g_.producer(v);
    if (i == nullptr || i->op->range == nullptr) return assumed(v);
    std::vector<Interval> inputs;
    for (const ValueId input : g_.inputs(*i))
      inputs.push_back(!is_floating(g_.dtype(input)) ? Interval()
                       : i->op->row.elementwise      ? of(input)
                                                     : assumed(input));
    return i->op->range(inputs.data(), g_.shape(v));
  }

  Interval assumed(ValueId v) {
    if (std::find(bounded.begin(), bounded.end(), v) == bounded.end()) bounded.push_back(v);
    return {-Interval::assumed, Interval::assumed};
  }

  static Interval of_constant(const Tensor& constant) {
    if (constant.size() == 0 || constant.size() > most_looked_at) return {};
    const auto all = [&]<class T>(const T* x) {
      Interval range(x[0]);
      for (std::int64_t k = 1; k < constant.size(); ++k) range = where(range, range, Interval(x[k]));
      return range;
    };
    const detail::TensorImpl& x = constant.impl();
    return x.dtype == DType::float32 ? all(x.as<float>()) : all(x.as<double>());
  }

  const Graph& g_;
  std::unordered_map<ValueId, Interval> known_;
};

}  // namespace

std::optional<std::vector<ValueId>> finite_where_bounded(const Graph& graph, ValueId v) {
  Walk walk(graph);
  if (!walk.of(v).is_finite()) return std::nullopt;
  const Shape& shape = graph.shape(v);
  for (const ValueId x : walk.bounded) {
    Shape rows = graph.shape(x);
    if (rows.empty() || rows.size() != shape.size() || graph.dtype(x) != graph.dtype(v)) return std::nullopt;
    rows[rows.size() - 1] = shape.back();
    if (rows != shape) return std::nullopt;
  }
  return std::move(walk.bounded);
}

}  // namespace wengert::program
