#include <deque>
#include <map>
#include <mutex>

#include "autodiff/graph/define.hpp"

namespace wengert {
namespace {

// Never destroyed: nodes in static tensors may outlive every static object of ours.
struct Table {
  std::mutex mutex;
  std::deque<OperatorDefinition> entries;
  std::map<std::string_view, OperatorDefinition*> by_name;
};
Table& table() {
  static Table* t = new Table;
  return *t;
}

void check(const OperatorDefinition& op) {
  if (op.name.empty()) throw ValueError("register_operator", "an operator needs a name");
  if (!op.infer) throw ValueError(op.name, "the operator has no shape rule");
  if (op.kernel == nullptr && !op.body && !op.view) throw ValueError(op.name, "the operator has no kernel");
  if (op.differentiable && !op.vjp && !op.compose && op.derivatives.empty())
    throw ValueError(op.name, "the operator is differentiable but has no derivative rule");
}

}  // namespace

std::vector<const OperatorDefinition*> operators() {
  std::lock_guard lock(table().mutex);
  std::vector<const OperatorDefinition*> list;
  for (const OperatorDefinition& op : table().entries) list.push_back(&op);
  return list;
}

const OperatorDefinition* find_operator(std::string_view name) {
  std::lock_guard lock(table().mutex);
  const auto found = table().by_name.find(name);
  return found == table().by_name.end() ? nullptr : found->second;
}

namespace detail {

OperatorDefinition* register_operator(OperatorDefinition definition) {
  check(definition);
  std::lock_guard lock(table().mutex);
  if (table().by_name.contains(definition.name))
    throw ValueError(definition.name, "an operator of this name exists already");
  OperatorDefinition& op = table().entries.emplace_back(std::move(definition));
  table().by_name.emplace(op.name, &op);
  return &op;
}

void set_kernel(const char* name, Kernel kernel, const RowKernel (&rows)[4], const RowKernel (&add_rows)[4],
                const RowKernel (&some_rows)[4]) {
  std::lock_guard lock(table().mutex);
  OperatorDefinition& op = *table().by_name.at(name);
  op.kernel = kernel;
  for (int i = 0; i < 4; ++i) {
    op.row.kernel[i] = rows[i];
    op.row.add_rows[i] = add_rows[i];
    op.row.some_rows[i] = some_rows[i];
  }
}

}  // namespace detail
}  // namespace wengert
