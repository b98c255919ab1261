#include "examples/notes/common/note.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "autodiff/tensor/random.hpp"

namespace examples {

Note::Note(const std::string& id, const std::string& claim, const std::string& source)
    : id_(id), claim_(claim), source_(source), app_(std::make_shared<CLI::App>(claim)) {
  app_->add_option("--seed", seed_, "of all random numbers")->capture_default_str();
  app_->add_option("--out", out_, "folder for the pictures")->capture_default_str();
  app_->add_flag("--quick", quick_, "a shorter run");
}

void Note::option(const std::string& name, int& value, const std::string& text) {
  app_->add_option(name, value, text)->capture_default_str();
}
void Note::option(const std::string& name, double& value, const std::string& text) {
  app_->add_option(name, value, text)->capture_default_str();
}
void Note::option(const std::string& name, std::string& value, const std::string& text) {
  app_->add_option(name, value, text)->capture_default_str();
}
void Note::option(const std::string& name, std::vector<int>& value, const std::string& text) {
  app_->add_option(name, value, text)->capture_default_str();
}
void Note::option(const std::string& name, std::vector<double>& value, const std::string& text) {
  app_->add_option(name, value, text)->capture_default_str();
}

void Note::start(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app_->exit(e));
  }
  std::filesystem::create_directories(out_);
  wengert::random::seed(seed_);
  fmt::print("{}. {}\nsource    {}\n", id_, claim_, source_);
}

void Note::remark(const std::string& text) const { fmt::print("note      {}\n", text); }

void Note::draw(const Picture& picture) const { fmt::print("picture   {}\n", picture.write(out_)); }

}  // namespace examples
