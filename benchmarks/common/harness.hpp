// Runs a competitor's rows as Google Benchmarks. One repetition is one batch of the reported median.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wengert::bench {

/// What a row computed, for the comparison of competitors.
struct Result {
  double loss = 0;        ///< the loss, or the projection of the operator's output
  double norm = 0;        ///< of the gradients, or of the change of all parameters
  double projection = 0;  ///< the same on a fixed pattern
};

/// One row of the table as one competitor runs it.
class Workload {
 public:
  virtual ~Workload() = default;
  /// The unit that is timed: forward, backward and, where the row has one, the update.
  virtual void step() = 0;
  /// What the steps since the construction led to.
  virtual Result result() = 0;
  /// How many steps are taken before result() is asked for.
  virtual int checked_steps() const { return 1; }
  /// Back to the starting parameters, so that every batch does the same work.
  virtual void reset() {}
  /// Further figures for the report.
  virtual std::map<std::string, double> figures() { return {}; }
};

struct Row {
  std::string name;
  std::function<std::unique_ptr<Workload>()> make;
};

/// The main of every competitor: refuses an environment that spoils the comparison, then hands over to Google
/// Benchmark, whose options all work (--benchmark_filter=^W2$, --benchmark_repetitions=7,
/// --benchmark_format=json).
int run_rows(int argc, char** argv, const std::string& competitor, const std::vector<Row>& rows);

}  // namespace wengert::bench
