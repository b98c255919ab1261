#pragma once

#include <nlohmann/json.hpp>

#include "autodiff/graph/attributes.hpp"

namespace wengert::program {

/// {"axes": [0], "keepdims": true}: the members of an attribute struct under their names.
nlohmann::json attributes_to_json(const AttributeType& type, const void* attributes);
/// Fills in a struct, all of whose bytes are 0. Throws std::invalid_argument when the members are not exactly
/// those that the struct has.
void attributes_from_json(const AttributeType& type, const nlohmann::json& json, void* attributes);

nlohmann::json shape_to_json(const Shape& shape);
Shape shape_from_json(const nlohmann::json& json);
DType dtype_from_json(const nlohmann::json& json);

}  // namespace wengert::program
