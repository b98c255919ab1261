#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace wengert::nn::detail {

/// The bytes of a file in order, decompressed when it is a gzip file (RFC 1952, also of several members).
/// Memory is a fixed buffer whatever the file claims. Every failure is a FileError that names the file.
class ByteReader {
 public:
  explicit ByteReader(const std::string& path);
  ~ByteReader();

  const std::string& path() const { return path_; }
  /// Up to `count` bytes into `to`; fewer only at the end of the file. Throws FileError on corrupt or
  /// truncated compressed data and on bytes behind the end of it.
  std::size_t read(void* to, std::size_t count);
  /// Most bytes that the whole file can hold: its length, times the largest ratio of deflate when compressed.
  std::uint64_t most_bytes() const;
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
};

}  // namespace wengert::nn::detail
