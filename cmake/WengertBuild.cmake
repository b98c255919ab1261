# How our own targets are compiled: build type, warnings, sanitizers, ccache.

if(WENGERT_TOP_LEVEL)
  get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  if(NOT multi_config AND NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  find_program(WENGERT_CCACHE ccache)
  mark_as_advanced(WENGERT_CCACHE)
  if(WENGERT_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${WENGERT_CCACHE}")
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# Sanitizers change every object, the header-only ones included, so they apply to the whole folder.
if(WENGERT_SANITIZE)
  add_compile_options(-fsanitize=${WENGERT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${WENGERT_SANITIZE})
endif()

# wengert_own_target(target): C++20 without extensions, our warnings, as errors with WENGERT_WERROR.
function(wengert_own_target target)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  if(BUILD_SHARED_LIBS)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
  target_compile_options(${target} PRIVATE -Wall -Wextra $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>)
  if(WENGERT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  # The library needs at least one file, so that a checkout with an empty room still configures.
  get_target_property(type ${target} TYPE)
  get_target_property(sources ${target} SOURCES)
  if(type MATCHES "STATIC|SHARED" AND NOT sources)
    file(GENERATE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${target}_empty.cpp" CONTENT "")
    target_sources(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/${target}_empty.cpp")
  endif()
endfunction()
