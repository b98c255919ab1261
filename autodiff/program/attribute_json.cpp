#include "autodiff/program/attribute_json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace wengert::program {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& problem) { throw std::invalid_argument(problem); }

class Writer final : public AttributeVisitor {
 public:
  Json json = Json::object();

  void member(const char* name, bool& value) override { json[name] = value; }
  void member(const char* name, std::int64_t& value) override { json[name] = value; }
  void member(const char* name, double& value) override {
    // JSON has no infinities.
    if (std::isfinite(value))
      json[name] = value;
    else
      json[name] = fmt::format("{}", value);
  }
  void member(const char* name, DType& value) override { json[name] = std::string(wengert::name(value)); }
  void member(const char* name, Shape& value) override { json[name] = shape_to_json(value); }
  void member(const char* name, AxisSet& value) override {
    Json axes = Json::array();
    for (int axis = 0; axis < max_ndim; ++axis)
      if (value.contains(axis)) axes.push_back(axis);
    json[name] = std::move(axes);
  }
};

class Reader final : public AttributeVisitor {
 public:
  explicit Reader(const Json& json) : json_(json) {}
  std::size_t members = 0;

  void member(const char* name, bool& value) override {
    const Json& json = at(name);
    if (!json.is_boolean()) fail(fmt::format("attribute {} must be true or false", name));
    value = json.get<bool>();
  }
  void member(const char* name, std::int64_t& value) override {
    const Json& json = at(name);
    if (!json.is_number_integer()) fail(fmt::format("attribute {} must be a whole number", name));
    value = json.get<std::int64_t>();
  }
  void member(const char* name, double& value) override {
    const Json& json = at(name);
    if (json.is_number())
      value = json.get<double>();
    else if (json == "inf" || json == "-inf")
      value = (json == "inf" ? 1 : -1) * std::numeric_limits<double>::infinity();
    else if (json == "nan" || json == "-nan")
      value = std::numeric_limits<double>::quiet_NaN();
    else
      fail(fmt::format("attribute {} must be a number", name));
  }
  void member(const char* name, DType& value) override { value = dtype_from_json(at(name)); }
  void member(const char* name, Shape& value) override { value = shape_from_json(at(name)); }
  void member(const char* name, AxisSet& value) override {
    value = {};
    for (const std::int64_t axis : shape_from_json(at(name))) {
      if (axis < 0 || axis >= max_ndim) fail(fmt::format("attribute {} has an axis {}", name, axis));
      value.add(static_cast<int>(axis));
    }
  }

 private:
  const Json& at(const char* name) {
    const auto found = json_.find(name);
    if (found == json_.end()) fail(fmt::format("attribute {} is missing", name));
    ++members;
    return *found;
  }

  const Json& json_;
};

}  // namespace

Json attributes_to_json(const AttributeType& type, const void* attributes) {
  Writer writer;
  type.visit(const_cast<void*>(attributes), writer);  // a writer changes nothing
  return std::move(writer.json);
}

void attributes_from_json(const AttributeType& type, const Json& json, void* attributes) {
  if (!json.is_object()) fail("the attributes must be an object");
  Reader reader(json);
  type.visit(attributes, reader);
  if (json.size() != reader.members) fail("there are attributes that the operator does not have");
}

Json shape_to_json(const Shape& shape) {
  Json json = Json::array();
  for (const std::int64_t n : shape) json.push_back(n);
  return json;
}

Shape shape_from_json(const Json& json) {
  if (!json.is_array() || json.size() > static_cast<std::size_t>(max_ndim))
    fail(fmt::format("expected a list of at most {} whole numbers", max_ndim));
  Shape shape;
  std::int64_t bytes = 8;  // shape rules multiply lengths
  for (const Json& json_length : json) {
    if (!json_length.is_number_integer()) fail("expected a list of whole numbers");
    const auto n = json_length.get<std::int64_t>();
    if (n != 0 && (n == INT64_MIN || __builtin_mul_overflow(bytes, n < 0 ? -n : n, &bytes)))
      fail("the numbers " + json.dump() + " are impossible");
    shape.push_back(n);
  }
  return shape;
}

DType dtype_from_json(const Json& json) {
  for (const DType dtype : {DType::bool_, DType::int64, DType::float32, DType::float64})
    if (json == std::string(name(dtype))) return dtype;
  fail("expected an element type: bool, int64, float32 or float64");
}

}  // namespace wengert::program
