# Kernels for several instruction sets in one library.
#
# autodiff/ops/*.cpp are compiled once per instruction set, each time with WENGERT_ISA set to a name (sse,
# avx2, avx512; portable off x86-64) that the kernels use as a namespace; autodiff/kernels/*.cpp once, with
# the baseline. The choice between them is made at start-up from the CPU. These files are optimised in every
# build type: without optimisation inline functions stay out of line as weak symbols, the linker keeps one of
# them for everybody, and an old CPU would meet instructions it does not have (tests/scripts/isa_symbols).

include(CheckCXXCompilerFlag)

string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" wengert_processor)
if(wengert_processor MATCHES "^(x86_64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(WENGERT_BASELINE_ISA sse)
  set(WENGERT_ISA_FLAGS_sse -msse4.2)
  set(WENGERT_ISA_FLAGS_avx2 -mavx2 -mfma)
  set(WENGERT_ISA_FLAGS_avx512 -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mfma)
  check_cxx_compiler_flag(-mprefer-vector-width=512 WENGERT_PREFER_WIDTH)
  if(WENGERT_PREFER_WIDTH)
    list(APPEND WENGERT_ISA_FLAGS_avx512 -mprefer-vector-width=512)
  endif()
else()
  set(WENGERT_BASELINE_ISA portable)
  set(WENGERT_ISA_FLAGS_portable "")
endif()

set(WENGERT_EXTRA_ISAS "")
if(WENGERT_DISPATCH AND WENGERT_BASELINE_ISA STREQUAL "sse")
  set(WENGERT_EXTRA_ISAS avx2 avx512)
endif()

# A sanitizer's checks in every lane make full optimisation take minutes a file, and with one instruction set
# nothing can leak into another.
if(WENGERT_SANITIZE AND NOT WENGERT_DISPATCH)
  set(WENGERT_KERNEL_FLAGS -O1)
else()
  set(WENGERT_KERNEL_FLAGS -O3)
endif()
list(APPEND WENGERT_KERNEL_FLAGS -fno-trapping-math -fno-math-errno)

# One object library for one instruction set.
function(wengert_isa_objects name isa)
  add_library(${name} OBJECT ${ARGN})
  wengert_own_target(${name})
  target_compile_options(${name} PRIVATE ${WENGERT_KERNEL_FLAGS} ${WENGERT_ISA_FLAGS_${isa}}
                                         $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi>)
  target_compile_definitions(${name} PRIVATE WENGERT_ISA=${isa})
  if(NOT isa STREQUAL WENGERT_BASELINE_ISA)
    target_compile_definitions(${name} PRIVATE WENGERT_VARIANT)
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE wengert_private)
  if(WENGERT_SANITIZE)
    target_compile_definitions(${name} PRIVATE WENGERT_SANITIZED)
  endif()
  foreach(extra IN LISTS WENGERT_EXTRA_ISAS)
    string(TOUPPER ${extra} upper)
    target_compile_definitions(${name} PRIVATE WENGERT_HAVE_${upper})
  endforeach()
endfunction()

# wengert_add_instruction_sets(target KERNELS files... OPERATORS files...): adds the objects to the library
# and tells its other files which variants exist (WENGERT_HAVE_AVX2, WENGERT_HAVE_AVX512).
function(wengert_add_instruction_sets target)
  cmake_parse_arguments(arg "" "" "KERNELS;OPERATORS" ${ARGN})
  if(arg_KERNELS OR arg_OPERATORS)
    wengert_isa_objects(${target}_${WENGERT_BASELINE_ISA} ${WENGERT_BASELINE_ISA} ${arg_KERNELS} ${arg_OPERATORS})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${WENGERT_BASELINE_ISA}>)
  endif()
  foreach(isa IN LISTS WENGERT_EXTRA_ISAS)
    string(TOUPPER ${isa} upper)
    target_compile_definitions(${target} PRIVATE WENGERT_HAVE_${upper})
    if(arg_OPERATORS)
      wengert_isa_objects(${target}_${isa} ${isa} ${arg_OPERATORS})
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${isa}>)
    endif()
  endforeach()
endfunction()
