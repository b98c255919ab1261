# Every example is a test: its exit status tells whether its claims hold, and where expected/NAME.txt exists the
# output is compared with it (tests/scripts/compare_output tells how).
find_program(WENGERT_BASH bash REQUIRED)

# wengert_example_test(name arguments...)
function(wengert_example_test name)
  set(expected "${CMAKE_CURRENT_SOURCE_DIR}/expected/${name}.txt")
  set(command $<TARGET_FILE:example_${name}> ${ARGN})
  if(EXISTS "${expected}")
    set(command ${WENGERT_BASH} "${PROJECT_SOURCE_DIR}/tests/scripts/compare_output" "${expected}" ${command})
  endif()
  add_test(NAME examples.${name} COMMAND ${command})
  wengert_test_properties(examples.${name})
endfunction()

foreach(file IN LISTS examples)
  get_filename_component(name "${file}" NAME_WE)
  if(name STREQUAL "demo")
    wengert_example_test(demo --out "${CMAKE_CURRENT_BINARY_DIR}/demo_output")
  elseif(name STREQUAL "mnist")
    if(WENGERT_SANITIZE)
      continue()  # ten epochs of the whole set take minutes there
    elseif(EXISTS "${WENGERT_DATA_DIR}/mnist/train-images-idx3-ubyte.gz")
      wengert_example_test(mnist "${WENGERT_DATA_DIR}/mnist")
    else()
      add_test(NAME examples.mnist COMMAND ${WENGERT_BASH} -c
               "echo 'skipped: no mnist/train-images-idx3-ubyte.gz in WENGERT_DATA_DIR'; exit 77")
      wengert_test_properties(examples.mnist)
    endif()
  else()
    wengert_example_test(${name})
  endif()
endforeach()

# The lecture notes' programs: their shorter runs. They check claims about networks, with an engine that has its own
# tests under the sanitizers, where they would take minutes.
if(NOT WENGERT_SANITIZE)
  foreach(file IN LISTS notes)
    get_filename_component(name "${file}" NAME_WE)
    add_test(NAME examples.notes.${name}
             COMMAND example_${name} --quick --out "${CMAKE_CURRENT_BINARY_DIR}/notes/quick")
    wengert_test_properties(examples.notes.${name})
  endforeach()
endif()
