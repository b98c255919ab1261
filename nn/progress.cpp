#include "nn/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace wengert::nn {
namespace {

constexpr double bar_interval = 0.1;
constexpr double shortest_line_interval = 1.0;
constexpr double longest_line_interval = 30.0;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// "0:04", "12:30", "3:05:00".
std::string duration(double seconds) {
  if (!(seconds < 3.6e6)) return "?";
  const auto s = static_cast<std::int64_t>(std::ceil(seconds));
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string rate_text(double rate) {
  if (rate >= 1000.0) return fmt::format("{:.0f}/s", rate);
  if (rate >= 0.1) return fmt::format("{:.1f}/s", rate);
  return fmt::format("{:.1f} s each", 1.0 / rate);
}

}  // namespace

Progress::Progress(std::int64_t total, ProgressOptions options)
    : total_(std::max<std::int64_t>(total, 0)), options_(std::move(options)) {
  if (options_.clock == nullptr) options_.clock = steady_seconds;
  bar_ = options_.form == ProgressOptions::Form::bar ||
         (options_.form == ProgressOptions::Form::automatic && isatty(fileno(options_.stream)) != 0);
  start_ = options_.clock();
}

Progress::~Progress() {
  try {
    finish();
  } catch (...) {  // no memory for the line: a destructor is no place to say so
  }
}

void Progress::advance(bool has_loss, double loss) {
  ++done_;
  if (has_loss) {
    has_loss_ = true;
    loss_ = loss;
  }
  if (done_ == total_) return finish();
  if (!finished_ && due()) show(false);
}

// Steps may be far shorter than a clock is worth asking: the rate so far says when to look again.
bool Progress::due() {
  if (done_ < look_at_) return false;
  const double now = options_.clock() - start_;
  const double per_step = now / static_cast<double>(done_);
  const double patience = bar_ ? bar_interval : shortest_line_interval;
  const double skip = per_step > 0.0 ? 0.1 * patience / per_step : 1.0;
  look_at_ = done_ + std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(skip, 1e6)), 1, 2 * done_);
  const double waited = now - shown_at_;
  if (waited < patience) return false;
  if (bar_ || waited >= longest_line_interval) return true;
  return total_ > 0 && done_ * 10 / total_ > std::max<std::int64_t>(shown_done_, 0) * 10 / total_;
}

void Progress::show(bool last) {
  const double now = options_.clock() - start_;
  const double rate = now > 0.0 ? static_cast<double>(done_) / now : 0.0;
  std::string line = options_.label;
  if (total_ > 0) {
    const double part = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    if (bar_) {
      constexpr int cells = 24;
      const int full = static_cast<int>(part * cells);
      line += fmt::format(" [{:=<{}}{:<{}}]", "", full, "", cells - full);
    }
    line += fmt::format(" {:3.0f} %  {}/{}", std::floor(100.0 * part), done_, total_);
  } else {
    line += fmt::format("  {}", done_);
  }
  if (rate > 0.0) line += "  " + rate_text(rate);
  if (last)
    line += fmt::format("  {} in all", duration(now));
  else if (total_ > 0 && rate > 0.0)
    line += fmt::format("  {} left", duration(static_cast<double>(total_ - done_) / rate));
  if (has_loss_) line += fmt::format("  loss {:.4g}", loss_);

  if (bar_) {
    // Spaces cover what is left of a longer line before.
    const std::size_t length = line.size();
    line.append(width_ > length ? width_ - length : 0, ' ');
    width_ = length;
    line = '\r' + line + (last ? "\n" : "");
  } else {
    line += '\n';
  }
  std::fputs(line.c_str(), options_.stream);
  std::fflush(options_.stream);
  shown_at_ = now;
  shown_done_ = done_;
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (done_ > 0) show(true);
}

}  // namespace wengert::nn
