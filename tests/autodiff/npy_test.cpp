#include "autodiff/interop/npy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "autodiff/tensor/creation.hpp"

using namespace wengert;
namespace fs = std::filesystem;

namespace {

// A folder of its own, gone at the end of the test.
struct Folder {
  fs::path path;
  Folder() {
    static std::random_device entropy;
    do path = fs::temp_directory_path() / ("wengert-npy-" + std::to_string(entropy()));
    while (!fs::create_directory(path));
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string file(const std::string& name) const { return (path / name).string(); }
};

void write(const std::string& path, const std::string& bytes) {
  fs::remove(path);  // a fresh file costs nothing; a truncated one may be written through to the disk
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The bytes of a file with this header text; version 1 counts its length in two bytes, later ones in four.
std::string npy(const std::string& header, const std::string& elements, int version = 1) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) file += static_cast<char>(header.size() >> 8 * i & 255);
  return file + header + elements;
}

std::string header(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }\n";
}

template <class T>
std::string bytes(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

template <class T>
std::string reversed_bytes(std::initializer_list<T> values) {
  std::string all = bytes(values);
  for (std::size_t i = 0; i < all.size(); i += sizeof(T)) std::reverse(&all[i], &all[i] + sizeof(T));
  return all;
}

Tensor load(const Folder& folder, const std::string& content) {
  write(folder.file("x.npy"), content);
  return load_npy(folder.file("x.npy"));
}

std::string refusal(const Folder& folder, const std::string& content) {
  try {
    load(folder, content);
  } catch (const FileError& e) {
    const std::string text = e.what();
    CHECK(text.substr(0, folder.file("x.npy").size() + 2) == folder.file("x.npy") + ": ");
    return text.substr(folder.file("x.npy").size() + 2);
  }
  return "no refusal";
}

bool contains(const std::string& text, const char* part) {
  INFO("\"", text, "\" lacks \"", part, "\"");
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

// numpy.save of NumPy 2.4 for numpy.arange(6, dtype='f4').reshape(2, 3) / 2.
std::string numpy_file() {
  const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  return npy(text + std::string(117 - text.size(), ' ') + "\n", bytes({0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 2.5f}));
}

}  // namespace

TEST_CASE("a file is written byte for byte as NumPy writes it") {
  Folder folder;
  const Tensor x = tensor({{0.0, 0.5, 1.0}, {1.5, 2.0, 2.5}});
  save_npy(folder.file("x.npy"), x);
  CHECK(read(folder.file("x.npy")) == numpy_file());
  CHECK(numpy_file().size() == 128 + 24);
  save_npy(folder.file("x.npy"), full({}, 7));
  const std::string scalar = read(folder.file("x.npy"));
  CHECK(scalar.substr(10, 56) == "{'descr': '<i8', 'fortran_order': False, 'shape': (), } ");
  CHECK(scalar.substr(128) == bytes<std::int64_t>({7}));
  save_npy(folder.file("x.npy"), tensor({true, false, true}));
  const std::string mask = read(folder.file("x.npy"));
  CHECK(mask.substr(10, 58) == "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), } ");
  CHECK(mask.substr(128) == std::string("\1\0\1", 3));
  save_npy(folder.file("x.npy"), zeros({0, 3}, DType::float64));
  CHECK(read(folder.file("x.npy")).size() == 128);
  // Written beside and renamed: nothing else is left.
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("what is saved is loaded with the same shape, type and bits") {
  Folder folder;
  const std::string path = folder.file("x.npy");
  const Shape shapes[] = {{}, {1}, {5}, {0}, {2, 0, 3}, {3, 4}, {1, 2, 1, 2, 1, 2, 1, 2}, {100, 101}};
  for (const Shape& shape : shapes)
    for (DType dtype : {DType::bool_, DType::int64, DType::float32, DType::float64}) {
      CAPTURE(describe(dtype, shape));
      Tensor x = zeros(shape, dtype);
      for (std::int64_t i = 0; i < x.size() * static_cast<std::int64_t>(item_size(dtype)); ++i)
        x.impl().data[i] = static_cast<std::byte>(dtype == DType::bool_ ? i % 2 : i * 37 + 11);
      save_npy(path, x);
      const Tensor y = load_npy(path);
      CHECK(y.dtype() == dtype);
      CHECK(y.shape() == shape);
      CHECK(y.is_contiguous());
      const auto count = static_cast<std::size_t>(x.size()) * item_size(dtype);
      CHECK(std::memcmp(x.impl().data, y.impl().data, count) == 0);
    }
}

TEST_CASE("a strided view is saved as what it shows") {
  Folder folder;
  Tensor base = arange(100000);
  // Every third row of a 1000 x 100 array, columns backwards.
  const Tensor view = Tensor::adopt(detail::new_view(base.impl(), {334, 100}, Strides{300, -1}, 99));
  save_npy(folder.file("x.npy"), view);
  const Tensor y = load_npy(folder.file("x.npy"));
  CHECK(y.shape() == Shape{334, 100});
  CHECK(y.to_vector<std::int64_t>() == view.to_vector<std::int64_t>());
  CHECK(y.span<std::int64_t>()[101] == 398);
}

TEST_CASE("files of other formats, orders and element types are read") {
  Folder folder;
  for (int version : {1, 2, 3})
    CHECK(load(folder, npy(header("<f8", "(2,)"), bytes({1.5, -2.0}), version)).to_vector<double>() ==
          std::vector<double>{1.5, -2.0});
  const Tensor f = load(folder, npy(header("<f8", "(2, 3)", true), bytes({0.0, 3.0, 1.0, 4.0, 2.0, 5.0})));
  CHECK(f.to_vector<double>() == std::vector<double>{0, 1, 2, 3, 4, 5});
  CHECK(f.is_contiguous());
  const Tensor f3 =
      load(folder, npy(header("|u1", "(2, 1, 3)", true), bytes<std::uint8_t>({0, 3, 1, 4, 2, 5})));
  CHECK(f3.shape() == Shape{2, 1, 3});
  CHECK(f3.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  CHECK(load(folder, npy(header("<f4", "(0, 3)", true), "")).shape() == Shape{0, 3});

  using Integers = std::vector<std::int64_t>;
  const auto integers = [&](const char* descr, const std::string& elements) {
    const Tensor x = load(folder, npy(header(descr, "(2,)"), elements));
    CHECK(x.dtype() == DType::int64);
    return x.to_vector<std::int64_t>();
  };
  CHECK(integers("|i1", bytes<std::int8_t>({-128, 127})) == Integers{-128, 127});
  CHECK(integers("|u1", bytes<std::uint8_t>({255, 1})) == Integers{255, 1});
  CHECK(integers("<i2", bytes<std::int16_t>({-300, 300})) == Integers{-300, 300});
  CHECK(integers("<u2", bytes<std::uint16_t>({65535, 300})) == Integers{65535, 300});
  CHECK(integers("<i4", bytes<std::int32_t>({-70000, 70000})) == Integers{-70000, 70000});
  CHECK(integers("<u4", bytes<std::uint32_t>({4294967295u, 1})) == Integers{4294967295, 1});
  CHECK(integers("<i8", bytes<std::int64_t>({-1, 1})) == Integers{-1, 1});
  CHECK(integers("<u8", bytes<std::uint64_t>({1ull << 62, 1})) == Integers{1ll << 62, 1});
  CHECK(integers(">i2", reversed_bytes<std::int16_t>({-300, 300})) == Integers{-300, 300});
  CHECK(integers(">i8", reversed_bytes<std::int64_t>({-5, 1ll << 40})) == Integers{-5, 1ll << 40});
  CHECK(load(folder, npy(header(">f4", "(2,)"), reversed_bytes({1.5f, -3.25f}))).to_vector<float>() ==
        std::vector<float>{1.5f, -3.25f});
  CHECK(load(folder, npy(header("|b1", "(3,)"), std::string("\0\1\2", 3))).to_vector<bool>() ==
        std::vector<bool>{false, true, true});

  // numpy.array([1.5, -2, 65504, 6e-8, inf, nan, -0.0], 'f2')
  const auto half =
      load(folder, npy(header("<f2", "(7,)"),
                       bytes<std::uint16_t>({0x3e00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x7e00, 0x8000})))
          .to_vector<float>();
  CHECK(std::vector<float>(half.begin(), half.begin() + 5) ==
        std::vector<float>{1.5f, -2.0f, 65504.0f, 0x1p-24f, std::numeric_limits<float>::infinity()});
  CHECK(std::isnan(half[5]));
  CHECK(half[6] == 0.0f);
  CHECK(std::signbit(half[6]));
}

TEST_CASE("a header may be written in any way that Python reads") {
  Folder folder;
  const std::string elements = bytes({1.0f, 2.0f});
  for (const char* text : {"{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f4\"}",
                           "  {  'fortran_order' : False , 'shape' : ( 2L , ) ,\n 'descr' : '<f4' }\n\n",
                           "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}",
                           "{'descr': '=f4', 'fortran_order': False, 'shape': (1, 2,), }"})
    CHECK(load(folder, npy(text, elements)).to_vector<float>() == std::vector<float>{1, 2});
}

TEST_CASE("a wrong file is refused with its name and what was expected") {
  Folder folder;
  const std::string good = numpy_file();
  CHECK_THROWS_WITH_AS(load_npy(folder.file("none.npy")),
                       doctest::Contains("none.npy: can't be opened: No such"), FileError);
  CHECK_THROWS_WITH_AS(load_npy(folder.path.string()), doctest::Contains("is not a file"), FileError);
  contains(refusal(folder, ""), "is not a .npy file: it is too short");
  contains(refusal(folder, "PK\3\4 and more"), "is not a .npy file: expected it to begin with \\x93NUMPY");
  contains(refusal(folder, good.substr(0, 7)), "ends within the version");
  contains(refusal(folder, good.substr(0, 9)), "ends within the header's length");
  contains(refusal(folder, good.substr(0, 60)), "ends within the .npy header");
  contains(refusal(folder, good.substr(0, 150)),
           "is truncated: [2, 3] elements of 4 bytes need 24 bytes after the header, the file has 22");
  contains(refusal(folder, good + "x"), "goes on after its last element");
  contains(refusal(folder, npy(header("<f4", "(1,)"), "1234", 4)),
           "has .npy format 4.0; expected 1.0, 2.0 or 3.0");
  contains(refusal(folder, npy(header("<c8", "(1,)"), "12345678")), "elements of type '<c8'; expected float");
  contains(refusal(folder, npy(header("|O", "(1,)"), "12345678")), "elements of type '|O'");
  contains(refusal(folder, npy(header("", "(1,)"), "")), "elements of type ''");
  contains(refusal(folder, npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234")),
           "holds records");
  contains(refusal(folder, npy("{'descr': '<f4', 'fortran_order': False}", "1234")), "lacks one of");
  contains(refusal(folder, npy("{'descr': '<f4', 'descr': '<f4'}", "1234")),
           "unknown or repeated key 'descr'");
  contains(refusal(folder, npy("{'descr': '<f4', 'fortran_order': 1}", "1234")), "expected True or False");
  contains(refusal(folder, npy(header("<f4", "(1,)") + "x", "1234")), "expected the end");
  contains(refusal(folder, npy(header("<f4", "(-1,)"), "")), "expected a length");
  contains(refusal(folder, npy(header("<f4", "(1)"), "1234")), "one length alone is no tuple");
  contains(refusal(folder, npy(header("<f4", "(1, 2 3)"), "1234")), "expected ',' or ')'");
  contains(refusal(folder, npy(header("<f4", "(1,1,1,1,1,1,1,1,1)"), "1234")), "more than 8 dimensions");
  contains(refusal(folder, npy(header("<f4", "(99999999999999999999,)"), "")), "fits 64 bits");
  contains(refusal(folder, npy(header("<f4", "(4611686018427387904, 4)"), "")),
           "more elements than fit 64 bits");
  contains(refusal(folder, npy(header("<f4", "(0, 4611686018427387904, 4)"), "")), "more elements than");
  contains(refusal(folder, npy(header("<f4", "(1152921504606846976,)"), "")), "more bytes than fit 64 bits");
  // A terabyte is promised: refused by the file's length, before anything is allocated.
  contains(refusal(folder, npy(header("<f4", "(274877906944,)"), "1234")), "is truncated");
  contains(refusal(folder, npy(header("<u8", "(1,)"), bytes<std::uint64_t>({~0ull}))),
           "the uint64 value 18446744073709551615, which doesn't fit int64");
}

TEST_CASE("a file that can't be written is an error, and leaves nothing behind") {
  Folder folder;
  CHECK_THROWS_WITH_AS(save_npy(folder.file("no/such/x.npy"), zeros({2})),
                       doctest::Contains("x.npy: can't be created"), FileError);
  fs::create_directory(folder.path / "taken");
  CHECK_THROWS_WITH_AS(save_npy(folder.file("taken"), zeros({2})),
                       doctest::Contains("taken: can't be replaced"), FileError);
  CHECK_THROWS_AS(save_npy(folder.file("x.npy"), Tensor()), GraphError);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("6,000 mutated files are read or refused, and never crash") {
  Folder folder;
  const std::string seeds[] = {numpy_file(), npy(header(">i2", "(3, 2)", true), std::string(12, '\7'), 2),
                               npy(header("|b1", "(2, 2, 2)"), std::string(8, '\1'), 3),
                               npy(header("<f2", "()"), "ab"), npy(header("<u8", "(0, 7)"), "")};
  const std::string tokens[] = {"'descr'",
                                "(",
                                ")",
                                ",",
                                "'",
                                "\"",
                                "True",
                                "False",
                                "<f8",
                                "|u1",
                                "0",
                                "9999999999",
                                "{",
                                "}",
                                ":",
                                "\n",
                                std::string(1, '\0'),
                                "\xff",
                                "-1",
                                "18446744073709551617"};
  std::mt19937 random(20240501);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  int read = 0, refused = 0;
  for (int i = 0; i < 6000; ++i) {
    std::string file = seeds[below(std::size(seeds))];
    for (std::size_t changes = 1 + below(3); changes-- > 0 && !file.empty();) switch (below(7)) {
        case 0:
          file[below(file.size())] = static_cast<char>(random());
          break;
        case 1:
          file.resize(below(file.size() + 1));
          break;
        case 2:
          file.insert(below(file.size() + 1), tokens[below(std::size(tokens))]);
          break;
        case 3:
          file.erase(below(file.size()), 1 + below(8));
          break;
        case 4: {  // in the part that is parsed
          const std::size_t at = below(std::min<std::size_t>(file.size(), 80));
          file[at] = static_cast<char>(file[at] ^ 1 << below(8));
          break;
        }
        case 5:  // mostly elements and padding
          file[file.size() - 1 - below(std::min<std::size_t>(file.size(), 24))] = static_cast<char>(random());
          break;
        default:
          file.append(below(40), static_cast<char>(random()));
      }
    write(folder.file("x.npy"), file);
    try {
      const Tensor x = load_npy(folder.file("x.npy"));
      CHECK(static_cast<std::uint64_t>(x.size()) <= file.size());
      ++read;
    } catch (const FileError&) {
      ++refused;
    }
  }
  CHECK(read + refused == 6000);
  CHECK(read > 100);
  CHECK(refused > 3000);
}
