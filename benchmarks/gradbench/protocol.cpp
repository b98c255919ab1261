#include "benchmarks/gradbench/protocol.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <vector>

namespace gradbench {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

template <class T>
void collect(const Json& nested, int axis, wengert::Shape& shape, std::vector<T>& elements) {
  if (!nested.is_array()) {
    elements.push_back(nested.get<T>());
    return;
  }
  const auto length = static_cast<std::int64_t>(nested.size());
  if (axis == shape.size()) shape.push_back(length);
  if (shape[axis] != length) throw std::runtime_error("an array in the input is not a box");
  for (const Json& entry : nested) collect(entry, axis + 1, shape, elements);
}

template <class T>
Tensor box(const Json& nested) {
  wengert::Shape shape;
  std::vector<T> elements;
  collect(nested, 0, shape, elements);
  return wengert::from_span<T>(elements, shape);
}

Json nested_from(const double*& next, const wengert::Shape& shape, int axis) {
  if (axis == shape.size()) return *next++;
  Json list = Json::array();
  for (std::int64_t i = 0; i < shape[axis]; ++i) list.push_back(nested_from(next, shape, axis + 1));
  return list;
}

void print_time(const char* name, std::int64_t nanoseconds) {
  std::cout << Json{{"name", name}, {"nanoseconds", nanoseconds}}.dump() << '\n';
}

void run(const Function& function, const Json& input) {
  const bool has_runs = input.is_object();
  const int min_runs = has_runs ? input.value("min_runs", 1) : 1;
  const double min_seconds = has_runs ? input.value("min_seconds", 0.0) : 0.0;

  const auto start = Clock::now();
  const Prepared prepared = function.prepare(input);
  const std::int64_t prepare_time = nanoseconds_since(start);

  std::vector<std::int64_t> times;
  Tensors results;
  for (std::int64_t total = 0; static_cast<int>(times.size()) < std::max(min_runs, 1) ||
                               static_cast<double>(total) < min_seconds * 1e9;) {
    results = {};  // the memory of the last run is there for the next one
    const auto begin = Clock::now();
    results = prepared.evaluate();
    times.push_back(nanoseconds_since(begin));
    total += times.back();
  }
  std::cout << prepared.answer(results).dump() << '\n';
  print_time("prepare", prepare_time);
  for (const std::int64_t time : times) print_time("evaluate", time);
}

}  // namespace

Tensor numbers(const Json& nested) { return box<double>(nested); }
Tensor integers(const Json& nested) { return box<std::int64_t>(nested); }

Json nested(const Tensor& x) {
  const Tensor elements = wengert::contiguous(x);
  const double* next = elements.span<double>().data();
  return nested_from(next, x.shape(), 0);
}

Prepared repeat(std::function<Tensors(const Tensors&)> f, const Tensors& inputs,
                std::function<Json(const Tensors&)> answer) {
  if (std::getenv("WENGERT_EAGER") != nullptr) return {[f, inputs] { return f(inputs); }, std::move(answer)};
  auto program = std::make_shared<decltype(wengert::capture(f))>(wengert::capture(f));
  (*program)(inputs);  // written down and optimised here
  (*program)(inputs);  // runs as it will from now on: its code is in the caches
  return {[program, inputs] { return (*program)(inputs); }, std::move(answer)};
}

int run(int argc, char** argv, const std::vector<Function>& functions) {
  try {
    if (argc != 3) {
      std::cerr << "usage: " << argv[0] << " FILE FUNCTION\n";
      return 1;
    }
    std::ifstream file(argv[1]);
    if (!file) throw std::runtime_error(std::string("cannot read ") + argv[1]);
    for (const Function& function : functions)
      if (function.name == argv[2]) {
        run(function, Json::parse(file));
        return 0;
      }
    std::cerr << argv[0] << ": no function " << argv[2] << '\n';
  } catch (const std::exception& e) {
    std::cerr << argv[0] << ": " << e.what() << '\n';
  }
  return 1;
}

int run(int argc, char** argv, const char* objective, const char* derivative,
        Prepared (*prepare)(const Json& input, bool derivative)) {
  return run(argc, argv,
             {{objective, [=](const Json& input) { return prepare(input, false); }},
              {derivative, [=](const Json& input) { return prepare(input, true); }}});
}

}  // namespace gradbench
