#include "autodiff/program/loaded_program.hpp"

#include "autodiff/program/program_file.hpp"

namespace wengert {

LoadedProgram::LoadedProgram(std::vector<detail::KeptProgram> programs, NamedStates states)
    : core_(std::move(programs)), states_(std::move(states)) {}

Tensors LoadedProgram::operator()(const Tensors& arguments) const {
  Tensors results;
  core_.call(nullptr, nullptr, arguments.begin(), arguments.size(), results);
  return results;
}

const State& LoadedProgram::state(const std::string& name, SourceLocation where) const {
  std::string known;
  for (const NamedState& s : states_) {
    if (s.name == name) return s.state;
    known += (known.empty() ? "" : ", ") + s.name;
  }
  throw ValueError("LoadedProgram::state", "there is no state " + name + " among " + known, where);
}

namespace {

void refuse_while_tracing(const char* function) {
  if (detail::recording.tracer != nullptr)
    throw GraphError(function, "called while a function is captured: values are not there yet");
}

}  // namespace

void detail::save_program(const CaptureCore& core, const std::string& path,
                          const std::vector<NamedStates>& names) {
  refuse_while_tracing("save_program");
  std::vector<KeptProgram> programs = core.kept();
  std::erase_if(programs, [](const KeptProgram& p) { return !p.program->fits(); });
  if (programs.empty()) throw GraphError("save_program", "nothing has been captured yet: call it first");
  for (KeptProgram& p : programs)
    if (p.program->assumes()) p.program = p.program->without_assumptions();
  program::write_programs(path, programs, names);
}

LoadedProgram load_program(const std::string& path, const std::vector<NamedStates>& bind) {
  refuse_while_tracing("load_program");
  program::LoadedPrograms loaded = program::read_programs(path, bind);
  return LoadedProgram(std::move(loaded.programs), std::move(loaded.states));
}

}  // namespace wengert
