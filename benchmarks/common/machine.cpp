#include "benchmarks/common/machine.hpp"

#include <cblas.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <string_view>

// Weak: another BLAS than OpenBLAS is possible, it just cannot say which kernels it chose.
extern "C" __attribute__((weak)) char* openblas_get_corename();

namespace wengert::bench {
namespace {

int instruction_set_rank(std::string_view name) { return name == "avx512" ? 2 : name == "avx2" ? 1 : 0; }

// OpenBLAS's x86-64 cores by the instruction set of their kernels.
int core_rank(std::string_view core) {
  constexpr std::array<std::string_view, 4> avx512{"SkylakeX", "Cooperlake", "Sapphirerapids", "Zen4"};
  constexpr std::array<std::string_view, 4> avx2{"Haswell", "Zen", "Excavator", "Steamroller"};
  for (auto name : avx512)
    if (core == name) return 2;
  for (auto name : avx2)
    if (core == name) return 1;
  return 0;
}

}  // namespace

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string cpu_instruction_set() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  return "sse";
#else
  return "portable";
#endif
}

std::string blas_core() { return openblas_get_corename ? openblas_get_corename() : "unknown"; }

std::string environment_complaint() {
#if defined(__x86_64__)
  const char* forced = std::getenv("OPENBLAS_CORETYPE");
  if (forced && openblas_get_corename && core_rank(blas_core()) < instruction_set_rank(cpu_instruction_set()))
    return "OPENBLAS_CORETYPE=" + std::string(forced) + " makes OpenBLAS run its " + blas_core() +
           " kernels on a processor with " + cpu_instruction_set() + "; unset OPENBLAS_CORETYPE";
#endif
  return {};
}

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

void reset_peak_rss() { std::ofstream("/proc/self/clear_refs") << "5"; }

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace wengert::bench
