// compare [--csv FILE] [WORKLOAD ...]: runs the competitors in turns on cores of their own and prints
// one table.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "benchmarks/compare/report.hpp"
#include "benchmarks/compare/run.hpp"

namespace {

using namespace wengert::bench;

std::vector<Competitor> find_competitors(const std::filesystem::path& folder, const std::string& python,
                                         const Settings& settings) {
  // With these, glibc keeps freed memory instead of giving it back to the system after every step: the fairer
  // figure for a library that allocates its results anew.
  std::map<std::string, std::string> kept{{"MALLOC_MMAP_THRESHOLD_", "2000000000"},
                                          {"MALLOC_TRIM_THRESHOLD_", "8000000000"},
                                          {"MALLOC_TOP_PAD_", "268435456"}};
  // Its OpenMP threads spin for work beside those of OpenBLAS, unless they are told not to.
  if (settings.cores.size() > 1) kept["OMP_WAIT_POLICY"] = "PASSIVE";
  std::vector<Competitor> all{{"limit", folder / "bench_limit", {}, {}, {}},
                              {"eager", folder / "bench_eager", {}, {}, {}},
                              {"replay", folder / "bench_replay", {}, {}, {}},
                              {"libtorch", folder / "bench_libtorch", {}, {}, {}},
                              {"libtorch_kept", folder / "bench_libtorch", kept, {}, {}}};
  std::erase_if(all, [](const Competitor& c) { return !std::filesystem::exists(c.program); });
  for (auto& competitor : all) list_rows(competitor, settings);
  if (python.empty()) return all;
  for (const char* name : {"pytorch", "torch_compile", "jax"}) {
    Competitor competitor{name, python, {}, {WENGERT_BENCH_PYTHON_ROWS, name}, {}};
    try {
      list_rows(competitor, settings);
      all.push_back(competitor);
    } catch (const std::exception& error) {
      const std::string text = error.what();  // the last line of Python's message says what is missing
      const std::size_t end = text.find_last_not_of('\n') + 1, line = text.rfind('\n', end - 1) + 1;
      fmt::print("note: no {} competitor: {}\n", name, text.substr(line, end - line));
    }
  }
  return all;
}

// "W3" asks for W3a and W3b, "W9" for all of its rows, "W6/64" for that one.
bool asked_for(const std::string& row, const std::vector<std::string>& wanted) {
  if (row.starts_with("sgemm/")) return false;
  for (const auto& name : wanted)
    if (row == name || (row.starts_with(name) && !std::isdigit(static_cast<unsigned char>(row[name.size()]))))
      return true;
  return wanted.empty();
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app(
      "Runs the benchmark programs in turns on cores of their own, in a clean environment, and prints one "
      "table.");
  std::string csv_file, python;
  std::vector<std::string> wanted;
  std::vector<std::string> only;
  Settings settings;
  int threads = 1, rounds = 3;
  bool check = false;
  app.add_option("--csv", csv_file, "Write the figures to this file as well");
  app.add_option("--rounds", rounds, "Runs of each competitor; the lowest median counts")
      ->capture_default_str();
  app.add_option("--batches", settings.repetitions, "Batches a run, whose median is taken")
      ->capture_default_str();
  app.add_option("--seconds", settings.min_time, "Shortest time of a batch")->capture_default_str();
  app.add_flag("--cpu-time", settings.cpu_time,
               "Processor time instead of the clock's: for a machine that is not idle");
  app.add_flag("--check", check, "Only check that all results agree: one short run each, no table");
  app.add_option("--threads", threads, "Threads of every competitor, each with a core")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--core", settings.cores, "The cores to run on, one a thread; the last ones without any");
  app.add_option("--python", python,
                 "This interpreter runs PyTorch and JAX as well, those of them that it has")
      ->check(CLI::ExistingFile);
  app.add_option("--only", only, "Only these competitors, e.g. --only limit --only eager");
  app.add_option("workload", wanted, "Rows to run, e.g. W2 W9 W6/64; all without any");
  CLI11_PARSE(app, argc, argv);
  if (settings.cores.empty()) settings.cores = last_cores(threads);
  if (app.count("--threads") == 0) threads = static_cast<int>(settings.cores.size());
  if (static_cast<int>(settings.cores.size()) != threads)
    throw std::runtime_error(fmt::format("{} threads need as many cores", threads));
  if (settings.cpu_time && threads > 1)
    throw std::runtime_error("--cpu-time counts one thread's time: it goes with one thread only");
  if (check) {
    rounds = settings.repetitions = 1;
    settings.min_time = 1e-6;
  }

  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::vector<Competitor> competitors = find_competitors(folder, python, settings);
  if (!only.empty())
    std::erase_if(competitors, [&](const Competitor& c) {
      return std::find(only.begin(), only.end(), c.name) == only.end();
    });
  if (competitors.empty()) throw std::runtime_error("no benchmark programs in " + folder.string());

  std::vector<std::string> rows;
  for (const auto& competitor : competitors)
    for (const auto& row : competitor.rows)
      if (asked_for(row, wanted) && std::find(rows.begin(), rows.end(), row) == rows.end())
        rows.push_back(row);
  std::sort(rows.begin(), rows.end());
  if (rows.empty()) throw std::runtime_error("no row of that name");

  auto facts = describe_machine(competitors.front(), settings);
  const std::string heading = fmt::format(
      "{:%Y-%m-%d %H:%M} UTC, {}, {}, BLAS core {}, {} on core{} {}, lowest of {} medians of {} "
      "batches\n",
      fmt::gmtime(std::time(nullptr)), facts["cpu"], facts["instruction_set"], facts["blas_core"],
      threads == 1 ? "one thread" : fmt::format("{} threads", threads), threads == 1 ? "" : "s",
      fmt::join(settings.cores, ", "), rounds, settings.repetitions);
  fmt::print("{}", heading);
  std::fflush(stdout);
  if (facts["instruction_set"] == "avx512" && facts["blas_core"] == "Haswell")
    fmt::print("note: this OpenBLAS does not use AVX-512 on this processor; everybody is slower for it\n");
  for (const char* name : {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"})
    if (std::getenv(name)) fmt::print("note: {} is set in the shell; the programs run without it\n", name);
  if (!std::filesystem::exists(folder / "bench_libtorch"))
    fmt::print("note: no libtorch competitor (scripts/setup --bench installs libtorch-dev)\n");

  Figures figures;
  std::vector<std::string> problems;
  const bool terminal = isatty(STDERR_FILENO);
  for (const auto& row : rows) {
    std::vector<std::string> measured{row};
    if (row == "W4" && !check)
      measured.insert(measured.end(), {"sgemm/2048x2048x2048", "sgemm/256x2048x2048"});
    for (int round = 0; round < rounds; ++round)
      for (const auto& name : measured)
        for (std::size_t i = 0; i < competitors.size(); ++i) {
          // every round starts with another competitor, so that none always runs on a machine that has just
          // rested
          const Competitor& competitor =
              competitors[(i + static_cast<std::size_t>(round)) % competitors.size()];
          if (!competitor.offers(name)) continue;
          if (terminal)
            fmt::print(stderr, "\r\033[K{} round {}/{} {}", name, round + 1, rounds, competitor.name);
          figures[name][competitor.name].runs.push_back(run_row(competitor, name, settings));
        }
    const auto limit = figures[row].find("limit");
    if (limit == figures[row].end()) continue;
    for (const auto& [name, figure] : figures[row])
      if (const std::string text = disagreement(limit->second, figure); !text.empty())
        problems.push_back(fmt::format("{} {} disagrees with the limit:{}", row, name, text));
  }
  if (terminal) fmt::print(stderr, "\r\033[K");
  if (!check) fmt::print("\n{}\n{}", table(figures, rows, competitors), notes(figures, competitors));
  if (!csv_file.empty()) {
    std::ofstream file(csv_file);
    file << csv(figures, rows, competitors, threads);
    if (!file.flush()) throw std::runtime_error("cannot write " + csv_file);
    fmt::print("figures written to {}\n", csv_file);
  }
  for (const auto& problem : problems) fmt::print(stderr, "{}\n", problem);
  if (problems.empty()) fmt::print("all competitors computed the same results\n");
  return problems.empty() ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "compare: {}\n", error.what());
  return 2;
}
