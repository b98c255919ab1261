#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "examples/common/claims.hpp"
#include "examples/common/picture.hpp"

namespace CLI {
class App;
}

namespace examples {

/// What every program of the notes has: the claim in one sentence and where it comes from, the options
/// --seed,
/// --quick and --out, checks with a verdict, pictures, and the exit status.
///
///     int body(int argc, char** argv) {
///       Note note("S7", "One hidden layer ...", "Feed-forward networks, \"Universal approximation
///       theorem\""); int units = 64; note.option("--units", units, "the widest network"); note.start(argc,
///       argv); note.at_most("largest error with 64 units", error, 1e-2); note.draw(picture); return
///       note.finish();
///     }
class Note : public Claims {
 public:
  Note(const std::string& id, const std::string& claim, const std::string& source);

  void option(const std::string& name, int& value, const std::string& text);
  void option(const std::string& name, double& value, const std::string& text);
  void option(const std::string& name, std::string& value, const std::string& text);
  void option(const std::string& name, std::vector<int>& value, const std::string& text);
  void option(const std::string& name, std::vector<double>& value, const std::string& text);
  /// Reads the options, seeds the generator and prints the claim. Ends the program for --help or a wrong
  /// option.
  void start(int argc, char** argv);

  std::uint64_t seed() const { return seed_; }
  /// A shorter run, for tests: smaller sizes and fewer steps, the same claims.
  bool quick() const { return quick_; }
  template <class T>
  T full_or_quick(T full, T quick) const {
    return quick_ ? quick : full;
  }
  const std::string& out() const { return out_; }

  /// Text under the picture: what was shortened, what to look at.
  void remark(const std::string& text) const;
  void draw(const Picture& picture) const;

 private:
  std::string id_;
  std::string claim_;
  std::string source_;
  std::shared_ptr<CLI::App> app_;  // its header takes seconds to compile
  std::uint64_t seed_ = 1;
  bool quick_ = false;
  std::string out_ = ".";
};

}  // namespace examples
