#pragma once

#include <iosfwd>
#include <string>

namespace wengert {

/// What this library is and what it runs on: the first thing to look at when something is slow.
struct BuildInfo {
  std::string version;           ///< "0.1.0"
  std::string compiler;          ///< "g++ 12.2.0"
  std::string build;             ///< "optimised" or "not optimised", and ", sanitizers"
  std::string processor;         ///< the processor's own name; "unknown" where the system does not tell
  int hardware_threads = 0;      ///< 0 where the system does not tell
  std::string instruction_set;   ///< of the library's kernels: "avx512", "avx2", "sse4.2" or "portable"
  std::string instruction_sets;  ///< those that were compiled: "sse4.2, avx2, avx512"
  std::string blas;              ///< "OpenBLAS"; "unknown" for one that can't be asked
  std::string blas_version;      ///< "0.3.21", or empty
  std::string blas_core;         ///< the processor whose kernels BLAS has chosen: "SkylakeX"; or empty
  int blas_threads = 0;          ///< 0 where it can't be asked
  /// Empty, or why matrix products are slower than they could be: OPENBLAS_CORETYPE in the environment makes
  /// OpenBLAS use the kernels of an older processor, at up to half the speed.
  std::string warning;
};

/// Example: std::cout << build_info();
///
///     wengert 0.1.0 (g++ 12.2.0, optimised)
///     processor:       AMD EPYC 9R14, 2 threads
///     instruction set: avx512 (of sse4.2, avx2, avx512)
///     BLAS:            OpenBLAS 0.3.21, SkylakeX kernels, 2 threads
BuildInfo build_info();

std::string to_string(const BuildInfo& info);
std::ostream& operator<<(std::ostream& out, const BuildInfo& info);

}  // namespace wengert
