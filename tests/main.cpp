#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

// Tests compiled for one instruction set run only where the CPU has it; 77 tells ctest "skipped".
// This file itself is compiled for the baseline.
int main(int argc, char** argv) {
#if defined(WENGERT_TEST_NEEDS_AVX512)
  const bool able = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#elif defined(WENGERT_TEST_NEEDS_AVX2)
  const bool able = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  const bool able = true;
#endif
  if (!able) {
    std::puts("skipped: this CPU does not have the instruction set of these tests");
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
