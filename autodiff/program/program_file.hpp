#pragma once

#include <memory>
#include <vector>

#include "autodiff/graph/state.hpp"
#include "autodiff/program/program.hpp"

namespace wengert::detail {

/// A program of a captured function, with what else decides when it is used.
struct KeptProgram {
  bool recording = true;  ///< whether operators on variables were recorded when it was written down
  std::shared_ptr<program::Program> program;
};

}  // namespace wengert::detail

namespace wengert::program {

/// Writes programs with their constants and the values of their states, in the format of
/// docs/program-files.md. States get the names that `names` has for them, others "state.0", "state.1", ...
void write_programs(const std::string& path, const std::vector<detail::KeptProgram>& programs,
                    const std::vector<NamedStates>& names);

struct LoadedPrograms {
  std::vector<detail::KeptProgram> programs;
  NamedStates states;
};
/// Reads them. States with a name in `bind` are those, and get the values of the file when everything else
/// has been done; the others are new. Errors are FileError.
LoadedPrograms read_programs(const std::string& path, const std::vector<NamedStates>& bind);

}  // namespace wengert::program
