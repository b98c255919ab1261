// The table and the CSV file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "benchmarks/compare/run.hpp"

namespace wengert::bench {

/// All runs of one competitor on one row.
struct Figure {
  std::vector<Run> runs;
  double median_us() const;  ///< the lowest median of the runs: a busy machine only ever adds time
  double min_us() const;     ///< the fastest batch
  double max_us() const;     ///< the slowest batch
  double counter(const std::string& name) const;  ///< of the run with the lowest median
  double peak_rss_mb() const;
};

/// row -> competitor -> figure
using Figures = std::map<std::string, std::map<std::string, Figure>>;

/// Empty when both competitors computed the same, otherwise what differs.
std::string disagreement(const Figure& expected, const Figure& actual);

/// The table in Markdown; rows and competitors in the order given.
std::string table(const Figures& figures, const std::vector<std::string>& rows,
                  const std::vector<Competitor>& competitors);

/// What the table has no room for: W4's share of the sgemm rate, W6's figures per operator.
std::string notes(const Figures& figures, const std::vector<Competitor>& competitors);

/// workload,competitor,threads,median_us,min_us,max_us,peak_rss_mb
std::string csv(const Figures& figures, const std::vector<std::string>& rows,
                const std::vector<Competitor>& competitors, int threads);

}  // namespace wengert::bench
