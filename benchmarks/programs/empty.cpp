// Links the library and uses one operator, which brings them all: how long from exec to the end of main, how
// much memory?
#include <autodiff/autodiff.hpp>
#include <cstdio>

#include "benchmarks/common/machine.hpp"

int main(int argc, char**) {
  if (argc > 1) std::printf("%.1f MB\n", wengert::bench::peak_rss_mb());
  return sum(wengert::zeros({1})).item<float>() == 0 ? 0 : 1;
}
