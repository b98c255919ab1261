#include "benchmarks/compare/run.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace wengert::bench {
namespace {

// Everything that changes how BLAS, OpenMP or malloc behave is dropped, whatever the caller's shell exports.
std::vector<std::string> clean_environment(const Competitor& competitor, const Settings& settings) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    bool drop = false;
    for (const char* prefix :
         {"OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "GOTO_", "BLIS_", "MALLOC_", "GLIBC_"})
      drop = drop || text.starts_with(prefix);
    if (!drop) result.push_back(text);
  }
  for (const char* name : {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"})
    result.push_back(fmt::format("{}={}", name, settings.cores.size()));
  for (const auto& [name, value] : competitor.environment) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::string read_all(std::FILE* file) {
  std::rewind(file);
  std::string text;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  return text;
}

// Standard output of the program; files instead of pipes, so that neither stream can block the other.
std::string output_of(const Competitor& competitor, std::vector<std::string> arguments,
                      const Settings& settings) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> out(std::tmpfile()), err(std::tmpfile());
  if (!out || !err) throw std::runtime_error("cannot create a temporary file");
  arguments.insert(arguments.begin(), competitor.arguments.begin(), competitor.arguments.end());
  arguments.insert(arguments.begin(), competitor.program.string());
  auto environment = clean_environment(competitor, settings);
  const auto argv = pointers(arguments), envp = pointers(environment);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot start a process");
  if (child == 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : settings.cores) CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
    dup2(fileno(out.get()), STDOUT_FILENO);
    dup2(fileno(err.get()), STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error(fmt::format(
        "{} failed ({} {}): {}", competitor.program.string(), WIFSIGNALED(status) ? "signal" : "status",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), read_all(err.get())));
  return read_all(out.get());
}

// Google Benchmark writes NaN and Infinity as such, which JSON does not know.
std::string without_nan(std::string text) {
  for (const char* word : {": -NaN", ": NaN", ": -Infinity", ": Infinity"})
    for (std::size_t at; (at = text.find(word)) != std::string::npos;)
      text.replace(at, std::char_traits<char>::length(word), ": null");
  return text;
}

nlohmann::json run_json(const Competitor& competitor, const std::string& row, const Settings& settings) {
  const std::string text = output_of(competitor,
                                     {"--benchmark_filter=^" + row + "$", "--benchmark_format=json",
                                      fmt::format("--benchmark_repetitions={}", settings.repetitions),
                                      fmt::format("--benchmark_min_time={}", settings.min_time)},
                                     settings);
  try {
    return nlohmann::json::parse(without_nan(text));
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error(fmt::format("{} printed no JSON for {}", competitor.program.string(), row));
  }
}

}  // namespace

bool Competitor::offers(const std::string& row) const {
  return std::find(rows.begin(), rows.end(), row) != rows.end();
}

double Run::median_us() const {
  std::vector<double> sorted = batches_us;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

void list_rows(Competitor& competitor, const Settings& settings) {
  std::istringstream lines(output_of(competitor, {"--benchmark_list_tests=true"}, settings));
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) competitor.rows.push_back(line);
}

Run run_row(const Competitor& competitor, const std::string& row, const Settings& settings) {
  const nlohmann::json json = run_json(competitor, row, settings);
  Run run;
  for (const auto& entry : json.at("benchmarks")) {
    if (entry.at("run_type") != "iteration") continue;
    if (entry.value("error_occurred", false))
      throw std::runtime_error(row + ": " + entry.value("error_message", std::string("failed")));
    run.batches_us.push_back(entry.at(settings.cpu_time ? "cpu_time" : "real_time").get<double>());
    for (const auto& [name, value] : entry.items())
      if (value.is_number()) run.counters[name] = value.get<double>();
  }
  if (run.batches_us.empty()) throw std::runtime_error(competitor.program.string() + " knows no row " + row);
  return run;
}

std::map<std::string, std::string> describe_machine(const Competitor& competitor, const Settings& settings) {
  Settings quick = settings;
  quick.repetitions = 1;
  quick.min_time = 0.001;
  std::map<std::string, std::string> facts;
  const nlohmann::json json = run_json(competitor, competitor.rows.at(0), quick);
  for (const auto& [name, value] : json.at("context").items())
    if (value.is_string()) facts[name] = value.get<std::string>();
  return facts;
}

std::vector<int> last_cores(int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cores;
  for (int i = CPU_SETSIZE; i-- > 0 && static_cast<int>(cores.size()) < count;)
    if (CPU_ISSET(i, &set)) cores.insert(cores.begin(), i);
  if (static_cast<int>(cores.size()) < count)
    throw std::runtime_error(fmt::format("{} threads, but only {} cores", count, cores.size()));
  return cores;
}

}  // namespace wengert::bench
