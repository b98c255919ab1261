#include "examples/notes/common/note.hpp"

#include <cstdlib>

#include "autodiff/tensor/random.hpp"

namespace examples {

Note::Note(const std::string& id, const std::string& claim, const std::string& source)
    : id_(id), claim_(claim), source_(source), app_(claim) {
  option("--seed", seed_, "of all random numbers");
  option("--out", out_, "folder for the pictures");
  app_.add_flag("--quick", quick_, "a shorter run");
}

void Note::start(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app_.exit(e));
  }
  wengert::random::seed(seed_);
  fmt::print("{}. {}\nsource    {}\n", id_, claim_, source_);
}

void Note::remark(const std::string& text) const { fmt::print("note      {}\n", text); }

void Note::draw(const Picture& picture) const { fmt::print("picture   {}\n", picture.write(out_)); }

}  // namespace examples
