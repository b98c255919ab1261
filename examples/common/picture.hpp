#pragma once

#include <deque>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.hpp"

namespace examples {

/// Numbers for one axis of a picture: a list, or a tensor of any shape read row by row.
struct Column {
  Column(std::vector<double> list) : values(std::move(list)) {}
  Column(std::initializer_list<double> list) : values(list) {}
  Column(const wengert::Tensor& x);

  std::vector<double> values;
};

/// A square of values on a regular grid, e.g. what a network says at each place of the plane: values[j * n +
/// i] belongs to x = low + (high - low) * i / (n - 1) and y likewise with j.
struct Field {
  double low;
  double high;
  int n;
  Column values;

  /// The places of the grid, float32 or float64 [n * n, 2], to be put through a network.
  static wengert::Tensor places(double low, double high, int n, wengert::DType dtype);
};

/// One set of axes. What is drawn comes in the order of the calls, in colours that the colour-blind can tell
/// apart; `style` is gnuplot's: "lw 3 dt 2", "pt 7 lc 'black'". An empty title keeps it out of the legend.
class Panel {
 public:
  Panel(const std::string& title, const std::string& x_label, const std::string& y_label);

  /// Any gnuplot command, before plotting: "set logscale xy", "set key bottom left".
  Panel& command(const std::string& text);
  Panel& lines(const std::string& title, const Column& x, const Column& y, const std::string& style = "");
  Panel& points(const std::string& title, const Column& x, const Column& y, const std::string& style = "");
  /// Lines with a mark at each point.
  Panel& marks(const std::string& title, const Column& x, const Column& y, const std::string& style = "");
  /// Upright bars, `labels` under them.
  Panel& bars(const std::string& title, const std::vector<std::string>& labels, const Column& heights,
              const std::string& style = "");
  /// Colours, blue over white to orange, from `smallest` to `largest`.
  Panel& colours(const Field& field, double smallest, double largest);
  /// The lines on which the field has this value.
  Panel& contour(const std::string& title, const Field& field, double level, const std::string& style = "");
  /// A table as a heat map with its numbers written in: values[row * columns + column].
  Panel& table(const std::vector<std::string>& columns, const std::vector<std::string>& rows,
               const std::vector<double>& values, const std::string& format);

  /// The gnuplot commands, with `name` in front of the names of data and `margins` where the axes lie.
  std::string script(const std::string& name, const std::string& margins) const;
  /// The commands for a plot of the legend alone.
  std::string legend() const;

 private:
  std::string block(const std::string& text);
  Panel& add(const std::string& with, const std::string& title, const Column& x, const Column& y,
             const std::string& style);

  std::string commands_;
  std::vector<std::string> blocks_;
  std::vector<std::string> plots_;
  std::vector<std::string> legend_;
  int curves_ = 0;
};

/// A picture of one or more panels, drawn by gnuplot: 700 pixels wide, which is what a page of text has room
/// for.
///
///     Picture picture("errors");
///     picture.panel("Error against width", "hidden units", "largest error").command("set logscale
///     xy").marks("", n, e); picture.write("out");       // out/errors.svg, and out/errors.gp to change by
///     hand and draw again
class Picture {
 public:
  explicit Picture(std::string name, int columns = 1, int height = 420);
  Panel& panel(const std::string& title, const std::string& x_label, const std::string& y_label);
  /// Puts the first panel's legend under the whole picture, in this many rows.
  Picture& legend_below(int rows);
  /// Returns the path of the picture, or what to install when there is no gnuplot. Throws runtime_error when
  /// gnuplot fails.
  std::string write(const std::string& folder) const;

 private:
  std::string name_;
  int columns_;
  int height_;
  int legend_rows_ = 0;
  std::deque<Panel> panels_;
};

}  // namespace examples
