#include "nn/progress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "autodiff/autodiff.hpp"

using namespace wengert;

namespace {

double now = 0.0;

/// What a piece of work writes.
template <class F>
std::string output(F&& work) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  now = 100.0;
  work(stream);
  std::fclose(stream);
  const std::string result(text, size);
  std::free(text);
  return result;
}

nn::ProgressOptions options(std::FILE* stream, nn::ProgressOptions::Form form) {
  return {.label = "work", .stream = stream, .form = form, .clock = [] { return now; }};
}

}  // namespace

TEST_SUITE_BEGIN("progress");

TEST_CASE("a stream that is no terminal gets a plain line every tenth of the way") {
  const std::string text = output([](std::FILE* stream) {
    nn::Progress progress(20, options(stream, nn::ProgressOptions::Form::automatic));
    for (int i = 1; i <= 20; ++i) {
      now += 1.0;
      progress.update(1.0 / i);
    }
    CHECK(progress.done() == 20);
  });
  CHECK(
      text.starts_with("work  10 %  2/20  1.0/s  0:18 left  loss 0.5\n"
                       "work  20 %  4/20  1.0/s  0:16 left  loss 0.25\n"));
  CHECK(text.ends_with("work 100 %  20/20  1.0/s  0:20 in all  loss 0.05\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 10);
  CHECK(text.find('\r') == std::string::npos);
}

TEST_CASE("fast work gets few lines, slow work one at least each half minute") {
  const std::string fast = output([](std::FILE* stream) {
    nn::Progress progress(100000, options(stream, nn::ProgressOptions::Form::lines));
    for (int i = 0; i < 100000; ++i) {
      now += 1e-6;
      progress.update();
    }
  });
  CHECK(fast == "work 100 %  100000/100000  1000000/s  0:01 in all\n");
  const std::string slow = output([](std::FILE* stream) {
    nn::Progress progress(1000, options(stream, nn::ProgressOptions::Form::lines));
    for (int i = 0; i < 3; ++i) {
      now += 40.0;
      progress.update();
    }
  });
  CHECK(slow ==
        "work   0 %  1/1000  40.0 s each  11:06:00 left\n"
        "work   0 %  2/1000  40.0 s each  11:05:20 left\n"
        "work   0 %  3/1000  40.0 s each  11:04:40 left\n"
        "work   0 %  3/1000  40.0 s each  2:00 in all\n");
}

TEST_CASE("on a terminal the bar is redrawn in place and ends with a line of its own") {
  const std::string text = output([](std::FILE* stream) {
    nn::Progress progress(4, options(stream, nn::ProgressOptions::Form::bar));
    for (int i = 0; i < 4; ++i) {
      now += 0.5;
      progress.update(tensor(2.0 - i));
    }
  });
  CHECK(text ==
        "\rwork [======                  ]  25 %  1/4  2.0/s  0:02 left  loss 2"
        "\rwork [============            ]  50 %  2/4  2.0/s  0:01 left  loss 1"
        "\rwork [==================      ]  75 %  3/4  2.0/s  0:01 left  loss 0"
        "\rwork [========================] 100 %  4/4  2.0/s  0:02 in all  loss -1\n");
}

TEST_CASE("without a total there is a count, and no work writes nothing") {
  const std::string text = output([](std::FILE* stream) {
    nn::Progress progress(0, options(stream, nn::ProgressOptions::Form::lines));
    for (int i = 0; i < 3; ++i) {
      now += 20.0;
      progress.update();
    }
    progress.finish();
    progress.update();
    progress.finish();
  });
  CHECK(text == "work  2  20.0 s each\nwork  3  20.0 s each  1:00 in all\n");
  CHECK(output([](std::FILE* stream) {
          nn::Progress progress(5, options(stream, nn::ProgressOptions::Form::lines));
        }).empty());
}

TEST_SUITE_END();
