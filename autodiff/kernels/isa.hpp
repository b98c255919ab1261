#pragma once

/// \file
/// The instruction set that this translation unit is compiled for, as the name of an inline namespace.
///
/// The library compiles its kernels several times and passes the name (WENGERT_ISA=sse, avx2, avx512 or
/// portable). A program that includes the kernel headers itself gets a name of its own made from its flags,
/// so that the linker never replaces a function of one instruction set by the same function of another.

#if !defined(WENGERT_ISA)
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define WENGERT_ISA user_avx512
#elif defined(__AVX512F__)
#define WENGERT_ISA user_avx512f
#elif defined(__AVX2__) && defined(__FMA__)
#define WENGERT_ISA user_avx2_fma
#elif defined(__AVX2__)
#define WENGERT_ISA user_avx2
#elif defined(__AVX__)
#define WENGERT_ISA user_avx
#elif defined(__SSE4_2__)
#define WENGERT_ISA user_sse4
#elif defined(__SSE2__)
#define WENGERT_ISA user_sse2
#else
#define WENGERT_ISA user_portable
#endif
#endif

#define WENGERT_STRINGIFY_(x) #x
#define WENGERT_STRINGIFY(x) WENGERT_STRINGIFY_(x)
/// The name as text, e.g. "avx2".
#define WENGERT_ISA_NAME WENGERT_STRINGIFY(WENGERT_ISA)

/// Small functions on values in registers: a call would cost more than the work, in debug builds too.
#define WENGERT_INLINE [[gnu::always_inline]] inline
