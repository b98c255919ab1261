#pragma once

/// \file
/// The families of built-in operators, one file each: the only list of them. The first one holds no operators
/// but what the others' elementwise operators run with.

#define WENGERT_OPERATOR_FAMILIES(FAMILY) \
  FAMILY(elementwise)                     \
  FAMILY(arithmetic)                      \
  FAMILY(math)                            \
  FAMILY(logic)                           \
  FAMILY(updates)                         \
  FAMILY(structure)                       \
  FAMILY(reduction)                       \
  FAMILY(statistics)                      \
  FAMILY(softmax)                         \
  FAMILY(softmax_parts)                   \
  FAMILY(linear)                          \
  FAMILY(reshaping)                       \
  FAMILY(joining)                         \
  FAMILY(slicing)                         \
  FAMILY(indexing)                        \
  FAMILY(along_axis)                      \
  FAMILY(places)                          \
  FAMILY(random)

namespace wengert::detail {
/// Defines all built-in operators, once, with the kernels of the instruction set that the CPU has.
bool define_builtin_operators();
/// "sse4.2", "avx2", "avx512" or "portable".
const char* instruction_set();
}  // namespace wengert::detail
