// check PROGRAM CASES: runs an eval's program on every case of a file, [{"function", "input", "output"},
// ...], and compares its answers, entry by entry, with the outputs.

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Json = nlohmann::json;

/// Absolute below 1, relative above; the suite itself asks for 1e-4.
constexpr double tolerance = 1e-9;

/// Where the two differ, empty when nowhere.
std::string difference(const Json& got, const Json& expected, const std::string& place) {
  if (expected.is_number()) {
    if (!got.is_number()) return place + " is no number";
    const double a = got.get<double>(), b = expected.get<double>();
    if (std::abs(a - b) <= tolerance * std::max(1.0, std::abs(a) + std::abs(b))) return "";
    return place + " is " + got.dump() + ", expected " + expected.dump();
  }
  if (got.type() != expected.type() || got.size() != expected.size())
    return place + " is " + got.dump() + ", expected " + expected.dump();
  for (const auto& [key, value] : expected.items()) {
    const std::string inner = place + "[" + key + "]";
    if (expected.is_object() && !got.contains(key)) return inner + " is missing";
    const Json& other = expected.is_object() ? got.at(key) : got.at(std::stoul(key));
    if (const std::string text = difference(other, value, inner); !text.empty()) return text;
  }
  return "";
}

/// The lines that a command prints; throws when it fails.
std::vector<std::string> lines_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string text;
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, count);
  if (pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  std::vector<std::string> lines;
  for (std::size_t start = 0, end; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
    lines.push_back(text.substr(start, end - start));
  return lines;
}

/// One line with the answer, one of the preparation, one of each run.
void check_protocol(const std::vector<std::string>& lines, std::size_t runs) {
  if (lines.size() != 2 + runs) throw std::runtime_error("prints " + std::to_string(lines.size()) + " lines");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json line = Json::parse(lines[i]);
    if (line.at("name") != (i == 1 ? "prepare" : "evaluate") || line.at("nanoseconds").get<long>() < 0)
      throw std::runtime_error("prints " + lines[i]);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: check PROGRAM CASES");
  const std::string program = argv[1];
  std::ifstream file(argv[2]);
  if (!file) throw std::runtime_error(std::string("cannot read ") + argv[2]);
  const std::string input = (std::filesystem::temp_directory_path() / ("gradbench-XXXXXX")).string();
  std::string name = input;
  const int descriptor = mkstemp(name.data());
  if (descriptor < 0) throw std::runtime_error("cannot write to " + input);
  int cases = 0, failures = 0;
  for (const Json& one : Json::parse(file)) {
    Json data = one.at("input");
    std::size_t runs = 1;
    if (data.is_object()) {
      runs = data.value("min_runs", std::size_t{3});
      data["min_runs"] = runs;
    }
    std::ofstream(name) << data.dump();
    const std::string function = one.at("function").get<std::string>();
    std::string problem;
    try {
      const std::vector<std::string> lines = lines_of("'" + program + "' '" + name + "' " + function);
      check_protocol(lines, runs);
      problem = difference(Json::parse(lines[0]), one.at("output"), "the answer");
    } catch (const std::exception& e) {
      problem = e.what();
    }
    ++cases;
    if (problem.empty()) continue;
    ++failures;
    std::cout << function << ", case " << cases << ": " << problem << '\n';
  }
  std::filesystem::remove(name);
  std::cout << cases << " cases, " << failures << " wrong\n";
  return cases > 0 && failures == 0 ? 0 : 1;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
