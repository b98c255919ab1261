#include "benchmarks/common/harness.hpp"

#include <benchmark/benchmark.h>

#include <cstdio>

#include "benchmarks/common/machine.hpp"

namespace wengert::bench {
namespace {

// Google Benchmark calls a benchmark's function several times, to find the number of iterations and for each
// repetition; the data, the checked steps and the warm-up are needed once. Only the row that runs is kept.
class Runner {
 public:
  void run(const Row& row, benchmark::State& state) {
    if (name_ != row.name) {
      workload_.reset();
      workload_ = row.make();
      for (int i = 0; i < workload_->checked_steps(); ++i) workload_->step();
      result_ = workload_->result();
      name_ = row.name;
      reset_peak_rss();
    }
    workload_->reset();
    for (auto _ : state) workload_->step();
    state.counters["loss"] = result_.loss;
    state.counters["norm"] = result_.norm;
    state.counters["projection"] = result_.projection;
    state.counters["peak_rss_mb"] = peak_rss_mb();
    for (const auto& [name, value] : workload_->figures()) state.counters[name] = value;
  }

 private:
  std::string name_;
  std::unique_ptr<Workload> workload_;
  Result result_;
};

}  // namespace

int run_rows(int argc, char** argv, const std::string& competitor, const std::vector<Row>& rows) {
  if (const std::string complaint = environment_complaint(); !complaint.empty()) {
    std::fprintf(stderr, "%s: %s\n", argv[0], complaint.c_str());
    return 2;
  }
  benchmark::AddCustomContext("competitor", competitor);
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("instruction_set", cpu_instruction_set());
  benchmark::AddCustomContext("blas_core", blas_core());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  Runner runner;
  for (const auto& row : rows)
    benchmark::RegisterBenchmark(row.name.c_str(), [&](benchmark::State& state) {
      runner.run(row, state);
    })->Unit(benchmark::kMicrosecond);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace wengert::bench
