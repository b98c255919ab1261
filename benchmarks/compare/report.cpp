#include "benchmarks/compare/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace wengert::bench {
namespace {

const Run& best(const Figure& figure) {
  return *std::min_element(figure.runs.begin(), figure.runs.end(),
                           [](const Run& a, const Run& b) { return a.median_us() < b.median_us(); });
}

const Figure* find(const Figures& figures, const std::string& row, const std::string& competitor) {
  const auto by_row = figures.find(row);
  if (by_row == figures.end()) return nullptr;
  const auto it = by_row->second.find(competitor);
  return it == by_row->second.end() || it->second.runs.empty() ? nullptr : &it->second;
}

std::string microseconds(double us) {
  return us < 1     ? fmt::format("{:.3f}", us)
         : us < 100 ? fmt::format("{:.1f}", us)
                    : fmt::format("{:.0f}", us);
}

// "ours" is the best way to run a step that the library has: replay where there is one.
const Figure* ours(const Figures& figures, const std::string& row) {
  const Figure* replay = find(figures, row, "replay");
  return replay ? replay : find(figures, row, "eager");
}

std::string ratio(const Figure* numerator, const Figure* denominator) {
  if (!numerator || !denominator) return "";
  const double value = numerator->median_us() / denominator->median_us();
  return value < 10 ? fmt::format("{:.2f}", value) : fmt::format("{:.1f}", value);
}

}  // namespace

double Figure::median_us() const { return best(*this).median_us(); }

double Figure::min_us() const {
  double value = INFINITY;
  for (const Run& run : runs)
    for (double batch : run.batches_us) value = std::min(value, batch);
  return value;
}

double Figure::max_us() const {
  double value = 0;
  for (const Run& run : runs)
    for (double batch : run.batches_us) value = std::max(value, batch);
  return value;
}

double Figure::counter(const std::string& name) const {
  const auto& counters = best(*this).counters;
  const auto it = counters.find(name);
  return it == counters.end() ? NAN : it->second;
}

double Figure::peak_rss_mb() const {
  double value = 0;
  for (const Run& run : runs) {
    const auto it = run.counters.find("peak_rss_mb");
    if (it != run.counters.end()) value = std::max(value, it->second);
  }
  return value;
}

std::string disagreement(const Figure& expected, const Figure& actual) {
  // float32 sums in another order, and three steps of them: a wrong derivative is wrong by far more than
  // this.
  constexpr double tolerance = 2e-3;
  std::string text;
  const double loss = expected.counter("loss"), norm = expected.counter("norm");
  for (const auto& [name, scale] :
       {std::pair{"loss", std::max(1.0, std::abs(loss))}, {"norm", norm}, {"projection", norm}}) {
    const double a = expected.counter(name), b = actual.counter(name);
    if (!(std::abs(a - b) <= tolerance * scale))
      text += fmt::format(" {} {:.6g} instead of {:.6g};", name, b, a);
  }
  return text;
}

std::string table(const Figures& figures, const std::vector<std::string>& rows,
                  const std::vector<Competitor>& competitors) {
  std::vector<std::vector<std::string>> cells{{"us per step"}};
  for (const auto& competitor : competitors) cells[0].push_back(competitor.name);
  std::vector<std::string> others;
  for (const auto& competitor : competitors)
    if (competitor.name != "limit" && competitor.name != "eager" && competitor.name != "replay")
      others.push_back(competitor.name);
  cells[0].push_back("ours / limit");
  for (const auto& other : others) cells[0].push_back(other + " / ours");
  for (const auto& row : rows) {
    std::vector<std::string> line{row};
    for (const auto& competitor : competitors) {
      const Figure* figure = find(figures, row, competitor.name);
      line.push_back(figure ? microseconds(figure->median_us()) : "");
    }
    const Figure* own = ours(figures, row);
    line.push_back(ratio(own, find(figures, row, "limit")));
    for (const auto& other : others) line.push_back(ratio(find(figures, row, other), own));
    cells.push_back(line);
  }
  std::vector<std::size_t> widths(cells[0].size());
  for (const auto& line : cells)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (std::size_t r = 0; r < cells.size(); ++r) {
    for (std::size_t i = 0; i < widths.size(); ++i)
      text += i == 0 ? fmt::format("| {:<{}} |", cells[r][i], widths[i])
                     : fmt::format(" {:>{}} |", cells[r][i], widths[i]);
    text += "\n";
    if (r > 0) continue;
    for (std::size_t i = 0; i < widths.size(); ++i)
      text +=
          i == 0 ? fmt::format("|{:-<{}}|", "", widths[i] + 2) : fmt::format("{:->{}}:|", "", widths[i] + 1);
    text += "\n";
  }
  return text;
}

std::string notes(const Figures& figures, const std::vector<Competitor>& competitors) {
  std::string text;
  if (figures.contains("W4")) {
    // 1024-2048-2048-2048-1000 with batch 256: three products a layer, less the first layer's input gradient
    constexpr double products = 1024.0 * 2048 + 2 * 2048.0 * 2048 + 2048.0 * 1000;
    constexpr double flops = 2.0 * 256 * (3 * products - 1024.0 * 2048);
    const auto rate = [&](const char* row, double work) {
      const Figure* figure = find(figures, row, "limit");
      return figure ? work / figure->median_us() / 1e3 : NAN;
    };
    const double square = rate("sgemm/2048x2048x2048", 2.0 * 2048 * 2048 * 2048);
    const double layer = rate("sgemm/256x2048x2048", 2.0 * 256 * 2048 * 2048);
    text += fmt::format(
        "W4 in GFLOP/s, and as a share of sgemm 2048x2048x2048 ({:.0f}) and 256x2048x2048 ({:.0f}):\n",
        square, layer);
    for (const auto& competitor : competitors)
      if (const Figure* figure = find(figures, "W4", competitor.name)) {
        const double reached = flops / figure->median_us() / 1e3;
        text += fmt::format("  {:<14} {:>6.0f} {:>6.1f} % {:>6.1f} %\n", competitor.name, reached,
                            100 * reached / square, 100 * reached / layer);
      }
  }
  for (const char* row : {"W4", "W5"}) {
    if (!figures.contains(row)) continue;
    text += fmt::format("{} peak memory in MB:\n", row);
    for (const auto& competitor : competitors)
      if (const Figure* figure = find(figures, row, competitor.name))
        text += fmt::format("  {:<14} {:>6.0f}\n", competitor.name, figure->peak_rss_mb());
  }
  bool first = true;
  for (const char* row : {"W6/1", "W6/64"})
    for (const auto& competitor : competitors) {
      const Figure* figure = find(figures, row, competitor.name);
      if (!figure) continue;
      if (first) text += "W6 per operator (200,000 of them): forward ns, forward and backward ns, bytes:\n";
      first = false;
      text += fmt::format("  {:<6} {:<14} {:>8.1f} {:>8.1f} {:>8.0f}\n", row, competitor.name,
                          figure->counter("forward_ns_per_operator"), figure->median_us() * 1e3 / 200'000,
                          figure->counter("bytes_per_operator"));
    }
  return text;
}

std::string csv(const Figures& figures, const std::vector<std::string>& rows,
                const std::vector<Competitor>& competitors, int threads) {
  std::string text = "workload,competitor,threads,median_us,min_us,max_us,peak_rss_mb\n";
  for (const auto& row : rows)
    for (const auto& competitor : competitors)
      if (const Figure* figure = find(figures, row, competitor.name))
        text += fmt::format("{},{},{},{:.4f},{:.4f},{:.4f},{:.1f}\n", row, competitor.name, threads,
                            figure->median_us(), figure->min_us(), figure->max_us(), figure->peak_rss_mb());
  return text;
}

}  // namespace wengert::bench
