#include <cstdio>
#include <ostream>

#include "autodiff/gradcheck/gradcheck.hpp"

namespace wengert {
namespace {

std::string number(const char* format, double v) {
  char text[40];
  std::snprintf(text, sizeof text, format, v);
  return text;
}

/// "[1, 2]": the position of an element in its input.
std::string place(const Shape& shape, std::int64_t entry) {
  Shape index = Shape::filled(shape.size(), 0);
  for (int axis = shape.size() - 1; axis >= 0; --axis) {
    if (shape[axis] == 0) continue;
    index[axis] = entry % shape[axis];
    entry /= shape[axis];
  }
  return to_string(index);
}

std::string comparison(const GradcheckEntry& e) {
  return "analytic " + number("%.10g", e.analytic) + ", numeric " + number("%.10g", e.numeric) + " +- " +
         number("%.1e", e.estimate);
}

std::string where(const GradcheckReport& report, const GradcheckEntry& e) {
  const auto input = static_cast<std::size_t>(e.input);
  return "input " + std::to_string(e.input) +
         (input < report.shapes.size() ? " at " + place(report.shapes[input], e.entry)
                                       : " entry " + std::to_string(e.entry));
}

}  // namespace

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::right:
      return "right";
    case Verdict::wrong:
      return "wrong";
    case Verdict::not_differentiable:
      return "not differentiable here";
    case Verdict::inconclusive:
      return "inconclusive";
  }
  return "";
}

std::string to_string(const GradcheckReport& report) {
  const Verdict overall = report.wrong > 0                            ? Verdict::wrong
                          : report.inconclusive > 0                   ? Verdict::inconclusive
                          : report.right > 0 || report.checked() == 0 ? Verdict::right
                                                                      : Verdict::not_differentiable;
  std::string text = "gradcheck of order " + std::to_string(report.order) + ": " +
                     std::string(name(overall)) + " (" + std::to_string(report.right) + " derivatives right";
  if (report.wrong > 0) text += ", " + std::to_string(report.wrong) + " wrong";
  if (report.not_differentiable > 0)
    text += ", " + std::to_string(report.not_differentiable) + " not differentiable here";
  if (report.inconclusive > 0) text += ", " + std::to_string(report.inconclusive) + " inconclusive";
  text += "), largest relative error " + number("%.1e", report.largest_error);
  if (report.largest_error > 0) text += " at " + where(report, report.worst);
  text += "\n";
  for (const GradcheckCulprit& c : report.culprits)
    text += "  the derivative of " + c.operation + " is wrong (" + to_string(c.where) +
            "): called on its own with " + c.arguments + ", input " + std::to_string(c.entry.input) +
            " entry " + std::to_string(c.entry.entry) + ": " + comparison(c.entry) + "\n";
  for (const GradcheckEntry& e : report.problems)
    text += "  " + std::string(name(e.verdict)) + (e.order == 2 ? " (order 2)" : "") + ": " +
            where(report, e) + ": " + comparison(e) + "\n";
  for (const std::string& note : report.notes) text += "  note: " + note + "\n";
  return text;
}

std::ostream& operator<<(std::ostream& out, const GradcheckReport& report) {
  return out << to_string(report);
}

}  // namespace wengert
