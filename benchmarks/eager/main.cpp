#include <string_view>

#include "benchmarks/common/data.hpp"
#include "benchmarks/eager/rows.hpp"

namespace wengert::bench {

const bool replayed = std::string_view(WENGERT_BENCH_COMPETITOR) == "replay";

Result compare(const Tensor& output, const Tensors& gradients) {
  Checksum y, g;
  y.add(output.to_vector<float>());
  for (const Tensor& gradient : gradients) g.add(gradient.to_vector<float>());
  return {output.size() == 1 ? output.item<double>() : y.projection(), g.norm(), g.projection()};
}

}  // namespace wengert::bench

int main(int argc, char** argv) {
  using namespace wengert::bench;
  std::vector<Row> rows = training_rows();
  for (auto more : {elementwise_rows(), operator_rows()}) rows.insert(rows.end(), more.begin(), more.end());
  return run_rows(argc, argv, WENGERT_BENCH_COMPETITOR, rows);
}
