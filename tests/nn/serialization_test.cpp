#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "autodiff/autodiff.hpp"
#include "nn/nn.hpp"

using namespace wengert;
namespace fs = std::filesystem;

namespace {

/// A folder of the test's own, removed at the end.
struct Folder {
  Folder() {
    static int count = 0;
    path = fs::temp_directory_path() /
           ("wengert-serialization-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  fs::path path;
};

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A file around a header: its length, the header, the data.
std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

// What the Python package safetensors 0.8.0 writes for save({"w": float32 [[1.5, -2], [0, 3.25]], "b":
// float64 [1, -1], "n": int64 7, "m": bool [True, False, True]}, metadata={"made by": "numpy"}).
const std::string python_bytes = file_of(
    R"({"__metadata__":{"made by":"numpy"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
    R"("b":{"dtype":"F64","shape":[2],"data_offsets":[8,24]},)"
    R"("w":{"dtype":"F32","shape":[2,2],"data_offsets":[24,40]},)"
    R"("m":{"dtype":"BOOL","shape":[3],"data_offsets":[40,43]}} )",
    std::string(
        "\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf0\xbf"
        "\x00\x00\xc0?\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00P@\x01\x00\x01",
        43));

void fails(const std::string& path, const std::string& bytes, const std::string& text) {
  CAPTURE(text);
  write(path, bytes);
  try {
    nn::load_safetensors(path);
    FAIL_CHECK("no error");
  } catch (const FileError& error) {
    CHECK_MESSAGE(std::string(error.what()).find(text) != std::string::npos, error.what());
    CHECK(std::string(error.what()).starts_with(path));
  }
}

nn::Sequential small_net() { return {nn::Linear(4, 3), nn::Tanh(), nn::Linear(3, 2)}; }

}  // namespace

TEST_SUITE_BEGIN("serialization");

TEST_CASE("a file of the Python package is read, and the same tensors give the same bytes") {
  const Folder folder;
  const std::string path = folder / "python.safetensors";
  write(path, python_bytes);
  nn::Metadata metadata;
  const nn::NamedTensors tensors = nn::load_safetensors(path, &metadata);
  REQUIRE(tensors.size() == 4);
  CHECK(tensors[0].name == "b");
  CHECK(tensors[0].tensor.to_vector<double>() == std::vector<double>{1, -1});
  CHECK(tensors[1].name == "m");
  CHECK(tensors[1].tensor.to_vector<bool>() == std::vector<bool>{true, false, true});
  CHECK(tensors[2].name == "n");
  CHECK(tensors[2].tensor.shape() == Shape{});
  CHECK(tensors[2].tensor.item<std::int64_t>() == 7);
  CHECK(tensors[3].name == "w");
  CHECK(tensors[3].tensor.shape() == Shape{2, 2});
  CHECK(tensors[3].tensor.to_vector<float>() == std::vector<float>{1.5, -2, 0, 3.25});
  REQUIRE(metadata.size() == 1);
  CHECK(metadata[0].key == "made by");
  CHECK(metadata[0].value == "numpy");

  const std::string copy = folder / "ours.safetensors";
  nn::save_safetensors(tensors, copy, metadata);
  CHECK(read(copy) == python_bytes);
}

TEST_CASE("a module that is saved and loaded predicts the same") {
  const Folder folder;
  const std::string path = folder / "net.safetensors";
  const nn::Sequential net = small_net();
  const nn::Sequential other = small_net();
  const Tensor x = random::normal({5, 4});
  REQUIRE(net(x).to_vector<float>() != other(x).to_vector<float>());
  nn::save_safetensors(net, path);
  nn::load_safetensors(other, path);
  CHECK(net(x).to_vector<float>() == other(x).to_vector<float>());
  for (const nn::Parameter& p : other.parameters()) CHECK(p.value().requires_grad());
  CHECK(folder.files() == 1);
}

TEST_CASE("views, empty tensors and long names are saved as what they show") {
  const Folder folder;
  const std::string path = folder / "views.safetensors";
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  const std::string long_name = std::string(1000, 'n') + " \"quoted\" \xc3\xa9";
  nn::save_safetensors({{"t", transpose(x)}, {"empty", zeros({0, 3})}, {long_name, tensor(2.5)}}, path);
  const nn::NamedTensors back = nn::load_safetensors(path);
  REQUIRE(back.size() == 3);
  CHECK(back[0].tensor.shape() == Shape{0, 3});
  CHECK(back[1].name == long_name);
  CHECK(back[2].tensor.shape() == Shape{3, 2});
  CHECK(back[2].tensor.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 4, 2, 5, 3, 6});
  nn::save_safetensors(nn::NamedTensors{}, path);
  CHECK(nn::load_safetensors(path).empty());
}

TEST_CASE("a module is unchanged when the file does not fit") {
  const Folder folder;
  const std::string path = folder / "other.safetensors";
  const nn::Sequential net = small_net();
  const std::vector<float> before = net.parameters()[0].value().to_vector<float>();
  const auto refuses = [&](const nn::NamedTensors& tensors, const std::string& text) {
    CAPTURE(text);
    nn::save_safetensors(tensors, path);
    CHECK_THROWS_WITH_AS(nn::load_safetensors(net, path), doctest::Contains(text.c_str()), FileError);
    CHECK(net.parameters()[0].value().to_vector<float>() == before);
  };
  nn::NamedTensors right;
  for (const auto& [name, p] : net.named_parameters()) right.push_back({name, zeros_like(p)});
  auto wrong = right;
  wrong[3].tensor = zeros({3});
  refuses(wrong, "other.safetensors: tensor \"2.bias\" is float32[3], the module has float32[2]");
  wrong = right;
  wrong[0].tensor = zeros({3, 4}, DType::float64);
  refuses(wrong, "tensor \"0.weight\" is float64[3, 4], the module has float32[3, 4]");
  wrong = right;
  wrong[2].name = "2.wait";
  refuses(wrong, "has no tensor \"2.weight\", the module needs float32[2, 3]");
  wrong = right;
  wrong.push_back({"3.weight", zeros({1})});
  refuses(wrong, "tensor \"3.weight\" is not a parameter or buffer of the module");
  nn::save_safetensors(right, path);
  nn::load_safetensors(net, path);
  CHECK(max(abs(net.parameters()[0].value())).item<float>() == 0.0f);
}

TEST_CASE("wrong files are errors with the file's name and what was expected") {
  const Folder folder;
  const std::string path = folder / "bad.safetensors";
  const std::string eight(8, '\0');
  const auto entry = [](const std::string& body) {
    return file_of("{\"a\":" + body + "}", std::string(8, 0));
  };

  CHECK_THROWS_WITH_AS(nn::load_safetensors(folder / "absent"), doctest::Contains("No such file"), FileError);
  CHECK_THROWS_WITH_AS(nn::load_safetensors(folder.path.string()), doctest::Contains("not a regular file"),
                       FileError);
  fails(path, "", "expected 8 bytes with the header's length, the file has 0");
  fails(path, std::string(8, '\xff'), "expected a header of at most 100000000 bytes");
  fails(path, file_of("{}", "").substr(0, 9), "truncated: expected a header of 2 bytes, the file has 1");
  fails(path, file_of("", ""), "must begin with '{'");
  fails(path, file_of(" {}", ""), "must begin with '{'");
  fails(path, file_of("{\"a\":", ""), "the header is not JSON");
  fails(path, file_of("{}{}", ""), "the header is not JSON");
  fails(path, file_of("{\"\xff\":1}", ""), "the header is not JSON");
  fails(path, file_of("{" + std::string(100000, '[') + "}", ""), "the header is not JSON");
  fails(path, file_of("{\"a\":" + std::string(100000, '[') + "}", ""), "nested too deeply");
  fails(path, file_of("{}", "x"), "too long: expected 0 bytes of data, the file has 1");
  fails(path, python_bytes.substr(0, python_bytes.size() - 1), "truncated: expected 43 bytes of data");
  fails(path, entry("7"), "tensor \"a\": expected an object of dtype, shape and data_offsets");
  fails(path, entry(R"({"dtype":"F64","shape":[1]})"), "expected an object of");
  fails(path, entry(R"({"dtype":"F16","shape":[4],"data_offsets":[0,8]})"), "\"F16\" is none of BOOL, I64");
  fails(path, entry(R"({"dtype":3,"shape":[1],"data_offsets":[0,8]})"), "element type 3 is none of");
  fails(path, entry(R"({"dtype":"F64","shape":[-1],"data_offsets":[0,8]})"), "list of whole numbers");
  fails(path, entry(R"({"dtype":"F64","shape":[1.0],"data_offsets":[0,8]})"), "list of whole numbers");
  fails(path, entry(R"({"dtype":"F64","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,8]})"),
        "at most 8 numbers");
  fails(path, entry(R"({"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]})"), "overflows");
  fails(path, entry(R"({"dtype":"F64","shape":[0,9223372036854775808],"data_offsets":[0,0]})"), "overflows");
  fails(path, entry(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})"),
        "must hold the 16 bytes of float64[2]");
  fails(path, entry(R"({"dtype":"F64","shape":[1],"data_offsets":[8,0]})"), "must hold the 8 bytes");
  fails(path, entry(R"({"dtype":"F64","shape":[1],"data_offsets":[0]})"), "two whole numbers");
  fails(path, entry(R"({"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]})"),
        "truncated: expected 8000000000000 bytes of data, the file has 8");
  const std::string f32 = R"({"dtype":"F32","shape":[1],"data_offsets":)";
  fails(path, file_of("{\"a\":" + f32 + "[0,4]},\"b\":" + f32 + "[2,6]}}", eight), "the tensors overlap");
  fails(path, file_of("{\"a\":" + f32 + "[0,4]},\"b\":" + f32 + "[6,10]}}", eight),
        "the tensors leave a gap");
  fails(path, file_of("{\"a\":" + f32 + "[0,4]},\"a\":" + f32 + "[4,8]}}", eight), "has the key \"a\" twice");
  fails(path, file_of(R"({"__metadata__":{"k":1}})", ""), "__metadata__ \"k\" must be a text");
  fails(path, file_of(R"({"__metadata__":[]})", ""), "__metadata__ must be an object of texts");
  fails(path, file_of(R"({"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02"),
        "a BOOL must be 0 or 1");
}

TEST_CASE("thousands of mutated files give an error or tensors, never a crash") {
  const Folder folder;
  const std::string path = folder / "mutated.safetensors";
  std::uint64_t state = 88172645463325252u;
  const auto next = [&](std::uint64_t below) {  // xorshift64
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % below;
  };
  const std::string alphabet = "{}[]\":,0123456789-.eE\\ \nIFB64truefalsnul\xff";
  int loaded = 0;
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = python_bytes;
    for (std::uint64_t change = 1 + next(4); change > 0; --change) {
      const std::uint64_t at = bytes.empty() ? 0 : next(bytes.size());
      switch (next(6)) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes.append(1 + next(20), static_cast<char>(next(256)));
          break;
        case 2:
          bytes.erase(at, 1 + next(8));
          break;
        case 3:
          bytes.insert(at, 1, alphabet[next(alphabet.size())]);
          break;
        default:
          if (!bytes.empty())
            bytes[at] = next(2) != 0 ? static_cast<char>(next(256)) : alphabet[next(alphabet.size())];
      }
    }
    write(path, bytes);
    try {
      for (const auto& [name, x] : nn::load_safetensors(path)) CHECK(x.is_contiguous());
      ++loaded;
    } catch (const FileError&) {
      ++refused;
    }
  }
  CHECK(loaded + refused == 5000);
  CHECK(loaded > 20);  // flips in the data and in names
  CHECK(refused > 2000);
}

TEST_CASE("names that can't be saved are errors, before a file exists") {
  const Folder folder;
  const std::string path = folder / "names.safetensors";
  const Tensor x = zeros({1});
  CHECK_THROWS_AS(nn::save_safetensors({{"a", x}, {"a", x}}, path), ValueError);
  CHECK_THROWS_AS(nn::save_safetensors({{"__metadata__", x}}, path), ValueError);
  CHECK_THROWS_AS(nn::save_safetensors({{"\xff", x}}, path), ValueError);
  CHECK_THROWS_AS(nn::save_safetensors({{"a", Tensor()}}, path), GraphError);
  CHECK(folder.files() == 0);
}

TEST_CASE("a save that fails leaves the old file whole and nothing beside it") {
  const Folder folder;
  const std::string path = folder / "kept.safetensors";
  nn::save_safetensors({{"old", zeros({2})}}, path);
  const std::string before = read(path);
  CHECK_THROWS_WITH_AS(nn::save_safetensors({{"a", zeros({1})}}, folder / "no/such/folder"),
                       doctest::Contains("can't be created: No such file"), FileError);

  // A limit on the size of files is a disk that fills up.
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit tight{4096, limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  std::string message;
  try {
    nn::save_safetensors({{"new", zeros({100000})}}, path);
  } catch (const FileError& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  CHECK(message.find("kept.safetensors: can't be written: File too large") != std::string::npos);
  CHECK(read(path) == before);
  CHECK(folder.files() == 1);
}

TEST_CASE("a saved file has the permissions that any new file has") {
  const Folder folder;
  const std::string path = folder / "mode.safetensors";
  const mode_t mask = umask(022);
  nn::save_safetensors({{"a", zeros({1})}}, path);
  umask(mask);
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0644);
}

TEST_SUITE_END();
