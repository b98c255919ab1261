#include "nn/data/byte_reader.hpp"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "autodiff/tensor/error.hpp"

namespace wengert::nn::detail {

struct ByteReader::State {
  std::FILE* file = nullptr;
  std::uint64_t length = 0;
  bool compressed = false;
  bool inflating = false;  // inside a gzip member
  z_stream stream{};
  unsigned char buffer[1 << 16];

  ~State() {
    if (compressed) inflateEnd(&stream);
    if (file != nullptr) std::fclose(file);
  }
};

ByteReader::ByteReader(const std::string& path) : path_(path), state_(new State) {
  State& s = *state_;
  std::error_code error;
  // Directories and pipes can be opened too; only a regular file has a length to check claims against.
  if (!std::filesystem::is_regular_file(path, error))
    fail(error ? "cannot be read: " + error.message() : std::string("is not a regular file"));
  s.length = std::filesystem::file_size(path, error);
  if (error) fail("cannot be read: " + error.message());
  s.file = std::fopen(path.c_str(), "rb");
  if (s.file == nullptr) fail(std::string("cannot be opened: ") + std::strerror(errno));
  s.stream.next_in = s.buffer;
  s.stream.avail_in = static_cast<uInt>(std::fread(s.buffer, 1, sizeof s.buffer, s.file));
  if (s.stream.avail_in >= 2 && s.buffer[0] == 0x1f && s.buffer[1] == 0x8b) {
    if (inflateInit2(&s.stream, 15 + 16) != Z_OK) fail("cannot be decompressed: zlib has no memory");
    s.compressed = s.inflating = true;
  }
}

ByteReader::~ByteReader() = default;

std::uint64_t ByteReader::most_bytes() const {
  // 258 bytes cost at least two bits (RFC 1951), so deflate never gains more than a factor of 1032.
  return state_->compressed ? state_->length * 1032 : state_->length;
}

void ByteReader::fail(const std::string& problem) const { throw FileError(path_, problem); }

std::size_t ByteReader::read(void* to, std::size_t count) {
  State& s = *state_;
  auto* out = static_cast<unsigned char*>(to);
  std::size_t done = 0;
  while (done < count) {
    if (s.stream.avail_in == 0) {
      s.stream.next_in = s.buffer;
      s.stream.avail_in = static_cast<uInt>(std::fread(s.buffer, 1, sizeof s.buffer, s.file));
      if (std::ferror(s.file)) fail(std::string("cannot be read: ") + std::strerror(errno));
      if (s.stream.avail_in == 0) {
        if (s.inflating) fail("is truncated: the compressed data ends too early");
        break;
      }
    }
    if (!s.compressed) {
      const std::size_t n = std::min<std::size_t>(count - done, s.stream.avail_in);
      std::memcpy(out + done, s.stream.next_in, n);
      s.stream.next_in += n;
      s.stream.avail_in -= static_cast<uInt>(n);
      done += n;
      continue;
    }
    if (!s.inflating) {  // behind a member: another one, which may begin inside this buffer
      if (inflateReset(&s.stream) != Z_OK) fail("cannot be decompressed");
      s.inflating = true;
    }
    constexpr std::size_t most = 1 << 30;  // zlib counts in 32 bits
    const uInt room = static_cast<uInt>(std::min(count - done, most));
    s.stream.next_out = out + done;
    s.stream.avail_out = room;
    const int status = inflate(&s.stream, Z_NO_FLUSH);
    done += room - s.stream.avail_out;
    if (status == Z_STREAM_END)
      s.inflating = false;
    else if (status != Z_OK && status != Z_BUF_ERROR)
      fail(std::string("is not a valid gzip file: ") +
           (s.stream.msg != nullptr ? s.stream.msg : "damaged data"));
  }
  return done;
}

}  // namespace wengert::nn::detail
