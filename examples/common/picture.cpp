#include "examples/common/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>

namespace examples {
namespace {

constexpr double panel_width = 520, panel_height = 360;
constexpr double left = 70, right = 20, top = 44, bottom = 54;
constexpr const char* colours[] = {"#1f77b4", "#d95f02", "#2ca02c", "#7570b3", "#e7298a", "#666666"};

std::string escape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

std::string text(double x, double y, const std::string& words, const std::string& more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, more, escape(words));
}

std::string document(double width, double height, const std::string& body) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" "
             "viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\" font-size=\"12\">\n"
             "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
             width, height) +
         body + "</svg>\n";
}

// An axis from a round number to a round number, with steps of 1, 2 or 5 times a power of ten.
struct Axis {
  double low, high, step;

  Axis(double smallest, double largest) {
    if (!(largest > smallest)) largest = smallest + 1;
    const double raw = (largest - smallest) / 5, power = std::pow(10.0, std::floor(std::log10(raw)));
    const double digit = raw / power;
    step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
    low = std::floor(smallest / step + 1e-9) * step;
    high = std::ceil(largest / step - 1e-9) * step;
  }
  int ticks() const { return static_cast<int>(std::lround((high - low) / step)); }
  double share(double v) const { return (v - low) / (high - low); }
};

std::string panel(const Chart& chart, double offset) {
  double x_low = 1e300, x_high = -1e300, y_low = 1e300, y_high = -1e300;
  for (const Series& s : chart.series)
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.y[i])) continue;
      x_low = std::min(x_low, s.x[i]), x_high = std::max(x_high, s.x[i]);
      y_low = std::min(y_low, s.y[i]), y_high = std::max(y_high, s.y[i]);
    }
  if (x_low > x_high) throw std::runtime_error("chart \"" + chart.title + "\" has no finite values");
  const Axis across(x_low, x_high), up(y_low, y_high);
  const double width = panel_width - left - right, height = panel_height - top - bottom;
  const auto place_x = [&](double v) { return offset + left + width * across.share(v); };
  const auto place_y = [&](double v) { return top + height * (1 - up.share(v)); };

  std::string out =
      text(offset + left + width / 2, 24, chart.title, "text-anchor=\"middle\" font-size=\"15\"");
  for (int i = 0; i <= up.ticks(); ++i) {
    const double v = up.low + i * up.step, y = place_y(v);
    out += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\" stroke=\"#dddddd\"/>\n", offset + left, y,
                       offset + left + width);
    out += text(offset + left - 8, y + 4, fmt::format("{:.6g}", std::abs(v) < up.step / 2 ? 0.0 : v),
                "text-anchor=\"end\"");
  }
  for (int i = 0; i <= across.ticks(); ++i) {
    const double v = across.low + i * across.step, x = place_x(v);
    out += fmt::format("<path d=\"M{:.1f} {:.1f}v5\" stroke=\"black\"/>\n", x, top + height);
    out += text(x, top + height + 19, fmt::format("{:.6g}", v), "text-anchor=\"middle\"");
  }
  out += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\" fill=\"none\" stroke=\"black\"/>\n",
                     offset + left, top, top + height, offset + left + width);
  out += text(offset + left + width / 2, panel_height - 14, chart.x_label, "text-anchor=\"middle\"");
  out += text(0, 0, chart.y_label,
              fmt::format("text-anchor=\"middle\" transform=\"translate({:.1f} {:.1f}) rotate(-90)\"",
                          offset + 18, top + height / 2));
  for (std::size_t k = 0; k < chart.series.size(); ++k) {
    const Series& s = chart.series[k];
    const char* colour = colours[k % std::size(colours)];
    std::string points;
    for (std::size_t i = 0; i < s.x.size(); ++i)
      if (std::isfinite(s.y[i])) points += fmt::format("{:.1f},{:.1f} ", place_x(s.x[i]), place_y(s.y[i]));
    out += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>\n", points,
                       colour);
    if (chart.series.size() > 1) {
      const double y = top + 14 + 18 * static_cast<double>(k), x = offset + left + width - 110;
      out += fmt::format("<path d=\"M{:.1f} {:.1f}h22\" stroke=\"{}\" stroke-width=\"2.5\"/>\n", x, y - 4,
                         colour);
      out += text(x + 28, y, s.name);
    }
  }
  return out;
}

// From blue over white to orange.
std::string colour(double v) {
  v = std::isfinite(v) ? std::clamp(v, 0.0, 1.0) : 0.5;
  const double t = std::abs(2 * v - 1);
  const auto mix = [&](int end) { return static_cast<int>(std::lround(255 + t * (end - 255))); };
  return v < 0.5 ? fmt::format("#{:02x}{:02x}{:02x}", mix(90), mix(150), mix(220))
                 : fmt::format("#{:02x}{:02x}{:02x}", mix(245), mix(150), mix(60));
}

std::string panel(const Field& field, double offset) {
  constexpr int cells = 48;
  constexpr double side = 260, cell = side / cells;
  std::vector<std::pair<double, double>> places;
  for (int j = 0; j < cells; ++j)
    for (int i = 0; i < cells; ++i)
      places.emplace_back(field.low + (field.high - field.low) * (i + 0.5) / cells,
                          field.high - (field.high - field.low) * (j + 0.5) / cells);
  const std::vector<double> values = field.values(places);
  std::string out = text(offset + side / 2, 24, field.title, "text-anchor=\"middle\" font-size=\"14\"");
  for (int j = 0; j < cells; ++j)
    for (int i = 0; i < cells; ++i)
      out += fmt::format("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n",
                         offset + i * cell, 36 + j * cell, cell + 0.3, cell + 0.3,
                         colour(values[static_cast<std::size_t>(j * cells + i)]));
  out += fmt::format(
      "<rect x=\"{:g}\" y=\"36\" width=\"{:g}\" height=\"{:g}\" fill=\"none\" stroke=\"#888888\"/>\n", offset,
      side, side);
  const double scale = side / (field.high - field.low);
  for (const Field::Point& p : field.points)
    out += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"8\" fill=\"{}\" stroke=\"black\" stroke-width=\"2\"/>\n",
        offset + (p.x - field.low) * scale, 36 + (field.high - p.y) * scale,
        p.label == 1 ? "#f58220" : "#2a6fc9");
  return out;
}

}  // namespace

std::string svg(const std::vector<Chart>& charts) {
  std::string body;
  for (std::size_t i = 0; i < charts.size(); ++i)
    body += panel(charts[i], panel_width * static_cast<double>(i));
  return document(panel_width * static_cast<double>(charts.size()), panel_height, body);
}

std::string svg(const std::vector<Field>& fields) {
  std::string body;
  for (std::size_t i = 0; i < fields.size(); ++i) body += panel(fields[i], 20 + 280 * static_cast<double>(i));
  return document(20 + 280 * static_cast<double>(fields.size()), 316, body);
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace examples
