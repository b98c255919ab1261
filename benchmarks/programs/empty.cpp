// Links the library and uses one thing of it: how long from exec to the end of main, how much memory?
#include <autodiff/autodiff.hpp>
#include <cstdio>

#include "benchmarks/common/machine.hpp"

int main(int argc, char**) {
  if (argc > 1) std::printf("%.1f MB\n", wengert::bench::peak_rss_mb());
  return wengert::zeros({1}).size() == 1 ? 0 : 1;
}
