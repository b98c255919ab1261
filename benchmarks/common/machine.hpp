// What the figures were measured on.
#pragma once

#include <string>

namespace wengert::bench {

/// The processor's name, e.g. from /proc/cpuinfo.
std::string cpu_name();

/// The widest of sse, avx2, avx512 that the processor has.
std::string cpu_instruction_set();

/// The kernels that OpenBLAS has chosen (Haswell, SkylakeX, ...).
std::string blas_core();

/// Empty, or why a comparison here would be worthless: the environment makes OpenBLAS use kernels of an older
/// processor, which halves its speed for everybody and hides what is being compared.
std::string environment_complaint();

/// The largest resident set of this process, in MB (10^6 bytes), since the start or the last reset.
double peak_rss_mb();

/// Forgets the peak so far, so that the next one is that of the steps and not of the data's generation. Does
/// nothing where the kernel has no such switch.
void reset_peak_rss();

/// The resident set of this process now, in bytes.
double resident_bytes();

}  // namespace wengert::bench
