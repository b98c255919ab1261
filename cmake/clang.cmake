# Toolchain of the preset "clang": clang 14 where it has a name of its own, else the default clang.
find_program(WENGERT_CLANGXX NAMES clang++-14 clang++ REQUIRED)
set(CMAKE_CXX_COMPILER "${WENGERT_CLANGXX}")
