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
  elseif(NOT name STREQUAL "mnist")
    wengert_example_test(${name})
  endif()
endforeach()

# The lecture notes' programs and their page, the shorter runs. They check claims about networks, with an engine that has
# its own tests under the sanitizers, where they would take minutes.
if(NOT WENGERT_SANITIZE)
  set(run_notes ${WENGERT_BASH} "${PROJECT_SOURCE_DIR}/scripts/notes" --quick
                --programs "${CMAKE_CURRENT_BINARY_DIR}/notes")
  add_test(NAME examples.notes COMMAND ${run_notes} --out "${CMAKE_CURRENT_BINARY_DIR}/notes/quick")
  wengert_test_properties(examples.notes)
  # wengert_mnist_test(name command...): with the real MNIST, where it is.
  function(wengert_mnist_test name)
    if(EXISTS "${WENGERT_DATA_DIR}/mnist/train-images-idx3-ubyte.gz")
      add_test(NAME examples.${name} COMMAND ${ARGN})
    else()
      add_test(NAME examples.${name} COMMAND ${WENGERT_BASH} -c
               "echo 'skipped: no mnist/train-images-idx3-ubyte.gz in WENGERT_DATA_DIR'; exit 77")
    endif()
    wengert_test_properties(examples.${name})
  endfunction()
  wengert_mnist_test(mnist example_mnist "${WENGERT_DATA_DIR}/mnist")
  wengert_mnist_test(notes_mnist example_s15_digits --quick --mnist "${WENGERT_DATA_DIR}/mnist"
                     --out "${CMAKE_CURRENT_BINARY_DIR}/notes/mnist")
endif()
