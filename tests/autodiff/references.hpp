#pragma once

#include <string>
#include <vector>

#include "autodiff/gradcheck/battery.hpp"

/// How the battery is to treat a built-in operator: an independent reference (naive loops in double) for
/// those that don't bring a rule on plain numbers, and the exceptions, each with its reason.
wengert::CheckOptions reference_options(const std::string& name);
std::vector<std::string> referenced_operators();
