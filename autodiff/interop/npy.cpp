#include "autodiff/interop/npy.hpp"

#include <sys/stat.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

#include "autodiff/tensor/durable_file.hpp"

namespace wengert {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr bool little_endian_machine = std::endian::native == std::endian::little;
static_assert(little_endian_machine || std::endian::native == std::endian::big);

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw FileError(path, problem);
}

/// What the header tells.
struct Header {
  char kind = 0;  // b, i, u or f
  int bytes = 0;  // of one element
  bool swapped = false;
  bool fortran_order = false;
  Shape shape;
};

// The header is a Python dictionary with exactly three entries, e.g.
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  Header parse() {
    Header header;
    std::optional<std::string_view> descr;
    bool order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted("a key in quotes");
      expect(':');
      if (key == "descr" && !descr) {
        if (peek() != '\'' && peek() != '"')
          fail(path_, "holds records; expected one element type, such as '<f4'");
        descr = quoted("an element type");
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = dimensions();
        shape = true;
      } else {
        fail(path_, "the .npy header has an unknown or repeated key '" + printable(key) + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!descr || !order || !shape)
      fail(path_, "the .npy header lacks one of 'descr', 'fortran_order' and 'shape'");
    if (peek() != 0) refuse("the end");
    element_type(*descr, header);
    return header;
  }

 private:
  // The next character that is no white space; 0 at the end.
  char peek() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(std::string("'") + c + "'");
  }
  [[noreturn]] void refuse(const std::string& expected) {
    fail(path_,
         "the .npy header is not understood at character " + std::to_string(at_) + ": expected " + expected);
  }
  static std::string printable(std::string_view text) {
    std::string result(text.substr(0, 40));
    for (char& c : result)
      if (c < ' ' || c > '~') c = '?';
    return result;
  }

  std::string_view quoted(const char* what) {
    const char quote = peek();
    if (quote != '\'' && quote != '"') refuse(what);
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) refuse("a closing quote");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    refuse("True or False");
  }
  std::int64_t integer() {
    if (peek() < '0' || peek() > '9') refuse("a length");
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        refuse("a length that fits 64 bits");
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
    return value;
  }
  Shape dimensions() {
    Shape shape;
    std::int64_t product = 1;  // of the lengths that are not 0: strides have to fit as well
    bool separated = true;
    expect('(');
    while (!accept(')')) {
      if (!separated) refuse("',' or ')'");
      const std::int64_t length = integer();
      if (shape.size() == max_ndim) fail(path_, "the array has more than 8 dimensions");
      if (length > 0 && __builtin_mul_overflow(product, length, &product))
        fail(path_, "the array's shape has more elements than fit 64 bits");
      shape.push_back(length);
      separated = accept(',');
      if (!separated && shape.size() == 1) refuse("',': one length alone is no tuple");
    }
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(product, 8, &bytes))
      fail(path_, "the array's shape has more bytes than fit 64 bits");
    return shape;
  }
  void element_type(std::string_view descr, Header& header) {
    const char order = descr.empty() ? '\0' : descr[0];
    const std::string_view type = descr.substr(order == '<' || order == '>' || order == '=' || order == '|');
    for (const std::string_view known :
         {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
      if (type == known) {
        header.kind = type[0];
        header.bytes = type[1] - '0';
      }
    if (type == "?") header.kind = 'b', header.bytes = 1;
    if (header.bytes == 0)
      fail(path_, "elements of type '" + printable(descr) +
                      "'; expected float (f2, f4, f8), integer (i1 to i8, u1 to u8) or bool (b1)");
    header.swapped = order == (little_endian_machine ? '>' : '<');
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t at_ = 0;
};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// A file that is read from its beginning, whose length is known: nothing is allocated on the word of a
// header.
class Input {
 public:
  explicit Input(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rbe")) {
    if (file_ == nullptr) fail(path, std::string("can't be opened: ") + std::strerror(errno));
    struct stat status;
    if (::fstat(::fileno(file_.get()), &status) != 0 || !S_ISREG(status.st_mode)) fail(path, "is not a file");
    left_ = static_cast<std::uint64_t>(status.st_size);
  }
  std::uint64_t left() const { return left_; }
  void read(void* to, std::size_t count, const char* what) {
    if (count > left_ || std::fread(to, 1, count, file_.get()) != count)
      fail(path_, std::string("ends within ") + what + "; the file is truncated");
    left_ -= count;
  }

 private:
  const std::string& path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::uint64_t left_ = 0;
};

Header read_header(const std::string& path, Input& file) {
  unsigned char start[12];
  if (file.left() < magic.size()) fail(path, "is not a .npy file: it is too short");
  file.read(start, magic.size(), "the magic string");
  if (std::memcmp(start, magic.data(), magic.size()) != 0)
    fail(path, "is not a .npy file: expected it to begin with \\x93NUMPY");
  file.read(start, 2, "the version");
  const int major = start[0], minor = start[1];
  if (major < 1 || major > 3 || minor != 0)
    fail(path, "has .npy format " + std::to_string(major) + "." + std::to_string(minor) +
                   "; expected 1.0, 2.0 or 3.0");
  const std::size_t width = major == 1 ? 2 : 4;
  file.read(start, width, "the header's length");
  std::size_t length = 0;
  for (std::size_t i = width; i-- > 0;) length = length << 8 | start[i];
  if (length > file.left()) fail(path, "ends within the .npy header; the file is truncated");
  std::string text(length, '\0');
  file.read(text.data(), length, "the .npy header");
  return HeaderParser(path, text).parse();
}

double half_to_double(std::uint16_t h) {
  const int exponent = h >> 10 & 31;
  const int fraction = h & 1023;
  double value;
  if (exponent == 31)
    value =
        fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  else if (exponent == 0)
    value = fraction * 0x1p-24;
  else
    value = static_cast<double>(fraction + 1024) * static_cast<double>(1 << exponent) * 0x1p-25;
  return h >> 15 ? -value : value;
}

// `count` elements of the file's type, at `from`, to consecutive elements of the tensor's type.
template <class Raw, class T>
void convert(const std::string& path, const std::byte* from, std::int64_t count, T* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    Raw raw;
    std::memcpy(&raw, from + static_cast<std::size_t>(i) * sizeof raw, sizeof raw);
    if constexpr (std::is_same_v<T, bool>) {
      to[i] = raw != 0;
    } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Raw, std::uint16_t>) {
      to[i] = static_cast<float>(half_to_double(raw));
    } else {
      if constexpr (std::is_same_v<T, std::int64_t> && std::is_same_v<Raw, std::uint64_t>)
        if (raw > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
          fail(path, "holds the uint64 value " + std::to_string(raw) + ", which doesn't fit int64");
      to[i] = static_cast<T>(raw);
    }
  }
}

template <class T>
void convert(const std::string& path, const Header& header, const std::byte* from, std::int64_t count,
             T* to) {
  const auto raw = [&]<class Raw>(Raw) { convert<Raw>(path, from, count, to); };
  if constexpr (std::is_same_v<T, bool>) return raw(std::uint8_t{});
  if constexpr (std::is_same_v<T, float>) return header.bytes == 2 ? raw(std::uint16_t{}) : raw(float{});
  if constexpr (std::is_same_v<T, double>) return raw(double{});
  if constexpr (std::is_same_v<T, std::int64_t>) {
    const bool is_signed = header.kind == 'i';
    switch (header.bytes) {
      case 1:
        return is_signed ? raw(std::int8_t{}) : raw(std::uint8_t{});
      case 2:
        return is_signed ? raw(std::int16_t{}) : raw(std::uint16_t{});
      case 4:
        return is_signed ? raw(std::int32_t{}) : raw(std::uint32_t{});
      default:
        return is_signed ? raw(std::int64_t{}) : raw(std::uint64_t{});
    }
  }
}

void swap_bytes(std::byte* data, std::size_t bytes, std::size_t item) {
  for (std::size_t i = 0; i < bytes; i += item)
    for (std::size_t a = i, b = i + item - 1; a < b; ++a, --b) std::swap(data[a], data[b]);
}

// Walks the elements of a strided array in row-major order; f(offset of the element).
template <class F>
void for_each_offset(const Shape& shape, const Strides& strides, F&& f) {
  Shape index = Shape::filled(shape.size(), 0);
  std::int64_t at = 0;
  for (std::int64_t n = shape.elements(); n > 0; --n) {
    f(at);
    for (int axis = shape.size() - 1; axis >= 0; --axis) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

template <class T>
Tensor read_elements(const std::string& path, Input& file, const Header& header) {
  constexpr std::int64_t block = 4096;
  std::byte buffer[block * 8];
  const Shape& shape = header.shape;
  Shape as_written = shape;  // the first index runs fastest in Fortran order: the transpose in C order
  if (header.fortran_order)
    for (int i = 0; i < shape.size(); ++i) as_written[i] = shape[shape.size() - 1 - i];
  Tensor result = Tensor::adopt(detail::new_tensor(dtype_of<T>, as_written));
  T* out = result.impl().as<T>();
  for (std::int64_t left = result.size(); left > 0;) {
    const std::int64_t count = std::min(left, block);
    const std::size_t bytes = static_cast<std::size_t>(count) * static_cast<std::size_t>(header.bytes);
    file.read(buffer, bytes, "the elements");
    if (header.swapped) swap_bytes(buffer, bytes, static_cast<std::size_t>(header.bytes));
    convert(path, header, buffer, count, out);
    out += count;
    left -= count;
  }
  if (!header.fortran_order || shape.size() < 2) return result;
  const Strides reversed = contiguous_strides(as_written);
  Strides strides = reversed;
  for (int i = 0; i < shape.size(); ++i) strides[i] = reversed[shape.size() - 1 - i];
  Tensor ordered = Tensor::adopt(detail::new_tensor(dtype_of<T>, shape));
  const T* from = result.impl().as<T>();
  T* to = ordered.impl().as<T>();
  for_each_offset(shape, strides, [&](std::int64_t at) { *to++ = from[at]; });
  return ordered;
}

}  // namespace

Tensor load_npy(const std::string& path) {
  Input file(path);
  const Header header = read_header(path, file);
  const std::uint64_t expected =
      static_cast<std::uint64_t>(header.shape.elements()) * static_cast<std::uint64_t>(header.bytes);
  if (file.left() != expected)
    fail(path, std::string(file.left() < expected ? "is truncated" : "goes on after its last element") +
                   ": " + to_string(header.shape) + " elements of " + std::to_string(header.bytes) +
                   " bytes need " + std::to_string(expected) + " bytes after the header, the file has " +
                   std::to_string(file.left()));
  if (header.kind == 'b') return read_elements<bool>(path, file, header);
  if (header.kind != 'f') return read_elements<std::int64_t>(path, file, header);
  if (header.bytes == 8) return read_elements<double>(path, file, header);
  return read_elements<float>(path, file, header);
}

void save_npy(const std::string& path, const Tensor& x) {
  const detail::TensorImpl& impl = x.impl();
  constexpr const char* types[] = {"b1", "i8", "f4", "f8"};
  std::string text = "{'descr': '";
  text += impl.dtype == DType::bool_ ? '|' : little_endian_machine ? '<' : '>';
  text += types[static_cast<int>(impl.dtype)];
  text += "', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < impl.shape.size(); ++i) {
    if (i > 0) text += ' ';
    text += std::to_string(impl.shape[i]);
    if (i == 0 || i + 1 < impl.shape.size()) text += ',';
  }
  text += "), }";
  constexpr std::size_t before = 10;                   // bytes in front of the text
  text.append(63 - (before + text.size()) % 64, ' ');  // the elements begin at a multiple of 64
  text += '\n';

  detail::DurableFile file(path);
  file.write(magic.data(), magic.size());
  const unsigned char version_and_length[] = {1, 0, static_cast<unsigned char>(text.size() & 255),
                                              static_cast<unsigned char>(text.size() >> 8)};
  file.write(version_and_length, sizeof version_and_length);
  file.write(text.data(), text.size());
  const std::size_t item = item_size(impl.dtype);
  if (impl.contiguous) {
    file.write(impl.data, static_cast<std::size_t>(impl.size) * item);
  } else {
    std::byte buffer[1 << 15];
    std::size_t used = 0;
    for_each_offset(impl.shape, impl.strides, [&](std::int64_t at) {
      std::memcpy(buffer + used, impl.data + at * static_cast<std::int64_t>(item), item);
      used += item;
      if (used == sizeof buffer) file.write(buffer, std::exchange(used, 0));
    });
    file.write(buffer, used);
  }
  file.commit();
}

}  // namespace wengert
