#pragma once

/// \file
/// GradBench's protocol for C++ programs (github.com/gradbench/gradbench, cpp/gradbench/main.hpp, says what
/// it is): PROGRAM FILE FUNCTION reads the input from a JSON file, prepares, evaluates at least min_runs
/// times and min_seconds long, and prints the answer and the times, one JSON value a line.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autodiff/autodiff.hpp"

namespace gradbench {

using Json = nlohmann::json;
using wengert::Tensor;
using wengert::Tensors;

/// A float64 tensor from nested arrays of numbers, which must be a box; int64 likewise.
Tensor numbers(const Json& nested);
Tensor integers(const Json& nested);
/// Nested arrays from a floating tensor; a number from one without dimensions.
Json nested(const Tensor& x);

/// What a function of an eval does once its input is read.
struct Prepared {
  std::function<Tensors()> evaluate;
  std::function<Json(const Tensors&)> answer;
};
struct Function {
  std::string name;
  std::function<Prepared(const Json& input)> prepare;
};

/// f at the same inputs again and again, captured in the preparation (with WENGERT_EAGER in the environment:
/// as it is); the first of its results, as nested arrays, is the answer unless one is given.
Prepared repeat(
    std::function<Tensors(const Tensors&)> f, const Tensors& inputs,
    std::function<Json(const Tensors&)> answer = [](const Tensors& results) { return nested(results[0]); });

/// The program's main function; its value is the exit status.
int run(int argc, char** argv, const std::vector<Function>& functions);
/// The same for an eval with an objective and its derivative, prepared by one function.
int run(int argc, char** argv, const char* objective, const char* derivative,
        Prepared (*prepare)(const Json& input, bool derivative));

}  // namespace gradbench
