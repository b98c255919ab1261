#pragma once

/// \file
/// Programs in files: a captured function leaves the process that recorded it. docs/program-files.md has the
/// format.

#include <string>
#include <vector>

#include "autodiff/graph/state.hpp"
#include "autodiff/program/capture.hpp"

namespace wengert {

/// A function of tensors that was read from a file. It computes what the captured function computed, with the
/// same bits, and updates its states. See load_program().
class LoadedProgram {
 public:
  /// The results in the order in which the function returned them. Throws ValueError, with the types that
  /// there are programs for, when the arguments have others.
  Tensors operator()(const Tensors& arguments) const;
  template <class... Arguments>
  requires(std::is_convertible_v<const Arguments&, const Tensor&>&&...) Tensors operator()(
      const Arguments&... arguments) const {
    return (*this)(Tensors{static_cast<const Tensor&>(arguments)...});
  }

  /// What it reads and updates, by name, in the order of the file.
  const NamedStates& states() const { return states_; }
  /// The state of that name. Throws ValueError when there is none.
  /// Example: Tensor w = program.state("0.weight").value();
  const State& state(const std::string& name, SourceLocation where = SourceLocation::current()) const;

  /// As of a captured function, of the program that was called last.
  ProgramListing graph() const { return core_.listing(); }
  ProgramStatistics statistics() const { return core_.statistics(); }
  std::string report() const { return core_.report(); }
  const detail::CaptureCore& core() const { return core_; }

 private:
  friend LoadedProgram load_program(const std::string& path, const std::vector<NamedStates>& bind);
  LoadedProgram(std::vector<detail::KeptProgram> programs, NamedStates states);

  mutable detail::CaptureCore core_;
  NamedStates states_;
};

namespace detail {
void save_program(const CaptureCore& core, const std::string& path, const std::vector<NamedStates>& names);
}

/// Saves all programs that are kept of a captured function, one for each signature that it was called with:
/// their instructions, constants, and the values that their states have now. States get the names given here
/// (those that the function does not use don't matter), the others "state.0", "state.1", ... A program that
/// was loaded is saved again in the same way. The file is replaced as a whole or not at all. Not to be called
/// while another thread runs the function.
///
/// Throws GraphError when nothing has been captured yet, ValueError when two states have one name, FileError
/// when the file can't be written.
///
///     save_program(step, "step.wengert", {net.named_states(), adam.named_states()});
template <class F>
void save_program(const Captured<F>& captured, const std::string& path,
                  const std::vector<NamedStates>& names = {}) {
  detail::save_program(captured.core(), path, names);
}
inline void save_program(const LoadedProgram& program, const std::string& path) {
  detail::save_program(program.core(), path, {program.states()});
}

/// Reads what save_program() wrote: the function, without the code that it was recorded from. Each of its
/// states is a new one with the saved value, or the one in `bind` that has its name, which gets the saved
/// value: so a network goes on where it was. Operators of one's own must have been defined under the same
/// names. Random operators draw from the generator of this process (random::seed, random::set_state); its
/// state is not part of the file. Results have no history, and gradients() through them is an error, since
/// derivatives are part of what was recorded. Within a captured function a call is written down with it.
///
/// The file is verified before anything else happens: an operator that is not defined, another version of the
/// format, damaged or truncated contents, types that don't fit are a FileError with the file's name, and
/// nothing has changed. What it says is trusted otherwise: as code, take it from those whom you trust.
///
///     LoadedProgram step = load_program("step.wengert");
///     Tensor loss = step(x, y)[0];                                      // trains on
///     LoadedProgram same = load_program("step.wengert", {net.named_states()});   // and `net` with it
LoadedProgram load_program(const std::string& path, const std::vector<NamedStates>& bind = {});

}  // namespace wengert
