// Starts a competitor's program for one row, in a clean environment and on cores of its own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace wengert::bench {

struct Competitor {
  std::string name;  ///< as in the CSV file
  std::filesystem::path program;
  std::map<std::string, std::string> environment;  ///< besides the common one
  std::vector<std::string> arguments;              ///< before Google Benchmark's options
  std::vector<std::string> rows;                   ///< what the program offers
  bool offers(const std::string& row) const;
};

struct Settings {
  std::vector<int> cores;  ///< the cores that all programs are pinned on, one a thread
  int repetitions = 7;     ///< batches a run
  double min_time = 0.05;  ///< seconds a batch
  bool cpu_time = false;   ///< the processor's time instead of the clock's, for machines that are not idle
};

/// One run of one row: the batches' times and what Google Benchmark's counters said.
struct Run {
  std::vector<double> batches_us;
  std::map<std::string, double> counters;
  double median_us() const;
};

/// Fills in the rows a program offers.
void list_rows(Competitor& competitor, const Settings& settings);

/// Runs a row once; throws std::runtime_error with the program's own message when that fails.
Run run_row(const Competitor& competitor, const std::string& row, const Settings& settings);

/// What a program says about the machine: cpu, instruction_set, blas_core.
std::map<std::string, std::string> describe_machine(const Competitor& competitor, const Settings& settings);

/// The last cores this process may run on; interrupts tend to arrive on the first. Throws std::runtime_error
/// when there are fewer.
std::vector<int> last_cores(int count);

}  // namespace wengert::bench
