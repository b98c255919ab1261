#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

// Files for the tests of readers: a scratch folder, compression, and damage.

namespace files {

using Bytes = std::string;

/// A folder of this test, removed at its end.
struct Folder {
  std::filesystem::path path;

  Folder() {
    std::random_device random;
    path = std::filesystem::temp_directory_path() /
           ("wengert_data_test_" + std::to_string(random()) + std::to_string(random()));
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::string write(const std::string& name, const Bytes& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return *this / name;
  }
};

inline Bytes read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// One to four random injuries: bytes changed, removed, inserted, repeated, set to an extreme, the end cut
/// off.
inline Bytes damaged(Bytes bytes, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (std::size_t injuries = 1 + below(4); injuries > 0; --injuries) {
    // The front holds the header, where damage has most to break.
    const std::size_t reach = below(2) ? bytes.size() : std::min<std::size_t>(bytes.size(), 24);
    const std::size_t at = reach == 0 ? 0 : below(reach);
    switch (below(7)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, below(9), static_cast<char>(random()));
        break;
      case 4:
        bytes.erase(at, below(9));
        break;
      case 5:
        bytes += bytes.substr(at, 64);
        break;
      default:
        for (std::size_t i = at; i < std::min(at + 4, bytes.size()); ++i)
          bytes[i] = static_cast<char>(below(2) ? 0xff : 0x00);
    }
  }
  return bytes;
}

}  // namespace files
