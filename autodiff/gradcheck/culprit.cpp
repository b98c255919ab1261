#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/backward/walk.hpp"
#include "autodiff/gradcheck/entries.hpp"
#include "autodiff/graph/apply.hpp"

namespace wengert::detail {

GradcheckReport check_call(const OperatorDefinition& op, const Tensors& inputs, const void* attributes,
                           const GradcheckOptions& options) {
  const auto f = [&](const Tensors& in) { return apply_op(op, in, attributes, {}); };
  return wengert::gradcheck(f, inputs, options);
}

std::vector<GradcheckCulprit> find_culprits(const Tensors& roots, const GradcheckOptions& options) {
  std::vector<TensorImpl*> nodes;
  for (const Tensor& root : roots) {
    std::unique_ptr<Walk> walk = Walk::take();
    walk->collect(root.impl(), nullptr, 0, false, true);
    for (const Walk::Node& node : walk->nodes) nodes.push_back(node.impl);
    Walk::give_back(std::move(walk));
  }
  GradcheckOptions local = options;
  local.max_entries = 200;
  local.find_culprit = false;
  constexpr std::size_t enough = 10;
  std::vector<GradcheckCulprit> culprits;
  std::vector<TensorImpl*> done;
  for (TensorImpl* node : nodes) {
    if (node->op == nullptr || culprits.size() == enough) continue;
    const auto at = std::lower_bound(done.begin(), done.end(), node);
    if (at != done.end() && *at == node) continue;
    done.insert(at, node);
    // The same line in a loop is named once.
    const auto known = std::find_if(culprits.begin(), culprits.end(), [&](const GradcheckCulprit& c) {
      return c.operation == node->op->name && c.where.line == node->where.line &&
             c.where.file == node->where.file;
    });
    if (known != culprits.end()) continue;
    Tensors inputs;
    for (std::uint32_t i = 0; i < node->input_count; ++i) inputs.push_back(Tensor::share(node->inputs[i]));
    // What f was given from outside may have been recorded without keep_values.
    const auto gone = [](const Tensor& x) { return x.impl().data == nullptr; };
    if (std::any_of(inputs.begin(), inputs.end(), gone)) continue;
    const GradcheckReport report = check_call(*node->op, inputs, node->attributes, local);
    if (report.wrong == 0) continue;
    for (const GradcheckEntry& e : report.problems)
      if (e.verdict == Verdict::wrong) {
        culprits.push_back({node->op->name, node->where, describe(inputs), e});
        break;
      }
  }
  return culprits;
}

}  // namespace wengert::detail
