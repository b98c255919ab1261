#include "examples/common/picture.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "autodiff/autodiff.hpp"

namespace examples {
namespace {

// M. Okabe, K. Ito, Color universal design, 2008; told apart by marks and brightness too.
constexpr const char* palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                   "#E69F00", "#56B4E9", "#000000"};
constexpr int marks_of[] = {7, 5, 9, 13, 11, 6, 4};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\\\"") : std::string(1, c);
  return out + "\"";
}

std::string number(double v) { return std::isfinite(v) ? fmt::format("{:.9g}", v) : "NaN"; }

constexpr int width = 700;

std::string linetypes() {
  std::string out;
  for (std::size_t i = 0; i < std::size(palette); ++i)
    out += fmt::format("set linetype {} lc rgb '{}' lw 2 pt {} ps 0.7\n", i + 1, palette[i], marks_of[i]);
  return out;
}

// The axes' rectangle, given in pixels, as shares of the picture's size.
std::string margins(double left, double right, double bottom, double top, double height) {
  return fmt::format(
      "set lmargin at screen {:.4f}\nset rmargin at screen {:.4f}\n"
      "set bmargin at screen {:.4f}\nset tmargin at screen {:.4f}\n",
      left / width, right / width, bottom / height, top / height);
}

std::string labels(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i)
    out += fmt::format("{}{} {}", i ? ", " : "", quoted(names[i]), i);
  return out;
}

}  // namespace

Column::Column(const wengert::Tensor& x) : values(cast(x, wengert::DType::float64).to_vector<double>()) {}

wengert::Tensor Field::places(double low, double high, int n, wengert::DType dtype) {
  std::vector<double> flat;
  const auto at = [&](int i) { return low + (high - low) * i / (n - 1); };
  for (int j = 0; j < n; ++j)
    for (int i = 0; i < n; ++i) flat.push_back(at(i)), flat.push_back(at(j));
  return cast(wengert::from_span<double>(flat, {std::int64_t{n} * n, 2}), dtype);
}

Panel::Panel(const std::string& title, const std::string& x_label, const std::string& y_label) {
  commands_ = fmt::format(
      "reset\nset border 3 lc '#555555'\nset tics nomirror out scale 0.6\nset xtics offset 0,0.3\nset grid "
      "lw 1 dt 1 lc '#dddddd'\n"
      "set clip two\nset key spacing 1.15 samplen 1.8\nset style fill solid 0.85 noborder\n"
      "set title {} offset 0,-0.3\nset xlabel {} offset 0,0.9\nset ylabel {} offset 1,0\n",
      quoted(title), quoted(x_label), quoted(y_label));
}

Panel& Panel::command(const std::string& text) {
  commands_ += text + '\n';
  return *this;
}

std::string Panel::block(const std::string& text) {
  blocks_.push_back(text);
  return fmt::format("$@{}", blocks_.size());
}

Panel& Panel::add(const std::string& with, const std::string& title, const Column& x, const Column& y,
                  const std::string& style) {
  if (x.values.size() != y.values.size())
    throw std::runtime_error(fmt::format("picture: {} values against {}", y.values.size(), x.values.size()));
  std::string rows;
  for (std::size_t i = 0; i < x.values.size(); ++i)
    rows += number(x.values[i]) + ' ' + number(y.values[i]) + '\n';
  const bool own_colour = style.find("lt ") != std::string::npos || style.find("lc ") != std::string::npos;
  const std::string drawn =
      fmt::format("with {} {} {} {}", with, own_colour ? "" : fmt::format("lt {}", ++curves_), style,
                  title.empty() ? "notitle" : "title " + quoted(title));
  plots_.push_back(fmt::format("{} using 1:2 {}", block(rows), drawn));
  if (!title.empty()) legend_.push_back("NaN " + drawn);
  return *this;
}

Panel& Panel::lines(const std::string& title, const Column& x, const Column& y, const std::string& style) {
  return add("lines", title, x, y, style);
}
Panel& Panel::points(const std::string& title, const Column& x, const Column& y, const std::string& style) {
  return add("points", title, x, y, style);
}
Panel& Panel::marks(const std::string& title, const Column& x, const Column& y, const std::string& style) {
  return add("linespoints", title, x, y, style);
}

Panel& Panel::bars(const std::string& title, const std::vector<std::string>& names, const Column& heights,
                   const std::string& style) {
  command(fmt::format(
      "set xtics ({}) scale 0\nset boxwidth 0.7\nset yrange [0:*]\nunset grid\nset xrange [-0.6:{}]",
      labels(names), static_cast<double>(names.size()) - 0.4));
  std::vector<double> at;
  for (std::size_t i = 0; i < names.size(); ++i) at.push_back(static_cast<double>(i));
  add("boxes", title, at, heights, style);
  plots_.push_back(
      fmt::format("$@{} using 1:2:(sprintf('%.4g', $2)) with labels offset 0,0.6 notitle", blocks_.size()));
  return command("set offsets 0, 0, graph 0.08, 0");
}

namespace {

// Rows with a blank line between them, as gnuplot takes a grid.
std::string grid(const Field& f) {
  std::string rows;
  const auto at = [&](int i) { return number(f.low + (f.high - f.low) * i / (f.n - 1)); };
  for (int j = 0; j < f.n; ++j, rows += '\n')
    for (int i = 0; i < f.n; ++i)
      rows +=
          at(i) + ' ' + at(j) + ' ' + number(f.values.values[static_cast<std::size_t>(j * f.n + i)]) + '\n';
  return rows;
}

}  // namespace

Panel& Panel::colours(const Field& field, double smallest, double largest) {
  command(
      fmt::format("set palette defined (0 '#6aa6e0', 0.5 '#ffffff', 1 '#f5a04a')\nset cbrange [{}:{}]\n"
                  "unset colorbox\nunset grid\nset size square\nset xrange [{}:{}]\nset yrange [{}:{}]",
                  smallest, largest, field.low, field.high, field.low, field.high));
  plots_.push_back(block(grid(field)) + " using 1:2:3 with image notitle");
  return *this;
}

Panel& Panel::contour(const std::string& title, const Field& field, double level, const std::string& style) {
  const std::string from = block(grid(field));
  const std::string to = fmt::format("$@{}_level", blocks_.size());
  command(
      fmt::format("set contour base\nunset surface\nset cntrparam levels discrete {}\nset table {}\n"
                  "splot {} using 1:2:3\nunset table\nunset contour\nset surface",
                  level, to, from));
  const std::string drawn =
      fmt::format("with lines {} {}", style, title.empty() ? "notitle" : "title " + quoted(title));
  plots_.push_back(fmt::format("{} using 1:2 {}", to, drawn));
  if (!title.empty()) legend_.push_back("NaN " + drawn);
  return *this;
}

Panel& Panel::table(const std::vector<std::string>& columns, const std::vector<std::string>& rows,
                    const std::vector<double>& values, const std::string& format) {
  std::string cells, numbers;  // no number where there is no value
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double v = values[r * columns.size() + c];
      const std::string cell = fmt::format("{} {} {}\n", c, r, number(v));
      cells += cell;
      if (std::isfinite(v)) numbers += cell;
    }
  command(fmt::format(
      "set xtics ({}) scale 0\nset ytics ({}) scale 0\nunset grid\nunset colorbox\nset border 0\nset ylabel "
      "offset 0,0\n"
      "set palette defined (0 '#ffffff', 1 '#4a90d0')\nset xrange [-0.5:{}]\nset yrange [-0.5:{}]",
      labels(columns), labels(rows), static_cast<double>(columns.size()) - 0.5,
      static_cast<double>(rows.size()) - 0.5));
  plots_.push_back(block(cells) + " using 1:2:3 with image pixels notitle");
  plots_.push_back(
      fmt::format("{} using 1:2:(sprintf('{}', $3)) with labels font ',11' notitle", block(numbers), format));
  return *this;
}

std::string Panel::script(const std::string& name, const std::string& margins) const {
  std::string out, body = commands_ + margins + linetypes() + "plot ";
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    out += fmt::format("${}{} << EOD\n{}EOD\n", name, i + 1, blocks_[i]);
  for (std::size_t i = 0; i < plots_.size(); ++i) body += (i ? ", \\\n  " : "") + plots_[i];
  for (std::size_t at = 0; (at = body.find("$@", at)) != std::string::npos;) body.replace(at, 2, "$" + name);
  return out + body + '\n';
}

std::string Panel::legend() const { return linetypes() + fmt::format("plot {}\n", fmt::join(legend_, ", ")); }

Picture::Picture(std::string name, int columns, int height)
    : name_(std::move(name)), columns_(columns), height_(height) {}

Picture& Picture::legend_below(int rows) {
  legend_rows_ = rows;
  return *this;
}

Panel& Picture::panel(const std::string& title, const std::string& x_label, const std::string& y_label) {
  return panels_.emplace_back(title, x_label, y_label);
}

std::string Picture::write(const std::string& folder) const {
  std::filesystem::create_directories(folder);
  const std::string base = (std::filesystem::path(folder) / name_).string();
  const int count = static_cast<int>(panels_.size()), rows = (count + columns_ - 1) / columns_;
  std::ofstream script(base + ".gp");
  script << fmt::format(
      "set encoding utf8\nset terminal svg size {},{} enhanced font 'sans-serif,13' background '#ffffff'\n"
      "set output {}\nset multiplot\n",
      width, height_, quoted(base + ".svg"));
  // In pixels: room for the labels around each panel, and for the legend at the bottom.
  constexpr double left = 76, right = 16, top = 34, below = 56, legend_row = 22;
  const double legend = legend_row * legend_rows_, cell_width = static_cast<double>(width) / columns_,
               cell_height = (height_ - legend) / rows;
  for (int i = 0; i < count; ++i) {
    Panel panel = panels_[static_cast<std::size_t>(i)];
    const double x = cell_width * (i % columns_), y = height_ - cell_height * (i / columns_ + 1);
    if (i == 0 && legend_rows_ > 0) panel.command("unset key");
    script << panel.script(fmt::format("p{}_", i + 1), margins(x + left, x + cell_width - right, y + below,
                                                               y + cell_height - top, height_));
  }
  if (legend_rows_ > 0)
    script << "reset\nunset border\nunset tics\nset xrange [0:1]\nset yrange [0:1]\n"
              "set key center center horizontal samplen 1.8 width 1\n"
           << margins(8, width - 8, 4, legend, height_) << panels_.front().legend();
  script << "unset multiplot\n";
  script.close();
  if (!script) throw std::runtime_error("can't write " + base + ".gp");

  const std::string quiet = "command -v gnuplot >/dev/null 2>&1";
  if (std::system(quiet.c_str()) != 0)
    return "not drawn: there is no gnuplot here (Debian: apt-get install gnuplot-nox)";
  std::string path = "'";
  for (char c : base + ".gp") path += c == '\'' ? std::string("'\\''") : std::string(1, c);
  if (const int status = std::system(("gnuplot " + path + "'").c_str()); status != 0)
    throw std::runtime_error(fmt::format("gnuplot {}.gp failed with status {}", base, WEXITSTATUS(status)));
  return base + ".svg";
}

}  // namespace examples
