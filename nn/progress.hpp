#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "autodiff/tensor/tensor.hpp"

namespace wengert::nn {

struct ProgressOptions {
  std::string label = "training";
  /// Where to write; stderr leaves the program's results alone.
  std::FILE* stream = stderr;
  enum class Form { automatic, bar, lines };
  /// automatic: a bar when the stream is a terminal, lines otherwise.
  Form form = Form::automatic;
  /// Seconds of a steady clock; null: the system's.
  double (*clock)() = nullptr;
};

/// Tells how far a long piece of work is: a bar that is redrawn in place on a terminal, a plain line every
/// tenth of the way (but not more often than each second, nor less often than each half minute) elsewhere.
/// Both show the rate, the time left and the loss.
///
///     nn::Progress progress(loader.batches());
///     for (auto [x, y] : loader) progress.update(step(x, y));
///
///     training [=========               ]  40 %  2400/6000  812.3/s  0:05 left  loss 0.5312
class Progress {
 public:
  /// For `total` steps in all; 0 when that is not known.
  explicit Progress(std::int64_t total, ProgressOptions options = {});
  /// Ends the line (finish()).
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One more step is done.
  void update() { advance(false, 0.0); }
  void update(double loss) { advance(true, loss); }
  /// Throws ShapeError when the loss has several elements.
  void update(const Tensor& loss) { advance(true, loss.item<double>()); }
  /// Writes the last state and ends the line; later calls do nothing.
  void finish();

  std::int64_t done() const { return done_; }

 private:
  void advance(bool has_loss, double loss);
  bool due();
  void show(bool last);

  std::int64_t total_;
  ProgressOptions options_;
  bool bar_;
  double start_;
  std::int64_t done_ = 0;
  double shown_at_ = 0.0;         ///< seconds after the start
  std::int64_t shown_done_ = -1;  ///< steps done then
  std::int64_t look_at_ = 1;      ///< the clock is not read before this step
  std::size_t width_ = 0;         ///< of the line on the terminal
  bool has_loss_ = false;
  double loss_ = 0.0;
  bool finished_ = false;
};

}  // namespace wengert::nn
