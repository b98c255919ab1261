#include "autodiff/tensor/error.hpp"

namespace wengert {

std::string to_string(const SourceLocation& where) {
  std::string_view file = where.file;
  if (auto slash = file.find_last_of('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
  return std::string(file) + ":" + std::to_string(where.line);
}

namespace {

std::string message(std::string_view operation, std::string_view problem, const SourceLocation& where) {
  std::string text(operation);
  text += ": ";
  text += problem;
  if (where.line != 0) text += " (" + to_string(where) + ")";
  return text;
}

}  // namespace

Error::Error(std::string_view operation, std::string_view problem, SourceLocation where)
    : std::runtime_error(message(operation, problem, where)), operation_(operation), where_(where) {}

}  // namespace wengert
