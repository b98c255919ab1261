#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace examples {

/// A line of a chart.
struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;
};

/// Axes with lines in them.
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
};

/// A function of the plane as a grid of colours (0 blue, 1 orange), with points of two classes on it.
struct Field {
  struct Point {
    double x, y;
    int label;
  };
  std::string title;
  /// Values at many places at once: f(x, y) in row-major order.
  std::function<std::vector<double>(const std::vector<std::pair<double, double>>&)> values;
  double low = 0, high = 1;  ///< of both axes
  std::vector<Point> points;
};

/// Scalable vector graphics, the panels side by side.
std::string svg(const std::vector<Chart>& charts);
std::string svg(const std::vector<Field>& fields);

/// Writes a file; throws std::runtime_error naming it when that fails.
void write_file(const std::string& path, const std::string& text);

}  // namespace examples
