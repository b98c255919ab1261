#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "autodiff/autodiff.hpp"

using namespace wengert;

namespace {

// What this program prints about itself in another environment: OpenBLAS reads it before main().
std::string printed_with(const std::string& environment) {
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return {};
  const std::string command = "env -u OPENBLAS_CORETYPE " + environment + " '" + std::string(self, length) +
                              "' --no-skip --no-version=true --test-case='prints its build information'";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string text;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  return ::pclose(pipe) == 0 ? text : std::string();
}

}  // namespace

TEST_CASE("prints its build information" * doctest::skip()) { std::cout << build_info() << std::flush; }

TEST_CASE("the library tells its version, compiler, instruction set and BLAS") {
  const BuildInfo info = build_info();
  CHECK(info.version == WENGERT_VERSION);
#if defined(__clang__)
  CHECK(info.compiler.starts_with("clang " + std::to_string(__clang_major__) + "."));
#else
  CHECK(info.compiler.starts_with("g++ " + std::to_string(__GNUC__) + "."));
#endif
  CHECK(info.build.find("optimised") != std::string::npos);
  CHECK(!info.processor.empty());
  CHECK(info.hardware_threads >= 1);
  CHECK(info.instruction_sets.find(info.instruction_set) != std::string::npos);
#if defined(__x86_64__)
  CHECK(info.instruction_sets.starts_with("sse4.2"));
#endif
#if defined(WENGERT_HAVE_AVX512)
  CHECK(info.instruction_sets == "sse4.2, avx2, avx512");
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    CHECK(info.instruction_set == "avx512");
#endif
  if (info.blas == "OpenBLAS") {
    CHECK(std::count(info.blas_version.begin(), info.blas_version.end(), '.') >= 1);
    CHECK(std::all_of(info.blas_version.begin(), info.blas_version.begin() + 1,
                      [](char c) { return '0' <= c && c <= '9'; }));
    CHECK(!info.blas_core.empty());
    CHECK(info.blas_threads >= 1);
  } else {
    CHECK(info.blas == "unknown");
    CHECK(info.warning.empty());
  }
}

TEST_CASE("build information is printed one fact a line") {
  BuildInfo info;
  info.version = "1.2.3";
  info.compiler = "g++ 12.2.0";
  info.build = "optimised";
  info.processor = "Some CPU";
  info.hardware_threads = 2;
  info.instruction_set = "avx2";
  info.instruction_sets = "sse4.2, avx2, avx512";
  info.blas = "OpenBLAS";
  info.blas_version = "0.3.21";
  info.blas_core = "Haswell";
  info.blas_threads = 1;
  CHECK(to_string(info) ==
        "wengert 1.2.3 (g++ 12.2.0, optimised)\n"
        "processor:       Some CPU, 2 threads\n"
        "instruction set: avx2 (of sse4.2, avx2, avx512)\n"
        "BLAS:            OpenBLAS 0.3.21, Haswell kernels, 1 thread\n");
  info.blas = "unknown";
  info.blas_version = info.blas_core = "";
  info.blas_threads = info.hardware_threads = 0;
  info.warning = "slow";
  std::ostringstream out;
  out << info;
  CHECK(out.str() ==
        "wengert 1.2.3 (g++ 12.2.0, optimised)\n"
        "processor:       Some CPU\n"
        "instruction set: avx2 (of sse4.2, avx2, avx512)\n"
        "BLAS:            unknown\n"
        "warning: slow\n");
}

TEST_CASE("an environment that makes OpenBLAS slow is warned of") {
#if defined(__x86_64__)
  if (build_info().blas == "OpenBLAS" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    const std::string plain = printed_with("");
    CHECK(plain.find("BLAS:            OpenBLAS ") != std::string::npos);
    CHECK(plain.find("warning") == std::string::npos);
    const std::string forced = printed_with("OPENBLAS_CORETYPE=Nehalem");
    if (forced.find("Nehalem kernels, ") == std::string::npos) {
      MESSAGE("skipped: this OpenBLAS does not choose its kernels when it starts");
      return;
    }
    CHECK(forced.find(
              "warning: OPENBLAS_CORETYPE=Nehalem makes OpenBLAS use its Nehalem kernels on a processor "
              "with AVX") != std::string::npos);
    return;
  }
#endif
  MESSAGE("skipped: no OpenBLAS, or no processor that could be slowed down");
}
