#include "nn/data/idx.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <limits>
#include <system_error>
#include <vector>

#include "autodiff/ops/structure.hpp"
#include "nn/data/byte_reader.hpp"

namespace wengert::nn::datasets {
namespace {

using nn::detail::ByteReader;

struct Header {
  int type = 0;
  std::size_t item = 0;  // bytes of an element in the file
  Shape shape;

  bool integers() const { return type <= 0x0C; }
};

std::uint32_t big_endian(const unsigned char* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 |
         std::uint32_t{p[3]};
}

std::string hex(const unsigned char* p, int count) {
  constexpr char digit[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < count; ++i) (text += i == 0 ? "" : " ").append({digit[p[i] >> 4], digit[p[i] & 15]});
  return text;
}

std::size_t bytes_of(int type) {
  switch (type) {
    case 0x08:
    case 0x09:
      return 1;
    case 0x0B:
      return 2;
    case 0x0C:
    case 0x0D:
      return 4;
    case 0x0E:
      return 8;
    default:
      return 0;
  }
}

// Reads and checks everything in front of the elements, and their number against the file's length.
Header read_header(ByteReader& file) {
  unsigned char magic[4];
  const std::size_t got = file.read(magic, 4);
  if (got < 4) file.fail("is truncated: expected an IDX header of 4 bytes, found " + std::to_string(got));
  Header header{.type = magic[2], .item = bytes_of(magic[2]), .shape = {}};
  if (magic[0] != 0 || magic[1] != 0 || header.item == 0)
    file.fail("expected an IDX file, which begins with 00 00 and a type 08, 09, 0b, 0c, 0d or 0e; found " +
              hex(magic, 4));
  const int ndim = magic[3];
  if (ndim < 1 || ndim > max_ndim)
    file.fail("expected 1 to " + std::to_string(max_ndim) + " dimensions, found " + std::to_string(ndim));
  unsigned char dims[4 * max_ndim];
  if (file.read(dims, 4 * static_cast<std::size_t>(ndim)) < 4 * static_cast<std::size_t>(ndim))
    file.fail("is truncated: expected " + std::to_string(ndim) + " dimensions");
  // Dimensions have 32 bits, so a product that passes the limit is noticed before it can overflow.
  const std::uint64_t limit = file.most_bytes() / header.item;
  std::uint64_t elements = 1;
  bool too_many = false;
  for (int i = 0; i < ndim; ++i) {
    const std::uint64_t d = big_endian(dims + 4 * i);
    header.shape.push_back(static_cast<std::int64_t>(d));
    if (d != 0 && elements > std::numeric_limits<std::uint64_t>::max() / d) too_many = true;
    if (!too_many) elements *= d;
  }
  // A zero among huge dimensions is refused as well: other code multiplies them.
  std::uint64_t nonzero = 1;
  for (std::int64_t d : header.shape) {
    if (d == 0) continue;
    if (nonzero > (std::uint64_t{1} << 62) / static_cast<std::uint64_t>(d))
      too_many = true;
    else
      nonzero *= static_cast<std::uint64_t>(d);
  }
  if (too_many || elements > limit)
    file.fail("is truncated: its dimensions " + to_string(header.shape) + " with elements of " +
              std::to_string(header.item) + " bytes need more than the file can hold");
  return header;
}

template <class To>
void convert(const unsigned char* from, int type, std::size_t count, double scale, To* to) {
  const auto each = [&](auto value_at) {
    for (std::size_t i = 0; i < count; ++i) {
      if constexpr (std::is_integral_v<To>)
        to[i] = static_cast<To>(value_at(i));
      else
        to[i] = static_cast<To>(static_cast<double>(value_at(i)) * scale);
    }
  };
  switch (type) {
    case 0x08:
      return each([&](std::size_t i) { return from[i]; });
    case 0x09:
      return each([&](std::size_t i) { return static_cast<signed char>(from[i]); });
    case 0x0B:
      return each([&](std::size_t i) {
        return static_cast<std::int16_t>(static_cast<std::uint16_t>(from[2 * i] << 8 | from[2 * i + 1]));
      });
    case 0x0C:
      return each([&](std::size_t i) { return static_cast<std::int32_t>(big_endian(from + 4 * i)); });
    case 0x0D:
      return each([&](std::size_t i) { return std::bit_cast<float>(big_endian(from + 4 * i)); });
    default:
      return each([&](std::size_t i) {
        return std::bit_cast<double>(std::uint64_t{big_endian(from + 8 * i)} << 32 |
                                     big_endian(from + 8 * i + 4));
      });
  }
}

Tensor read_elements(ByteReader& file, const Header& header, DType dtype, double scale) {
  Tensor result = Tensor::adopt(wengert::detail::new_tensor(dtype, header.shape));
  wengert::detail::TensorImpl& impl = result.impl();
  const std::size_t elements = static_cast<std::size_t>(impl.size);
  std::vector<unsigned char> chunk(std::min<std::size_t>(elements, 1 << 13) * header.item);
  for (std::size_t done = 0; done < elements;) {
    const std::size_t want = std::min(elements - done, chunk.size() / header.item);
    const std::size_t got = file.read(chunk.data(), want * header.item);
    if (got < want * header.item)
      file.fail("is truncated: expected " + std::to_string(elements * header.item) +
                " bytes of elements, found " + std::to_string(done * header.item + got));
    if (dtype == DType::float32) convert(chunk.data(), header.type, want, scale, impl.as<float>() + done);
    if (dtype == DType::float64) convert(chunk.data(), header.type, want, scale, impl.as<double>() + done);
    if (dtype == DType::int64)
      convert(chunk.data(), header.type, want, scale, impl.as<std::int64_t>() + done);
    done += want;
  }
  unsigned char more;
  if (file.read(&more, 1) != 0)
    file.fail("is too long: its dimensions " + to_string(header.shape) + " account for " +
              std::to_string(elements * header.item) + " bytes of elements, and more follow");
  return result;
}

Tensor read(const std::string& path, DType dtype, double scale, bool scale_bytes) {
  ByteReader file(path);
  const Header header = read_header(file);
  if (dtype == DType::int64 && !header.integers())
    file.fail("expected integers, found IDX elements of floating type");
  return read_elements(file, header, dtype, scale_bytes && header.type == 0x08 ? 1.0 / 255 : scale);
}

std::string find(const std::string& folder, const std::string& part, const char* dims) {
  std::error_code ignored;
  for (const char* dash : {"-", "."})
    for (const char* suffix : {"", ".gz"}) {
      std::string path = folder + "/" + part + dash + dims + "-ubyte" + suffix;
      if (std::filesystem::exists(path, ignored)) return path;
    }
  throw FileError(folder + "/" + part + "-" + dims + "-ubyte.gz",
                  "expected the file here, with or without the .gz, of MNIST's four");
}

}  // namespace

Tensor read_idx(const std::string& path, DType dtype, double scale) {
  if (dtype == DType::bool_) throw DTypeError("read_idx", "IDX files are not read as bool");
  if (dtype == DType::int64 && scale != 1.0) throw ValueError("read_idx", "int64 elements are not scaled");
  return read(path, dtype, scale, false);
}

Dataset idx(const std::string& examples, const std::string& labels, const IdxOptions& options) {
  if (options.dtype == DType::bool_) throw DTypeError("idx", "IDX files are not read as bool");
  if (options.dtype == DType::int64 && options.scaled)
    throw ValueError("idx", "int64 examples are not scaled; say {.dtype = DType::int64, .scaled = false}");
  Tensor y = read_idx(labels, DType::int64);  // the small file first
  if (y.ndim() != 1)
    throw FileError(labels, "expected a list of labels, found dimensions " + to_string(y.shape()));
  Tensor x = read(examples, options.dtype, 1.0, options.scaled);
  if (x.shape()[0] != y.shape()[0])
    throw FileError(labels, "expected one label for each of the " + std::to_string(x.shape()[0]) +
                                " examples of " + examples + ", found " + std::to_string(y.shape()[0]));
  return {std::move(x), std::move(y)};
}

Split mnist(const std::string& folder) {
  const auto part = [&](const std::string& name) {
    const std::string images = find(folder, name + "-images", "idx3");
    const std::string labels = find(folder, name + "-labels", "idx1");
    Dataset data = idx(images, labels);
    if (data.x.ndim() != 3 || data.x.shape()[1] != 28 || data.x.shape()[2] != 28)
      throw FileError(images,
                      "expected images of 28 x 28 pixels, found dimensions " + to_string(data.x.shape()));
    for (std::int64_t label : data.y.span<std::int64_t>())
      if (label < 0 || label > 9)
        throw FileError(labels, "expected labels 0 .. 9, found " + std::to_string(label));
    return Dataset(reshape(data.x, {data.size(), 784}), data.y);
  };
  return {part("train"), part("t10k")};
}

}  // namespace wengert::nn::datasets
