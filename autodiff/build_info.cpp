#include "autodiff/build_info.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <ostream>
#include <string_view>
#include <thread>

#include "autodiff/ops/families.hpp"

// Weak: the library links with any BLAS, and another one does not have these.
extern "C" {
__attribute__((weak)) char* openblas_get_config();
__attribute__((weak)) char* openblas_get_corename();
__attribute__((weak)) int openblas_get_num_threads();
}

namespace wengert {
namespace {

std::string compiler_name() {
#if defined(__clang__)
  return "clang " + std::to_string(__clang_major__) + '.' + std::to_string(__clang_minor__) + '.' +
         std::to_string(__clang_patchlevel__);
#elif defined(__GNUC__)
  return "g++ " + std::to_string(__GNUC__) + '.' + std::to_string(__GNUC_MINOR__) + '.' +
         std::to_string(__GNUC_PATCHLEVEL__);
#else
  return "unknown";
#endif
}

std::string build_kind() {
#if defined(__OPTIMIZE__)
  std::string kind = "optimised";
#else
  std::string kind = "not optimised";
#endif
#if defined(WENGERT_SANITIZED)
  kind += ", sanitizers";
#endif
  return kind;
}

std::string compiled_sets() {
#if defined(__x86_64__)
  std::string sets = "sse4.2";
#else
  std::string sets = "portable";
#endif
#if defined(WENGERT_HAVE_AVX2)
  sets += ", avx2";
#endif
#if defined(WENGERT_HAVE_AVX512)
  sets += ", avx512";
#endif
  return sets;
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

// Vector registers of a processor, and of the kernels that OpenBLAS has for one: 0 SSE, 1 AVX2, 2 AVX-512.
int processor_rank() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

int core_rank(std::string core) {
  for (char& c : core) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char* wide : {"skylakex", "cooperlake", "sapphirerapids"})
    if (core == wide) return 2;
  for (const char* medium : {"haswell", "zen", "excavator", "steamroller"})
    if (core == medium) return 1;
  return 0;
}

// "OpenBLAS 0.3.21 DYNAMIC_ARCH ..." -> "0.3.21".
std::string second_word(std::string_view text) {
  text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1);
  return std::string(text.substr(0, text.find(' ')));
}

std::string forced_core_warning(const std::string& core) {
  constexpr const char* names[] = {"SSE", "AVX2", "AVX-512"};
  const char* forced = std::getenv("OPENBLAS_CORETYPE");
  if (forced == nullptr || core.empty() || core_rank(core) >= processor_rank()) return {};
  return "OPENBLAS_CORETYPE=" + std::string(forced) + " makes OpenBLAS use its " + core +
         " kernels on a processor with " + names[processor_rank()] + "; unset it for faster matrix products";
}

std::string threads(int count) { return std::to_string(count) + (count == 1 ? " thread" : " threads"); }

}  // namespace

BuildInfo build_info() {
  BuildInfo info;
  info.version = WENGERT_VERSION;
  info.compiler = compiler_name();
  info.build = build_kind();
  info.processor = processor_name();
  info.hardware_threads = static_cast<int>(std::thread::hardware_concurrency());
  info.instruction_set = detail::instruction_set();
  info.instruction_sets = compiled_sets();
  info.blas = "unknown";
  if (openblas_get_config != nullptr) {
    info.blas = "OpenBLAS";
    info.blas_version = second_word(openblas_get_config());
  }
  if (openblas_get_corename != nullptr) info.blas_core = openblas_get_corename();
  if (openblas_get_num_threads != nullptr) info.blas_threads = openblas_get_num_threads();
  info.warning = forced_core_warning(info.blas_core);
  return info;
}

std::string to_string(const BuildInfo& info) {
  std::string text = "wengert " + info.version + " (" + info.compiler + ", " + info.build + ")\n";
  text += "processor:       " + info.processor;
  if (info.hardware_threads > 0) text += ", " + threads(info.hardware_threads);
  text += "\ninstruction set: " + info.instruction_set + " (of " + info.instruction_sets + ")\n";
  text += "BLAS:            " + info.blas;
  if (!info.blas_version.empty()) text += ' ' + info.blas_version;
  if (!info.blas_core.empty()) text += ", " + info.blas_core + " kernels";
  if (info.blas_threads > 0) text += ", " + threads(info.blas_threads);
  text += '\n';
  if (!info.warning.empty()) text += "warning: " + info.warning + '\n';
  return text;
}

std::ostream& operator<<(std::ostream& out, const BuildInfo& info) { return out << to_string(info); }

}  // namespace wengert
