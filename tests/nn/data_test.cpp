#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <set>
#include <vector>

#include "autodiff/autodiff.hpp"
#include "autodiff/interop/npy.hpp"
#include "autodiff/tensor/random.hpp"
#include "nn/data/idx.hpp"
#include "nn/data/loader.hpp"
#include "nn/data/mnist1d.hpp"
#include "tests/nn/files.hpp"

using namespace wengert;
using namespace wengert::nn;
using files::Bytes;

namespace {

const std::string data_dir = WENGERT_DATA_DIR;

bool there(const std::string& file) {
  if (!data_dir.empty() && std::filesystem::exists(data_dir + "/" + file)) return true;
  MESSAGE("skipped: no " << file << " in WENGERT_DATA_DIR (\"" << data_dir << "\")");
  return false;
}

Bytes word(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
          static_cast<char>(v)};
}

Bytes idx_header(int type, const std::vector<std::uint32_t>& dims) {
  Bytes bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(dims.size())};
  for (std::uint32_t d : dims) bytes += word(d);
  return bytes;
}

// `count` unsigned bytes 0, 7, 14, ...
Bytes ramp(std::size_t count) {
  Bytes bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(7 * i);
  return bytes;
}

Bytes images() { return idx_header(8, {5, 4, 3}) + ramp(60); }

// What f throws as FileError; anything else but success fails.
template <class F>
std::string refusal(const F& f) {
  try {
    f();
  } catch (const FileError& e) {
    return e.what();
  }
  return "";
}

void check_refusal(const std::string& text, const std::string& file, const std::string& problem) {
  INFO("refusal: " << text);
  CHECK(text.substr(0, file.size()) == file);
  CHECK(text.find(problem) != std::string::npos);
}

Dataset numbered(std::int64_t n) { return {reshape(arange(3 * n, DType::float32), {n, 3}), arange(n)}; }

}  // namespace

TEST_CASE("a data set refuses parts of different length, and ranges outside it") {
  CHECK_THROWS_WITH_AS(Dataset(zeros({4, 2}), arange(3)),
                       doctest::Contains("x is float32[4, 2], y is int64[3] (data_test.cpp:"), ShapeError);
  CHECK_THROWS_AS(Dataset(full({}, 1.0), arange(1)), ShapeError);
  const Dataset d = numbered(5);
  const Dataset part = d.range(1, 3);
  CHECK(part.size() == 2);
  CHECK(part.y.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2});
  CHECK(part.x.to_vector<float>() == std::vector<float>{3, 4, 5, 6, 7, 8});
  CHECK(part.x.span<float>().data() == d.x.span<float>().data() + 3);
  CHECK(d.range(5, 5).size() == 0);
  CHECK_THROWS_WITH_AS(d.range(2, 6), doctest::Contains("2 .. 6 is not a range inside 0 .. 5"), IndexError);
  CHECK_THROWS_AS(d.range(-1, 2), IndexError);
  CHECK_THROWS_AS(d.range(3, 2), IndexError);
}

TEST_CASE("IDX elements of every type are read as they stand") {
  files::Folder folder;
  const auto values = [&](const Bytes& bytes, DType dtype) {
    return cast(datasets::read_idx(folder.write("f", bytes), dtype), DType::float64).to_vector<double>();
  };
  using V = std::vector<double>;
  CHECK(values(idx_header(8, {3}) + Bytes("\x00\x7f\xff", 3), DType::int64) == V{0, 127, 255});
  CHECK(values(idx_header(9, {3}) + Bytes("\x00\x7f\xff", 3), DType::int64) == V{0, 127, -1});
  CHECK(values(idx_header(11, {2}) + Bytes("\x01\x02\xff\xfe", 4), DType::int64) == V{258, -2});
  CHECK(values(idx_header(12, {2}) + word(70000) + word(0xfffffffe), DType::float32) == V{70000, -2});
  CHECK(values(idx_header(13, {2}) + word(0x3fc00000) + word(0xc0000000), DType::float32) == V{1.5, -2});
  CHECK(values(idx_header(14, {1}) + word(0x3ff80000) + word(1), DType::float64) == V{1.5 + 0x1p-52});
}

TEST_CASE("an IDX array has the dimensions of its file, plain, gzipped or in several gzip members") {
  files::Folder folder;
  const Bytes plain = images();
  for (const Bytes& bytes :
       {plain, files::gzip(plain), files::gzip(plain.substr(0, 9)) + files::gzip(plain.substr(9))}) {
    const Tensor x = datasets::read_idx(folder.write("images", bytes));
    CHECK(x.shape() == Shape{5, 4, 3});
    CHECK(x.dtype() == DType::int64);
    CHECK(x.span<std::int64_t>()[59] == 59 * 7 % 256);
  }
  CHECK(datasets::read_idx(folder.write("none", idx_header(8, {0, 3}))).shape() == Shape{0, 3});
}

TEST_CASE("an IDX data set is scaled to [0, 1] or raw, with int64 labels") {
  files::Folder folder;
  const std::string x = folder.write("x", images()),
                    y = folder.write("y", files::gzip(idx_header(8, {5}) + ramp(5)));
  const Dataset scaled = datasets::idx(x, y),
                raw = datasets::idx(x, y, {.dtype = DType::float64, .scaled = false});
  CHECK(describe(scaled.x) == "float32[5, 4, 3]");
  CHECK(describe(scaled.y) == "int64[5]");
  CHECK(scaled.x.span<float>()[1] == static_cast<float>(7.0 / 255));
  CHECK(raw.x.span<double>()[1] == 7.0);
  CHECK_THROWS_AS(datasets::idx(x, y, {.dtype = DType::int64}), ValueError);
  CHECK_THROWS_AS(datasets::idx(x, y, {.dtype = DType::bool_}), DTypeError);
  const std::string few = folder.write("few", idx_header(8, {4}) + ramp(4));
  check_refusal(refusal([&] { datasets::idx(x, few); }), few,
                "expected one label for each of the 5 examples");
  check_refusal(refusal([&] { datasets::idx(x, x); }), x, "expected a list of labels");
}

TEST_CASE("a wrong IDX file is refused with its name and what was expected") {
  files::Folder folder;
  const auto refused = [&](const Bytes& bytes, const std::string& problem) {
    const std::string plain = folder.write("plain", bytes),
                      packed = folder.write("packed", files::gzip(bytes));
    check_refusal(refusal([&] { datasets::read_idx(plain); }), plain, problem);
    check_refusal(refusal([&] { datasets::read_idx(packed); }), packed, problem);
  };
  refused("", "is truncated: expected an IDX header");
  refused(Bytes("\0\0\x08", 3), "is truncated: expected an IDX header");
  refused("PK\x03\x04 more", "expected an IDX file");
  refused(idx_header(10, {1}) + "a", "expected an IDX file");
  refused(idx_header(8, {}), "expected 1 to 8 dimensions, found 0");
  refused(Bytes("\0\0\x08\x09", 4) + Bytes(100, '\1'), "expected 1 to 8 dimensions, found 9");
  refused(idx_header(8, {2, 2}).substr(0, 9), "is truncated: expected 2 dimensions");
  refused(idx_header(8, {2, 2}) + "abc", "is truncated: ");
  refused(idx_header(8, {2, 2}) + "abcde", "is too long");
  refused(idx_header(13, {1}) + word(0), "expected integers");
  // Sizes that no file of this length can have: refused before any memory is asked for.
  const std::uint32_t huge = 0xffffffff;
  refused(idx_header(8, {huge, huge, huge, huge, huge, huge, huge, huge}) + "a",
          "need more than the file can hold");
  refused(idx_header(14, {huge}) + "a", "need more than the file can hold");
  refused(idx_header(8, {0, huge, huge, huge}), "need more than the file can hold");
  refused(idx_header(8, {60000, 28, 28}) + ramp(100), "need more than the file can hold");

  check_refusal(refusal([&] { datasets::read_idx(folder / "nothing"); }), folder / "nothing",
                "cannot be read");
  check_refusal(refusal([&] { datasets::read_idx(folder.path.string()); }), folder.path.string(),
                "is not a regular file");
}

TEST_CASE("a damaged gzip file is refused; a bomb is cut off where its declared size ends") {
  files::Folder folder;
  const Bytes packed = files::gzip(images());
  for (std::size_t n = 2; n < packed.size(); ++n) {
    const std::string cut = folder.write("cut", packed.substr(0, n));
    check_refusal(refusal([&] { datasets::read_idx(cut); }), cut, "is truncated");
  }
  Bytes wrong = packed;
  wrong[wrong.size() - 6] ^= 1;  // the check sum
  const std::string sum = folder.write("sum", wrong), tail = folder.write("tail", packed + "tail");
  check_refusal(refusal([&] { datasets::read_idx(sum); }), sum, "is not a valid gzip file");
  check_refusal(refusal([&] { datasets::read_idx(tail); }), tail, "is not a valid gzip file");
  const std::string bomb = folder.write("bomb", files::gzip(idx_header(8, {10}) + Bytes(50'000'000, '\0')));
  check_refusal(refusal([&] { datasets::read_idx(bomb); }), bomb, "is too long");
}

TEST_CASE("thousands of damaged IDX, gzip and npy files are read or refused, never more") {
  files::Folder folder;
  save_npy(folder / "x.npy", reshape(arange(24, DType::float32), {4, 6}));
  save_npy(folder / "y.npy", arange(4));
  const Bytes npy_x = files::read(folder / "x.npy");
  const Bytes labels = idx_header(8, {5}) + ramp(5), floats = idx_header(13, {2, 2}) + ramp(16);
  const std::string good_labels = folder.write("labels", labels);
  std::mt19937_64 random(20240607);
  int read = 0, refused = 0;
  const auto attempt = [&](const auto& f) {
    try {
      f();
      ++read;
    } catch (const FileError& e) {
      ++refused;
      if (std::string(e.what()).find(folder.path.string()) == std::string::npos)
        FAIL("no file name: " << e.what());
    }
  };
  const std::size_t before = memory::stats().peak_in_use;
  for (int i = 0; i < 1500; ++i) {
    const Bytes plain = i % 3 == 0 ? labels : i % 3 == 1 ? floats : images();
    const std::string path = folder.write("plain", files::damaged(plain, random));
    attempt([&] { datasets::read_idx(path, DType::float32); });
    const std::string packed = folder.write("packed", files::damaged(files::gzip(plain), random));
    attempt([&] { datasets::idx(packed, good_labels); });
    const std::string inside = folder.write("inside", files::gzip(files::damaged(plain, random)));
    attempt([&] { datasets::idx(inside, good_labels); });
    const std::string numpy = folder.write("damaged.npy", files::damaged(npy_x, random));
    attempt([&] { datasets::npy(numpy, folder / "y.npy"); });
  }
  MESSAGE("damaged files: " << read << " still readable, " << refused << " refused");
  CHECK(read + refused == 6000);
  CHECK(refused > 3000);
  CHECK(memory::stats().peak_in_use - before < 64 << 20);
}

TEST_CASE("a pair of npy files is a data set; other lengths are refused by name") {
  files::Folder folder;
  save_npy(folder / "x.npy", reshape(arange(6, DType::float32), {3, 2}));
  save_npy(folder / "y.npy", arange(3));
  save_npy(folder / "short.npy", arange(2));
  const Dataset d = datasets::npy(folder / "x.npy", folder / "y.npy");
  CHECK(describe(d.x) == "float32[3, 2]");
  CHECK(d.y.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2});
  check_refusal(refusal([&] { datasets::npy(folder / "x.npy", folder / "short.npy"); }), folder / "short.npy",
                "expected one target for each of the 3 examples");
  check_refusal(refusal([&] { datasets::mnist1d(folder.path.string()); }), folder / "x.npy",
                "expected float32[n, 40], found float32[3, 2]");
  check_refusal(refusal([&] { datasets::mnist(folder.path.string()); }),
                folder / "train-images-idx3-ubyte.gz", "expected the file here");
}

TEST_CASE("generated MNIST-1D has 500 of each digit, mean 0 and deviation 1") {
  auto [train, test] = datasets::mnist1d();
  CHECK(describe(train.x) == "float32[4000, 40]");
  CHECK(describe(train.y) == "int64[4000]");
  CHECK(describe(test.x) == "float32[1000, 40]");
  CHECK(describe(test.y) == "int64[1000]");
  std::vector<int> count(10);
  for (const Tensor& y : {train.y, test.y})
    for (std::int64_t label : y.span<std::int64_t>()) ++count.at(static_cast<std::size_t>(label));
  CHECK(count == std::vector<int>(10, 500));
  double total = 0, square = 0;
  for (const Tensor& x : {train.x, test.x})
    for (float v : x.span<float>()) total += v, square += double(v) * v;
  CHECK(std::abs(total / 200000) < 1e-6);
  CHECK(square / 200000 == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("MNIST-1D is the same on every machine, whatever random::seed was, and another for another seed") {
  random::seed(1);
  const Split a = datasets::mnist1d();
  random::seed(2);
  const Split b = datasets::mnist1d(), c = datasets::mnist1d(43);
  CHECK(a.train.x.to_vector<float>() == b.train.x.to_vector<float>());
  CHECK(a.train.x.to_vector<float>() != c.train.x.to_vector<float>());
  // FNV-1a over the bits of all values, then of all labels.
  std::uint64_t hash = 14695981039346656037u;
  const auto add = [&](std::uint64_t v) { hash = (hash ^ v) * 1099511628211u; };
  for (const Dataset& d : {a.train, a.test}) {
    for (float v : d.x.span<float>()) add(std::bit_cast<std::uint32_t>(v));
    for (std::int64_t v : d.y.span<std::int64_t>()) add(static_cast<std::uint64_t>(v));
  }
  CHECK(hash == 18285653010546321737u);
}

TEST_CASE("generated MNIST-1D has the moments of the authors' frozen set") {
  if (!there("mnist1d/x.npy")) return;
  const Split ours = datasets::mnist1d(), theirs = datasets::mnist1d(data_dir + "/mnist1d");
  CHECK(theirs.train.size() == 4000);
  CHECK(theirs.test.size() == 1000);
  struct Moments {
    std::vector<double> mean = std::vector<double>(400), deviation = std::vector<double>(40);
    double third = 0, fourth = 0, neighbours = 0;
  };
  const auto moments = [](const Split& s) {
    Moments m;
    std::vector<double> first(40), second(40), count(10);
    for (const Dataset& d : {s.train, s.test})
      for (std::int64_t i = 0; i < d.size(); ++i) {
        const auto label = static_cast<std::size_t>(d.y.span<std::int64_t>()[i]);
        ++count[label];
        for (std::size_t j = 0; j < 40; ++j) {
          const double v = d.x.span<float>()[40 * static_cast<std::size_t>(i) + j];
          m.mean[40 * label + j] += v;
          first[j] += v / 5000;
          second[j] += v * v / 5000;
          m.third += v * v * v / 200000;
          m.fourth += v * v * v * v / 200000;
          if (j > 0) m.neighbours += v * d.x.span<float>()[40 * static_cast<std::size_t>(i) + j - 1] / 195000;
        }
      }
    for (std::size_t i = 0; i < 400; ++i) m.mean[i] /= count[i / 40];
    for (std::size_t j = 0; j < 40; ++j) m.deviation[j] = std::sqrt(second[j] - first[j] * first[j]);
    return m;
  };
  const Moments a = moments(ours), b = moments(theirs);
  double worst_mean = 0, worst_deviation = 0;
  for (std::size_t i = 0; i < 400; ++i) worst_mean = std::max(worst_mean, std::abs(a.mean[i] - b.mean[i]));
  for (std::size_t j = 0; j < 40; ++j)
    worst_deviation = std::max(worst_deviation, std::abs(a.deviation[j] - b.deviation[j]));
  MESSAGE("largest differences: mean by digit and position " << worst_mean << ", deviation by position "
                                                             << worst_deviation);
  // Two samples of 500 examples of deviation about 1: 0.063 is one standard error, 4.5 of them over 400
  // places; 0.018 for the deviations (kurtosis 4.4), 4.5 of them over 40.
  CHECK(worst_mean < 0.28);
  CHECK(worst_deviation < 0.08);
  CHECK(std::abs(a.third - b.third) < 0.15);
  CHECK(a.fourth == doctest::Approx(b.fourth).epsilon(0.05));
  CHECK(a.neighbours == doctest::Approx(b.neighbours).epsilon(0.02));
}

TEST_CASE("MNIST is 60,000 and 10,000 images of 784 values in [0, 1]") {
  if (!there("mnist/train-images-idx3-ubyte.gz")) return;
  auto [train, test] = datasets::mnist(data_dir + "/mnist");
  CHECK(describe(train.x) == "float32[60000, 784]");
  CHECK(describe(test.x) == "float32[10000, 784]");
  CHECK(describe(test.y) == "int64[10000]");
  // The first labels of both files, and the mean 0.1307 of the training pixels, as everybody quotes them.
  CHECK(train.range(0, 5).y.to_vector<std::int64_t>() == std::vector<std::int64_t>{5, 0, 4, 1, 9});
  CHECK(test.range(0, 5).y.to_vector<std::int64_t>() == std::vector<std::int64_t>{7, 2, 1, 0, 4});
  double total = 0;
  float largest = 0;
  for (float v : train.x.span<float>()) total += v, largest = std::max(largest, v);
  CHECK(largest == 1.0f);
  CHECK(total / 47040000 == doctest::Approx(0.1306604762738429));
}

TEST_CASE("a loader gives every example once an epoch, x and y together") {
  const Dataset data = numbered(10);
  for (bool shuffle : {false, true}) {
    DataLoader loader(data, {.batch_size = 4, .shuffle = shuffle, .epochs = 3, .seed = 5});
    CHECK(loader.batches_per_epoch() == 3);
    CHECK(loader.size() == 9);
    std::vector<std::multiset<std::int64_t>> seen(3);
    std::vector<std::int64_t> sizes;
    for (auto it = loader.begin(); it != loader.end(); ++it) {
      auto [x, y] = *it;
      CHECK(x.is_contiguous());
      sizes.push_back(y.size());
      CHECK(x.shape() == Shape{y.size(), 3});
      for (std::int64_t i = 0; i < y.size(); ++i) {
        seen[static_cast<std::size_t>(it.epoch())].insert(y.span<std::int64_t>()[i]);
        CHECK(x.span<float>()[3 * i + 2] == static_cast<float>(3 * y.span<std::int64_t>()[i] + 2));
      }
    }
    CHECK(sizes == std::vector<std::int64_t>{4, 4, 2, 4, 4, 2, 4, 4, 2});
    for (const auto& epoch : seen) CHECK(epoch == std::multiset<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
}

TEST_CASE("drop_last leaves the partial batch out; sizes that divide have none") {
  const auto count = [](std::int64_t n, DataLoaderOptions options) {
    std::int64_t batches = 0, rows = 0;
    DataLoader loader(numbered(n), options);
    for (auto [x, y] : loader) ++batches, rows += x.shape()[0];
    CHECK(batches == loader.size());
    return std::pair(batches, rows);
  };
  using P = std::pair<std::int64_t, std::int64_t>;
  CHECK(count(10, {.batch_size = 4, .epochs = 2, .drop_last = true}) == P{4, 16});
  CHECK(count(8, {.batch_size = 4, .epochs = 2, .drop_last = true}) == P{4, 16});
  CHECK(count(8, {.batch_size = 4, .epochs = 2}) == P{4, 16});
  CHECK(count(3, {.batch_size = 4, .drop_last = true}) == P{0, 0});
  CHECK(count(3, {.batch_size = 4}) == P{1, 3});
  CHECK(count(0, {.batch_size = 4, .shuffle = true}) == P{0, 0});
  CHECK(count(3, {.batch_size = 4, .shuffle = true, .epochs = 0}) == P{0, 0});
}

TEST_CASE("orders follow the seed, differ between epochs and between loops") {
  const Dataset data = numbered(50);
  const auto labels = [](DataLoader& loader) {
    std::vector<std::int64_t> all;
    for (auto [x, y] : loader)
      for (std::int64_t v : y.span<std::int64_t>()) all.push_back(v);
    return all;
  };
  DataLoader a(data, {.batch_size = 10, .shuffle = true, .epochs = 2, .seed = 7});
  DataLoader b(data, {.batch_size = 10, .shuffle = true, .epochs = 2, .seed = 7});
  DataLoader c(data, {.batch_size = 10, .shuffle = true, .epochs = 2, .seed = 8});
  const auto first = labels(a), second = labels(a);
  CHECK(first == labels(b));
  CHECK(first != labels(c));
  CHECK(first != second);
  CHECK(std::vector(first.begin(), first.begin() + 50) != std::vector(first.begin() + 50, first.end()));

  random::seed(3);
  DataLoader d(data, {.batch_size = 10, .shuffle = true});
  random::seed(3);
  DataLoader e(data, {.batch_size = 10, .shuffle = true});
  DataLoader f(data, {.batch_size = 10, .shuffle = true});
  const auto order = labels(d);
  CHECK(order == labels(e));
  CHECK(order != labels(f));
}

TEST_CASE("a loader takes any element type and row length, strided data, and keeps the data alive") {
  const auto bytes = [](const Tensor& x) {
    return std::string(reinterpret_cast<const char*>(x.impl().data),
                       static_cast<std::size_t>(x.size()) * item_size(x.dtype()));
  };
  const auto check = [&](const Tensor& x) {
    const Dataset plain(contiguous(x), arange(x.shape()[0]));
    for (auto [batch, y] : DataLoader({x, plain.y}, {.batch_size = 2, .shuffle = true, .seed = 1})) {
      CHECK(batch.dtype() == x.dtype());
      for (std::int64_t i = 0; i < y.size(); ++i) {
        const std::int64_t from = y.span<std::int64_t>()[static_cast<std::size_t>(i)];
        CHECK(bytes(Dataset(batch, y).range(i, i + 1).x) == bytes(plain.range(from, from + 1).x));
      }
    }
  };
  check(arange(5, DType::float64));
  check(tensor({true, false, true}));
  check(reshape(arange(60, DType::float32), {5, 3, 4}));
  check(transpose(reshape(arange(12), {3, 4})));
  check(zeros({3, 0}));
}

TEST_CASE("batches are constants: nothing is recorded from them") {
  const Dataset data(variable(zeros({4, 2})), arange(4));
  for (bool shuffle : {false, true})
    for (auto [x, y] : DataLoader(data, {.batch_size = 2, .shuffle = shuffle, .seed = 1}))
      CHECK_FALSE(x.requires_grad());
}

TEST_CASE("a loader refuses options out of their domain") {
  const Dataset data = numbered(4);
  CHECK_THROWS_WITH_AS(DataLoader(data, {.batch_size = 0}),
                       doctest::Contains("the batch size must be positive, not 0"), ValueError);
  CHECK_THROWS_AS(DataLoader(data, {.epochs = -1}), ValueError);
  CHECK_THROWS_AS(DataLoader{Dataset()}, ValueError);
  Dataset changed = data;
  changed.y = arange(3);
  CHECK_THROWS_AS(DataLoader{changed}, ShapeError);
}
