# Tests that are scripts: the dependency rule, symbols of the instruction sets, what must not compile,
# programs of users, scripts/setup. They concern the sources or the build, so sanitizer builds leave most out.
find_program(WENGERT_BASH bash REQUIRED)
set(scripts "${CMAKE_CURRENT_SOURCE_DIR}/scripts")

# wengert_script_test(name script arguments...)
function(wengert_script_test name)
  add_test(NAME scripts.${name} COMMAND ${WENGERT_BASH} ${ARGN} COMMAND_EXPAND_LISTS)
  wengert_test_properties(scripts.${name})
endfunction()

wengert_script_test(dependency_rule ${scripts}/dependency_rule ${PROJECT_SOURCE_DIR})
if(WENGERT_SANITIZE)
  return()
endif()
wengert_script_test(dependency_rule_self_test ${scripts}/dependency_rule_self_test)
wengert_script_test(compare_output_self_test ${scripts}/compare_output_self_test)
wengert_script_test(setup_elsewhere ${scripts}/setup_elsewhere ${PROJECT_SOURCE_DIR})
wengert_script_test(isa_symbols_self_test ${scripts}/isa_symbols_self_test ${CMAKE_CXX_COMPILER} ${CMAKE_NM})
wengert_script_test(must_not_compile_self_test ${scripts}/must_not_compile_self_test ${CMAKE_CXX_COMPILER})
foreach(isa IN LISTS WENGERT_EXTRA_ISAS)
  if(TARGET wengert_autodiff_${isa})
    wengert_script_test(isa_symbols_${isa} ${scripts}/isa_symbols ${CMAKE_NM} ${isa}
                        $<TARGET_OBJECTS:wengert_autodiff_${isa}>)
  endif()
endforeach()

add_executable(safetensors_files scripts/safetensors_files.cpp)
wengert_own_target(safetensors_files)
target_link_libraries(safetensors_files PRIVATE wengert::nn)
wengert_script_test(safetensors_python ${scripts}/safetensors_python $<TARGET_FILE:safetensors_files>)

file(GLOB must_not_compile CONFIGURE_DEPENDS compile_fail/*.cpp)
foreach(file IN LISTS must_not_compile)
  get_filename_component(name "${file}" NAME_WE)
  wengert_script_test(must_not_compile.${name} ${scripts}/must_not_compile ${file} ${CMAKE_CXX_COMPILER}
                      -std=c++20 -I${PROJECT_SOURCE_DIR})
endforeach()

if(EXISTS "${PROJECT_SOURCE_DIR}/nn/nn.hpp" AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT BUILD_SHARED_LIBS)
  # The same flags as here let ccache answer for the library's files.
  set(same -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER})
  foreach(how add_subdirectory find_package pkg-config)
    set(arguments ${same})
    if(how STREQUAL "add_subdirectory")
      list(APPEND arguments -DWENGERT_WERROR=${WENGERT_WERROR} -DWENGERT_DISPATCH=${WENGERT_DISPATCH})
    endif()
    wengert_script_test(consumer.${how} ${scripts}/consumer ${how} ${CMAKE_COMMAND} ${PROJECT_SOURCE_DIR}
                        ${PROJECT_BINARY_DIR} ${CMAKE_CXX_COMPILER} ${arguments})
    set_tests_properties(scripts.consumer.${how} PROPERTIES TIMEOUT 1200)
  endforeach()
endif()
