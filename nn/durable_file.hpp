#pragma once

#include <cstddef>
#include <string>

namespace wengert::nn::detail {

/// A file that appears under its name whole or not at all: written under another name in the same folder,
/// made durable, then renamed. Whatever throws, and an object that is destroyed without commit(), leaves
/// nothing behind. Errors are FileError.
class DurableFile {
 public:
  explicit DurableFile(std::string path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(const void* bytes, std::size_t count);
  void commit();

 private:
  [[noreturn]] void fail(const char* what, int error) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace wengert::nn::detail
