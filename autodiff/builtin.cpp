#include "autodiff/ops/families.hpp"

namespace wengert {

#define WENGERT_DECLARE(family) void family();
namespace ops {
#if defined(__x86_64__)
namespace sse {
WENGERT_OPERATOR_FAMILIES(WENGERT_DECLARE)
}
namespace baseline = sse;
#else
namespace portable {
WENGERT_OPERATOR_FAMILIES(WENGERT_DECLARE)
}
namespace baseline = portable;
#endif
#ifdef WENGERT_HAVE_AVX2
namespace avx2 {
WENGERT_OPERATOR_FAMILIES(WENGERT_DECLARE)
}
#endif
#ifdef WENGERT_HAVE_AVX512
namespace avx512 {
WENGERT_OPERATOR_FAMILIES(WENGERT_DECLARE)
}
#endif
}  // namespace ops
#undef WENGERT_DECLARE

namespace detail {
namespace {

// The best variant that was compiled and that this CPU runs.
const char* choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef WENGERT_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return "avx512";
#endif
#ifdef WENGERT_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
  return "sse4.2";
#else
  return "portable";
#endif
}

bool define_all() {
#define WENGERT_DEFINE(family) ops::baseline::family();
  WENGERT_OPERATOR_FAMILIES(WENGERT_DEFINE)
#undef WENGERT_DEFINE
#ifdef WENGERT_HAVE_AVX512
  if (instruction_set()[3] == '5') {
#define WENGERT_DEFINE(family) ops::avx512::family();
    WENGERT_OPERATOR_FAMILIES(WENGERT_DEFINE)
#undef WENGERT_DEFINE
  }
#endif
#ifdef WENGERT_HAVE_AVX2
  if (instruction_set()[3] == '2') {
#define WENGERT_DEFINE(family) ops::avx2::family();
    WENGERT_OPERATOR_FAMILIES(WENGERT_DEFINE)
#undef WENGERT_DEFINE
  }
#endif
  return true;
}

}  // namespace

const char* instruction_set() {
  static const char* const chosen = choose();
  return chosen;
}

bool define_builtin_operators() {
  static const bool done = define_all();
  return done;
}

}  // namespace detail
}  // namespace wengert
