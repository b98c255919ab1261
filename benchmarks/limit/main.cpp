// The limit: closed-form programs for every row, static buffers, fused loops, the same BLAS. What an engine
// loses against these numbers is what the engine costs.
#include "benchmarks/limit/rows.hpp"

int main(int argc, char** argv) {
  using namespace wengert::bench;
  std::vector<Row> rows = elementwise_rows();
  for (auto more : {classifier_rows(), operator_rows()}) rows.insert(rows.end(), more.begin(), more.end());
  return run_rows(argc, argv, "limit", rows);
}
