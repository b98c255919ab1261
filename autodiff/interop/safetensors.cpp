#include "autodiff/interop/safetensors.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "autodiff/ops/structure.hpp"
#include "autodiff/tensor/durable_file.hpp"

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

namespace wengert {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* metadata_key = "__metadata__";
constexpr std::uint64_t longest_header = 100'000'000;  // the limit of the format's own implementation
constexpr int deepest_header = 4;
constexpr std::size_t data_alignment = 8;

struct TypeName {
  const char* name;
  DType dtype;
};
/// In the order of the format's own list, of which these are a part.
constexpr TypeName type_names[] = {
    {"BOOL", DType::bool_}, {"F32", DType::float32}, {"F64", DType::float64}, {"I64", DType::int64}};

const TypeName& type_name(DType dtype) {
  return *std::find_if(std::begin(type_names), std::end(type_names),
                       [&](const TypeName& t) { return t.dtype == dtype; });
}

std::uint64_t byte_size(const Tensor& x) {
  return static_cast<std::uint64_t>(x.size()) * item_size(x.dtype());
}

// ------------------------------------------------------------------------------------------------- reading

/// Where a tensor lies in the data behind the header.
struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  std::uint64_t begin;
  std::uint64_t end;
};

class Reader {
 public:
  explicit Reader(const std::string& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(fmt::format("can't be opened: {}", std::strerror(errno)));
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(descriptor_);
      fail("is not a regular file");
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
  }
  ~Reader() { ::close(descriptor_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::uint64_t size() const { return size_; }
  /// Texts out of the file may be long.
  [[noreturn]] void fail(const std::string& problem) const {
    constexpr std::size_t longest = 400;
    throw FileError(path_, problem.size() <= longest ? problem : problem.substr(0, longest) + " ...");
  }

  void read(void* to, std::uint64_t count, std::uint64_t from) const {
    char* out = static_cast<char*>(to);
    while (count > 0) {
      const ssize_t got = ::pread(descriptor_, out, count, static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(fmt::format("can't be read: {}", std::strerror(errno)));
      if (got == 0) fail("became shorter while it was read");
      out += got;
      count -= static_cast<std::uint64_t>(got);
      from += static_cast<std::uint64_t>(got);
    }
  }

 private:
  std::string path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// Parses the header. JSON allows a key twice and readers then disagree about which one counts; here it is
/// an error, as in the format's own implementation.
Json parse_header(const Reader& file, const std::string& text) {
  std::vector<std::vector<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest_header) file.fail("the header is nested too deeply");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::key) keys.back().push_back(value.get<std::string>());
    if (event == Json::parse_event_t::object_end) {
      auto& names = keys.back();
      std::sort(names.begin(), names.end());
      const auto twice = std::adjacent_find(names.begin(), names.end());
      if (twice != names.end()) file.fail(fmt::format("the header has the key \"{}\" twice", *twice));
      keys.pop_back();
    }
    return true;
  };
  Json header;
  try {
    header = Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {
    file.fail(fmt::format("the header is not JSON: {}", error.what()));
  }
  if (!header.is_object()) file.fail("the header is not a JSON object");
  return header;
}

Entry parse_entry(const Reader& file, const std::string& name, const Json& json) {
  const auto fail = [&](const std::string& problem) {
    file.fail(fmt::format("tensor \"{}\": {}", name, problem));
  };
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    fail("expected an object of dtype, shape and data_offsets");
  Entry entry{name, DType::bool_, {}, 0, 0};

  const Json& dtype = json["dtype"];
  const auto* type = std::find_if(std::begin(type_names), std::end(type_names),
                                  [&](const TypeName& t) { return dtype == t.name; });
  if (type == std::end(type_names))
    fail(fmt::format("element type {} is none of BOOL, I64, F32, F64", dtype.dump()));
  entry.dtype = type->dtype;

  const Json& shape = json["shape"];
  if (!shape.is_array() || shape.size() > static_cast<std::size_t>(max_ndim))
    fail(fmt::format("the shape must be a list of at most {} numbers", max_ndim));
  // Lengths beside a zero count too: the strides of an empty tensor are their products.
  std::uint64_t room = item_size(entry.dtype);
  for (const Json& length : shape) {
    if (!length.is_number_unsigned()) fail("the shape must be a list of whole numbers");
    const auto n = length.get<std::uint64_t>();
    if (n != 0 && (__builtin_mul_overflow(room, n, &room) || room > static_cast<std::uint64_t>(INT64_MAX)))
      fail("its number of elements overflows");
    entry.shape.push_back(static_cast<std::int64_t>(n));
  }
  const std::uint64_t bytes = entry.shape.elements() == 0 ? 0 : room;

  const Json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    fail("data_offsets must be two whole numbers");
  entry.begin = offsets[0].get<std::uint64_t>();
  entry.end = offsets[1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end - entry.begin != bytes)
    fail(fmt::format("data_offsets [{}, {}] must hold the {} bytes of {}", entry.begin, entry.end, bytes,
                     describe(entry.dtype, entry.shape)));
  return entry;
}

Metadata parse_metadata(const Reader& file, const Json& json) {
  Metadata metadata;
  if (!json.is_object()) file.fail("__metadata__ must be an object of texts");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) file.fail(fmt::format("__metadata__ \"{}\" must be a text", key));
    metadata.push_back({key, value.get<std::string>()});
  }
  return metadata;
}

struct Header {
  std::vector<Entry> entries;  ///< in the order of names
  Metadata metadata;
  std::uint64_t data_start = 0;
};

/// Everything that can be wrong is found here, before anything is read into tensors.
Header read_header(const Reader& file) {
  std::uint64_t length = 0;
  if (file.size() < sizeof length)
    file.fail(
        fmt::format("is truncated: expected 8 bytes with the header's length, the file has {}", file.size()));
  file.read(&length, sizeof length, 0);
  if (length > longest_header)
    file.fail(fmt::format("expected a header of at most {} bytes, it claims {}", longest_header, length));
  if (length > file.size() - sizeof length)
    file.fail(fmt::format("is truncated: expected a header of {} bytes, the file has {}", length,
                          file.size() - sizeof length));
  std::string text(length, '\0');
  file.read(text.data(), length, sizeof length);
  if (text.empty() || text[0] != '{') file.fail("is not a safetensors file: the header must begin with '{'");
  const Json json = parse_header(file, text);

  Header header;
  header.data_start = sizeof length + length;
  for (const auto& [name, value] : json.items()) {
    if (name == metadata_key)
      header.metadata = parse_metadata(file, value);
    else
      header.entries.push_back(parse_entry(file, name, value));
  }

  std::vector<const Entry*> by_place;
  for (const Entry& e : header.entries) by_place.push_back(&e);
  std::sort(by_place.begin(), by_place.end(), [](const Entry* a, const Entry* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  std::uint64_t place = 0;
  for (const Entry* e : by_place) {
    if (e->begin != place)
      file.fail(fmt::format("tensor \"{}\" begins at byte {} of the data, expected {}: the tensors {}",
                            e->name, e->begin, place, e->begin < place ? "overlap" : "leave a gap"));
    place = e->end;
  }
  const std::uint64_t present = file.size() - header.data_start;
  if (place != present)
    file.fail(fmt::format("is {}: expected {} bytes of data, the file has {}",
                          place > present ? "truncated" : "too long", place, present));
  return header;
}

Tensor read_tensor(const Reader& file, const Entry& entry, std::uint64_t data_start) {
  Tensor result = Tensor::adopt(detail::new_tensor(entry.dtype, entry.shape));
  std::byte* bytes = result.impl().data;
  file.read(bytes, entry.end - entry.begin, data_start + entry.begin);
  if (entry.dtype == DType::bool_ &&
      std::any_of(bytes, bytes + (entry.end - entry.begin), [](std::byte b) { return b > std::byte{1}; }))
    file.fail(fmt::format("tensor \"{}\": a BOOL must be 0 or 1", entry.name));
  return result;
}

// ------------------------------------------------------------------------------------------------- writing

std::string header_text(const NamedTensors& tensors, const Metadata& metadata) {
  OrderedJson header = OrderedJson::object();
  if (!metadata.empty()) {
    OrderedJson texts = OrderedJson::object();
    for (const MetadataEntry& entry : metadata) texts[entry.key] = entry.value;
    header[metadata_key] = std::move(texts);
  }
  std::uint64_t place = 0;
  for (const NamedTensor& t : tensors) {
    OrderedJson shape = OrderedJson::array();
    for (const std::int64_t n : t.tensor.shape()) shape.push_back(n);
    const std::uint64_t end = place + byte_size(t.tensor);
    header[t.name] = {
        {"dtype", type_name(t.tensor.dtype()).name}, {"shape", shape}, {"data_offsets", {place, end}}};
    place = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const OrderedJson::exception& error) {
    throw ValueError("save_safetensors", std::string("a name or text is not UTF-8: ") + error.what());
  }
  text.append((data_alignment - text.size() % data_alignment) % data_alignment, ' ');
  return text;
}

}  // namespace

void save_safetensors(const NamedTensors& tensors, const std::string& path, const Metadata& metadata) {
  // The order of the format's own implementation, which keeps every tensor aligned to its elements: the same
  // tensors give the same bytes.
  NamedTensors sorted;
  for (const NamedTensor& t : tensors) {
    if (t.name == metadata_key)
      throw ValueError("save_safetensors", "the name __metadata__ is reserved for texts");
    sorted.push_back({t.name, contiguous(stop_gradient(t.tensor))});
  }
  std::sort(sorted.begin(), sorted.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const TypeName* type_a = &type_name(a.tensor.dtype());
    const TypeName* type_b = &type_name(b.tensor.dtype());
    return type_a != type_b ? type_a > type_b : a.name < b.name;
  });
  std::vector<std::string> names;
  for (const NamedTensor& t : sorted) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw ValueError("save_safetensors", "the name '" + *twice + "' comes twice");

  const std::string header = header_text(sorted, metadata);
  const std::uint64_t length = header.size();
  if (length > longest_header) throw ValueError("save_safetensors", "names and texts are longer than 100 MB");
  detail::DurableFile file(path);
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (const NamedTensor& t : sorted) file.write(t.tensor.impl().data, byte_size(t.tensor));
  file.commit();
}

NamedTensors load_safetensors(const std::string& path, Metadata* metadata) {
  const Reader file(path);
  Header header = read_header(file);
  NamedTensors result;
  for (const Entry& entry : header.entries)
    result.push_back({entry.name, read_tensor(file, entry, header.data_start)});
  if (metadata != nullptr) *metadata = std::move(header.metadata);
  return result;
}

}  // namespace wengert
