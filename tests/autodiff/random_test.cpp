#include "autodiff/tensor/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>
#include <thread>

#include "autodiff/tensor/philox.hpp"

using namespace wengert;
using random::Generator;

namespace {

// FNV-1a over the bytes of the elements: one number that changes with any bit of any element.
std::uint64_t fingerprint(const Tensor& x) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto* bytes = reinterpret_cast<const unsigned char*>(x.impl().data);
  for (std::size_t i = 0; i < static_cast<std::size_t>(x.size()) * item_size(x.dtype()); ++i)
    hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

// Sample mean of f(x).
template <class F>
double average(const std::vector<double>& values, F&& f) {
  double sum = 0;
  for (double v : values) sum += f(v);
  return sum / static_cast<double>(values.size());
}

std::vector<double> as_doubles(const Tensor& x) {
  if (x.dtype() == DType::float64) return x.to_vector<double>();
  const auto values = x.to_vector<float>();
  return {values.begin(), values.end()};
}

constexpr bool equal(const detail::PhiloxBlock& block, std::initializer_list<std::uint32_t> words) {
  return std::equal(words.begin(), words.end(), block.word);
}

}  // namespace

TEST_CASE("Philox4x32-10 gives the known answers of its authors") {
  // Random123, kat_vectors: counter, key -> words.
  static_assert(equal(detail::philox(0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  static_assert(equal(detail::philox(~0ull, ~0ull, ~0ull), {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  static_assert(equal(detail::philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
                      {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  CHECK(equal(detail::philox(42, 0, 0), {0x9ceaf053, 0x77f5493b, 0x12bf50ad, 0x5742b3d7}));
}

TEST_CASE("seed 42 gives these numbers on every machine") {
  // From the definition, computed in Python with exact integers and statistics.NormalDist().inv_cdf.
  CHECK(Generator(42).normal({2, 4}).to_vector<float>() ==
        std::vector<float>{-1.2109364478301345f, 1.8604140855121425f, 0.18460798172546966f,
                           0.9980050682022189f, -0.030789640849111285f, 0.9426240422703096f,
                           -2.1999239105481982f, 1.6882210883243265f});
  CHECK(Generator(42).uniform({6}).to_vector<float>() ==
        std::vector<float>{0.6129598617553711f, 0.4685865044593811f, 0.07323169708251953f,
                           0.3408614993095398f, 0.9877186417579651f, 0.32706332206726074f});
  CHECK(Generator(42).uniform({4}, DType::float64).to_vector<double>() ==
        std::vector<double>{0x1.dfd524ee73abcp-2, 0x1.5d0acf5c4afd4p-2, 0x1.4ee9b3f7f36c8p-2,
                            0x1.d1381bee0e3d6p-2});
  CHECK(Generator(42).integers(-5, 5, {12}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{-1, -2, -2, -1, 1, 2, 1, -2, 3, -3, -3, -5});
  CHECK(Generator(42).permutation(10).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{2, 3, 9, 7, 6, 0, 5, 8, 4, 1});
  CHECK(Generator(42).bernoulli(0.3, {8}).to_vector<bool>() ==
        std::vector<bool>{false, false, true, false, false, false, false, false});
  const auto normal = Generator(42).normal({6}, DType::float64).to_vector<double>();
  const double expected[] = {0x1.dc4418f7e3f4bp+0, 0x1.fefa852ed236ap-1,  0x1.e29f9e57c2e50p-1,
                             0x1.b02f41daea5b1p+0, -0x1.005c13c20659bp+0, -0x1.343a4868da36cp-1};
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(std::abs(normal[i] - expected[i]) < 1e-15 * std::abs(expected[i]));
}

TEST_CASE("the far tail, which one draw in 10^11 meets, follows the distribution") {
  // Draws found by search; the expected values are those of statistics.NormalDist().inv_cdf.
  const auto a = Generator(random::State{0, 15154650120}).normal({2}, DType::float64).to_vector<double>();
  const auto b = Generator(random::State{0, 16498100417}).normal({2}, DType::float64).to_vector<double>();
  CHECK(std::abs(a[1] - 6.776064647005529) < 2e-15);
  CHECK(std::abs(b[0] - 6.904549351241729) < 2e-15);
}

TEST_CASE("not one bit of 100,000 numbers depends on compiler or optimisation") {
  CHECK(fingerprint(Generator(1).normal({100000})) == 0x48281216dc7e934dull);
  CHECK(fingerprint(Generator(1).normal({100000}, 3, 0.1, DType::float64)) == 0x3ae4bf09216a563bull);
  CHECK(fingerprint(Generator(1).uniform({100000}, -0.3, 0.7)) == 0x5a25d94f5b84d4e8ull);
  CHECK(fingerprint(Generator(1).uniform({100000}, -0.3, 0.7, DType::float64)) == 0x346c4e2da3382c9dull);
  CHECK(fingerprint(Generator(1).integers(0, 1000, {100000})) == 0x62f7f5ae8927b6d3ull);
  CHECK(fingerprint(Generator(1).permutation(100000)) == 0x1cf1c047db6425adull);
  CHECK(fingerprint(Generator(1).bernoulli(0.1, {100000})) == 0x8a9e478cde2a9c05ull);
}

TEST_CASE("an element depends on its position alone, not on how many are drawn") {
  const auto many = Generator(5).normal({1000}).to_vector<float>();
  for (std::int64_t n : {0, 1, 3, 4, 5, 255, 256, 257, 999}) {
    const auto few = Generator(5).normal({n}).to_vector<float>();
    CHECK(std::equal(few.begin(), few.end(), many.begin()));
    CHECK(few.size() == static_cast<std::size_t>(n));
  }
}

TEST_CASE("moments and tails are those of the distributions") {
  constexpr std::int64_t n = 1 << 20;
  const double error = 1.0 / std::sqrt(static_cast<double>(n));  // of a mean of values with variance 1
  for (DType dtype : {DType::float32, DType::float64}) {
    CAPTURE(name(dtype));
    Generator generator(2024);
    const auto z = as_doubles(generator.normal({n}, dtype));
    CHECK(std::abs(average(z, [](double v) { return v; })) < 4 * error);
    CHECK(std::abs(average(z, [](double v) { return v * v; }) - 1) < 4 * std::sqrt(2.0) * error);
    CHECK(std::abs(average(z, [](double v) { return v * v * v; })) < 4 * std::sqrt(15.0) * error);
    CHECK(std::abs(average(z, [](double v) { return v * v * v * v; }) - 3) < 4 * std::sqrt(96.0) * error);
    for (double limit : {-3.0, -2.0, -1.0, 0.0, 0.5, 1.5, 2.5, 3.5}) {
      const double p = 0.5 * std::erfc(-limit / std::sqrt(2.0));
      const double found = average(z, [&](double v) { return v <= limit; });
      CHECK(std::abs(found - p) < 4 * std::sqrt(p * (1 - p)) * error);
    }
    const auto u = as_doubles(generator.uniform({n}, dtype));
    CHECK(std::abs(average(u, [](double v) { return v; }) - 0.5) < 4 * std::sqrt(1 / 12.0) * error);
    CHECK(std::abs(average(u, [](double v) { return v * v; }) - 1 / 3.0) < 4 * std::sqrt(4 / 45.0) * error);
    const auto shifted = as_doubles(generator.normal({n}, 10, 3, dtype));
    CHECK(std::abs(average(shifted, [](double v) { return v; }) - 10) < 4 * 3 * error);
    double lagged = 0;
    for (std::size_t i = 1; i < z.size(); ++i) lagged += z[i] * z[i - 1];
    CHECK(std::abs(lagged / n) < 4 * error);
  }
  const auto flips = Generator(3).bernoulli(0.2, {n}).to_vector<bool>();
  const double share = static_cast<double>(std::count(flips.begin(), flips.end(), true)) / n;
  CHECK(std::abs(share - 0.2) < 4 * std::sqrt(0.16) * error);
}

TEST_CASE("consecutive draws and neighbouring seeds are uncorrelated") {
  constexpr std::int64_t n = 100000;
  Generator generator(7);
  const auto a = as_doubles(generator.normal({n})), b = as_doubles(generator.normal({n}));
  const auto c = as_doubles(Generator(8).normal({n}));
  CHECK(std::abs(std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / n) < 4 / std::sqrt(double(n)));
  CHECK(std::abs(std::inner_product(a.begin(), a.end(), c.begin(), 0.0) / n) < 4 / std::sqrt(double(n)));
}

TEST_CASE("integers are equally likely, also in a range that rejects half of the words") {
  const auto digits = Generator(11).integers(0, 7, {70000}).to_vector<std::int64_t>();
  double chi_square = 0;
  for (std::int64_t d = 0; d < 7; ++d) {
    const double found = static_cast<double>(std::count(digits.begin(), digits.end(), d));
    chi_square += (found - 10000) * (found - 10000) / 10000;
  }
  CHECK(chi_square < 22.46);  // 6 degrees of freedom, probability 0.001

  // 2^63 + 1 values: 2^64 mod range is 2^63 - 1, so almost every second word is replaced.
  constexpr std::int64_t low = -(std::int64_t{1} << 62);
  const auto wide = Generator(42).integers(low, -low + 1, {8}).to_vector<std::int64_t>();
  CHECK(wide == std::vector<std::int64_t>{-289738228331349975, -1467793135389136810, -1595058773956915053,
                                          -3748570786809882245, -288081482065826475, -3576193110485322345,
                                          1809335423113857549, -1114865226214331743});

  constexpr auto smallest = std::numeric_limits<std::int64_t>::min();
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  const auto all = Generator(1).integers(smallest, largest, {1000}).to_vector<std::int64_t>();
  const auto negative = std::count_if(all.begin(), all.end(), [](std::int64_t v) { return v < 0; });
  CHECK(negative > 430);
  CHECK(negative < 570);
  CHECK(Generator(1).integers(-3, -2, {5}).to_vector<std::int64_t>() == std::vector<std::int64_t>(5, -3));
}

TEST_CASE("a permutation holds every number once, and every order is equally likely") {
  for (std::int64_t n : {0, 1, 2, 255, 256, 257, 1000}) {
    auto p = Generator(9).permutation(n).to_vector<std::int64_t>();
    std::sort(p.begin(), p.end());
    std::vector<std::int64_t> expected(static_cast<std::size_t>(n));
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(p == expected);
  }
  Generator generator(10);
  int counts[27] = {};
  for (int i = 0; i < 6000; ++i) {
    const Tensor p = generator.permutation(3);
    const auto v = p.span<std::int64_t>();
    ++counts[v[0] * 9 + v[1] * 3 + v[2]];
  }
  double chi_square = 0;
  int orders = 0;
  for (int count : counts)
    if (count > 0) {
      ++orders;
      chi_square += (count - 1000.0) * (count - 1000.0) / 1000;
    }
  CHECK(orders == 6);
  CHECK(chi_square < 20.52);  // 5 degrees of freedom, probability 0.001
}

TEST_CASE("uniform stays inside a half open interval even where rounding reaches its end") {
  const auto narrow = Generator(1).uniform({10000}, 1.0, std::nextafter(1.0f, 2.0f)).to_vector<float>();
  CHECK(std::all_of(narrow.begin(), narrow.end(), [](float v) { return v == 1.0f; }));
  const auto wide = Generator(1).uniform({100000}, -1e30, 1.0).to_vector<float>();
  CHECK(std::all_of(wide.begin(), wide.end(), [](float v) { return v >= -1e30f && v < 1.0f; }));
  CHECK(Generator(1).uniform({3}, 2.5, 2.5).to_vector<float>() == std::vector<float>(3, 2.5f));
}

TEST_CASE("bernoulli is certain at probabilities 0 and 1") {
  const auto never = Generator(1).bernoulli(0, {5000}).to_vector<bool>();
  const auto always = Generator(1).bernoulli(1, {5000}).to_vector<bool>();
  CHECK(std::count(never.begin(), never.end(), true) == 0);
  CHECK(std::count(always.begin(), always.end(), false) == 0);
}

TEST_CASE("a state repeats its draws, and a copied generator goes on from the same place") {
  Generator generator(3);
  generator.normal({5});
  const random::State here = generator.state();
  CHECK(here == random::State{3, 1});
  Generator copy = generator;
  const auto first = generator.uniform({9}).to_vector<float>();
  CHECK(copy.uniform({9}).to_vector<float>() == first);
  CHECK(Generator(here).uniform({9}).to_vector<float>() == first);
  CHECK(generator.uniform({9}).to_vector<float>() != first);
  generator.set_state(here);
  CHECK(generator.uniform({9}).to_vector<float>() == first);
}

TEST_CASE("the process-wide generator draws what a generator of its seed draws") {
  random::seed(42);
  Generator generator(42);
  CHECK(random::normal({2, 3}).to_vector<float>() == generator.normal({2, 3}).to_vector<float>());
  CHECK(random::uniform({7}, DType::float64).to_vector<double>() ==
        generator.uniform({7}, DType::float64).to_vector<double>());
  CHECK(random::integers(0, 9, {4}).to_vector<std::int64_t>() ==
        generator.integers(0, 9, {4}).to_vector<std::int64_t>());
  CHECK(random::bernoulli(0.5, {9}).to_vector<bool>() == generator.bernoulli(0.5, {9}).to_vector<bool>());
  CHECK(random::permutation(6).to_vector<std::int64_t>() ==
        generator.permutation(6).to_vector<std::int64_t>());
  CHECK(random::state() == generator.state());
  CHECK(random::state() == random::State{42, 5});
  const random::State here = random::state();
  const float value = random::normal({}).item<float>();
  random::set_state(here);
  CHECK(random::normal({}).item<float>() == value);
}

TEST_CASE("threads share the process-wide generator and no draw is given twice") {
  random::seed(1);
  constexpr int threads = 4, draws = 200;
  std::vector<double> values[threads];
  std::vector<std::thread> team;
  for (auto& mine : values)
    team.emplace_back([&mine] {
      for (int i = 0; i < draws; ++i) mine.push_back(random::uniform({}, DType::float64).item<double>());
    });
  for (std::thread& t : team) t.join();
  std::set<double> all;
  for (const auto& mine : values) all.insert(mine.begin(), mine.end());
  Generator generator(1);
  std::set<double> expected;
  for (int i = 0; i < threads * draws; ++i)
    expected.insert(generator.uniform({}, DType::float64).item<double>());
  CHECK(all == expected);
}

TEST_CASE("wrong arguments are refused by name, and use up no draw") {
  random::seed(0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(random::normal({2}, DType::int64),
                       doctest::Contains("normal: draws float32 or float64, not int64 (random_test.cpp:"),
                       DTypeError);
  CHECK_THROWS_WITH_AS(random::normal({2}, 0, -1), doctest::Contains("stddev >= 0, got 0 and -1"),
                       ValueError);
  CHECK_THROWS_AS(random::normal({2}, nan), ValueError);
  CHECK_THROWS_WITH_AS(random::uniform({2}, 1, 0), doctest::Contains("low <= high, got 1 and 0"), ValueError);
  CHECK_THROWS_AS(random::uniform({2}, 0, nan), ValueError);
  CHECK_THROWS_AS(random::uniform({2}, 0, 1e39), ValueError);
  CHECK_THROWS_AS(random::uniform({2}, -1e308, 1e308, DType::float64), ValueError);
  CHECK_THROWS_AS(random::uniform({2}, DType::bool_), DTypeError);
  CHECK_THROWS_WITH_AS(random::bernoulli(1.5, {2}), doctest::Contains("[0, 1], got 1.5"), ValueError);
  CHECK_THROWS_AS(random::bernoulli(nan, {2}), ValueError);
  CHECK_THROWS_WITH_AS(random::integers(3, 3, {2}), doctest::Contains("low < high, got 3 and 3"), ValueError);
  CHECK_THROWS_WITH_AS(random::permutation(-1), doctest::Contains("a negative count: -1"), ValueError);
  CHECK_THROWS_AS(random::normal({-2}), ShapeError);
  CHECK(random::state() == random::State{0, 0});
  CHECK(random::normal({0, 3}).shape() == Shape{0, 3});
}
