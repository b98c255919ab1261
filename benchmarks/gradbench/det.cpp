// The determinant of a matrix by expansion by minors, and its gradient.
//
// Level m holds the minors of the last m rows with every choice of m columns, as one tensor; the next level
// gathers from it. A minor that several larger ones need is computed once, so that there are n 2^(n-1)
// products and not e n!, which is what a recursion that does not remember computes.

#include <bit>
#include <map>
#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

class Expansion {
 public:
  explicit Expansion(int n) : n_(n) {
    std::map<unsigned, std::int64_t> smaller;  // position of a set of columns in the level below
    for (int j = 0; j < n; ++j) smaller[1u << j] = j;
    for (int m = 2; m <= n; ++m) {
      std::map<unsigned, std::int64_t> sets;
      std::vector<std::int64_t> columns, minors;
      std::vector<double> signs;
      for (unsigned set = 0; set < 1u << n; ++set) {
        if (std::popcount(set) != m) continue;
        const auto position = static_cast<std::int64_t>(sets.size());
        sets[set] = position;
        double sign = 1;
        for (int j = 0; j < n; ++j) {
          if (!(set >> j & 1)) continue;
          columns.push_back(j);
          minors.push_back(smaller.at(set & ~(1u << j)));
          signs.push_back(sign);
          sign = -sign;
        }
      }
      const Shape shape{static_cast<std::int64_t>(sets.size()), m};
      levels_.push_back({from_span<std::int64_t>(columns, shape), from_span<std::int64_t>(minors, shape),
                         from_span<double>(signs, shape)});
      smaller = std::move(sets);
    }
  }

  /// a: the matrix as [n n].
  Tensor determinant(const Tensor& a) const {
    const Tensor rows = reshape(a, {n_, n_});
    Tensor minors = slice(rows, {n_ - 1});
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      const Tensor row = slice(rows, {n_ - 2 - static_cast<int>(i)});
      const Level& level = levels_[i];
      minors = sum(level.signs * take(row, level.columns) * take(minors, level.minors), 1);
    }
    return reshape(minors, {});
  }

 private:
  struct Level {
    Tensor columns, minors, signs;  // [sets, m]
  };
  int n_;
  std::vector<Level> levels_;
};

gradbench::Prepared prepare(const gradbench::Json& input, bool gradient) {
  const auto f = [e = Expansion(input["ell"].get<int>())](const Tensor& a) { return e.determinant(a); };
  return gradbench::repeat([=](const Tensors& in) { return Tensors{gradient ? grad(f)(in[0]) : f(in[0])}; },
                           {gradbench::numbers(input["A"])});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "primal", "gradient", prepare); }
