// The text of a tensor, laid out as NumPy does with its default options: precision 8, threshold 1000,
// edgeitems 3, linewidth 75, floatmode maxprec. The rules are those of NumPy 2.4; earlier ones differ for
// float32 values of 1e6 and more, which they write with an exponent only from 1e8 on.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>
#include <string_view>

#include "autodiff/tensor/tensor.hpp"

namespace wengert {
namespace {

constexpr int precision = 8;
constexpr std::int64_t threshold = 1000;
constexpr std::int64_t edge_items = 3;
constexpr std::size_t line_width = 75;

template <class... A>
std::string number_text(A... arguments) {
  char buffer[400];  // the longest: a float64 below 1e16 with 8 digits behind the point, or 1.7e308 and the
                     // like
  const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof buffer, arguments...);
  return {buffer, end.ptr};
}

void trim_zeros(std::string& text) {
  while (text.back() == '0') text.pop_back();
}

// The digits of a decimal number with a point: "12", "5" of 12.5.
struct Parts {
  std::size_t before, after;
};
Parts parts_of(std::string_view text) {
  const std::size_t point = text.find('.');
  return {point, text.size() - point - 1};
}

// At most `precision` digits behind the point, and no more than tell the number from its neighbours; always
// with a point: "12.", "0.1", "0.33333333".
template <class T>
std::string positional(T value) {
  std::string text = number_text(value, std::chars_format::fixed);
  if (text.find('.') == std::string::npos) return text + '.';
  if (parts_of(text).after > precision) {
    text = number_text(value, std::chars_format::fixed, precision);
    trim_zeros(text);
  }
  return text;
}

struct Scientific {
  std::string mantissa, exponent;  // "1.5", "+07"
};
Scientific split(std::string text) {
  const std::size_t e = text.find('e');
  Scientific s{text.substr(0, e), text.substr(e + 1)};
  if (s.mantissa.find('.') == std::string::npos) s.mantissa += '.';
  return s;
}

template <class T>
Scientific scientific(T value) {
  Scientific s = split(number_text(value, std::chars_format::scientific));
  if (parts_of(s.mantissa).after > precision) {
    s = split(number_text(value, std::chars_format::scientific, precision));
    trim_zeros(s.mantissa);
  }
  return s;
}

void pad_left(std::string& text, std::size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
}

// How all elements of one floating tensor are written, so that their points stand below each other.
template <class T>
class FloatFormat {
 public:
  explicit FloatFormat(const std::vector<T>& values) {
    T largest = 0, smallest = 0;
    for (T v : values) {
      if (!std::isfinite(v) || v == 0) continue;
      largest = std::max(largest, std::abs(v));
      smallest = smallest == 0 ? std::abs(v) : std::min(smallest, std::abs(v));
    }
    constexpr T cutoff = sizeof(T) == 4 ? T(1e6) : T(1e8);
    exponents_ = largest != 0 && (largest >= cutoff || smallest < T(0.0001) || largest / smallest > T(1000));
    for (T v : values) {
      if (!std::isfinite(v)) continue;
      const Scientific s = exponents_ ? scientific(v) : Scientific{positional(v), "+"};
      const Parts parts = parts_of(s.mantissa);
      before_ = std::max(before_, parts.before);
      after_ = std::max(after_, parts.after);
      exponent_digits_ = std::max(exponent_digits_, s.exponent.size() - 1);
    }
    // Words for what is not finite end where the numbers end.
    width_after_ = exponents_ ? exponent_digits_ + 2 + after_ : after_;
    for (T v : values)
      if (!std::isfinite(v)) {
        const std::size_t length = std::isinf(v) && v < 0 ? 4 : 3;
        before_ = std::max(before_, length - std::min(length, width_after_ + 1));
      }
  }

  std::string operator()(T value) const {
    std::string text;
    if (std::isnan(value)) {
      text = "nan";
    } else if (std::isinf(value)) {
      text = value < 0 ? "-inf" : "inf";
    } else if (exponents_) {
      Scientific s = split(number_text(value, std::chars_format::scientific, static_cast<int>(after_)));
      if (s.exponent.size() - 1 < exponent_digits_)
        s.exponent.insert(1, exponent_digits_ + 1 - s.exponent.size(), '0');
      text = s.mantissa + 'e' + s.exponent;
    } else {
      text = positional(value);
      text.append(after_ - parts_of(text).after, ' ');
    }
    pad_left(text, before_ + 1 + width_after_);
    return text;
  }

 private:
  bool exponents_ = false;
  std::size_t before_ = 0, after_ = 0, width_after_ = 0, exponent_digits_ = 0;
};

// A single number, as it is written alone.
template <class T>
std::string alone(T value) {
  if (!std::isfinite(value)) return FloatFormat<T>({value})(value);
  const double size = std::abs(value);
  if (size == 0 || (size >= 1e-4 && size < (sizeof(T) == 4 ? 1e6 : 1e16))) {
    const std::string text = number_text(value, std::chars_format::fixed);
    return text.find('.') == std::string::npos ? text + ".0" : text;
  }
  return number_text(value, std::chars_format::scientific);
}
std::string alone(std::int64_t value) { return number_text(value); }
std::string alone(bool value) { return value ? "True" : "False"; }

template <class T>
std::vector<std::string> format_all(const std::vector<T>& values) {
  std::vector<std::string> words;
  words.reserve(values.size());
  if constexpr (std::is_floating_point_v<T>) {
    const FloatFormat<T> format(values);
    for (T v : values) words.push_back(format(v));
  } else {
    std::size_t width = 0;
    for (T v : values) words.push_back(alone(v));
    for (const std::string& w : words) width = std::max(width, w.size());
    if (std::is_same_v<T, bool>) width = 5;
    for (std::string& w : words) pad_left(w, width);
  }
  return words;
}

// Which positions of an axis are shown: all, or its ends.
struct Shown {
  bool shortened;
  template <class F, class G>
  void operator()(std::int64_t length, F&& show, G&& gap) const {
    const bool cut = shortened && length > 2 * edge_items;
    for (std::int64_t i = 0; i < length; ++i) {
      if (cut && i == edge_items) {
        gap();
        i = length - edge_items;
      }
      show(i);
    }
  }
};

template <class T>
void collect(const detail::TensorImpl& x, Shown shown, int axis, std::int64_t at, std::vector<T>& out) {
  if (axis == x.shape.size()) return out.push_back(x.as<T>()[at]);
  shown(
      x.shape[axis], [&](std::int64_t i) { collect(x, shown, axis + 1, at + i * x.strides[axis], out); },
      [] {});
}

// Puts the words of the shown elements, in row-major order, into brackets and lines.
class Layout {
 public:
  Layout(const Shape& shape, Shown shown, const std::vector<std::string>& words)
      : shape_(shape), shown_(shown), word_(words.begin()) {}

  // `indent` stands in front of every further line; a line may be `width` long.
  std::string operator()(int axis, const std::string& indent, std::size_t width) {
    return axis + 1 == shape_.size() ? row(axis, indent, width) : rows(axis, indent, width);
  }

 private:
  std::string row(int axis, const std::string& indent, std::size_t width) {
    std::string text, line = indent;
    bool first = true;
    const auto add = [&](const std::string& word) {
      if (!first) line += ' ';
      first = false;
      if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
        line = indent;
      }
      line += word;
    };
    shown_(
        shape_[axis], [&](std::int64_t) { add(*word_++); }, [&] { add("..."); });
    return '[' + (text + line).substr(indent.size()) + ']';
  }

  std::string rows(int axis, const std::string& indent, std::size_t width) {
    std::string text;
    const std::string between(static_cast<std::size_t>(shape_.size() - axis - 1), '\n');
    const auto add = [&](const std::string& part) {
      if (!text.empty()) text += between + indent;
      text += part;
    };
    shown_(
        shape_[axis], [&](std::int64_t) { add((*this)(axis + 1, indent + ' ', width - 1)); },
        [&] { add("..."); });
    return '[' + text + ']';
  }

  const Shape& shape_;
  Shown shown_;
  std::vector<std::string>::const_iterator word_;
};

template <class T>
std::string text_of(const detail::TensorImpl& x) {
  if (x.shape.empty()) return alone(x.as<T>()[0]);
  if (x.size == 0) return "[]";
  const Shown shown{x.size > threshold};
  std::vector<T> values;
  collect(x, shown, 0, 0, values);
  const std::vector<std::string> words = format_all(values);
  return Layout(x.shape, shown, words)(0, " ", line_width);
}

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "an empty tensor";
  detail::check_readable(x.impl(), "to_string", {});
  switch (x.dtype()) {
    case DType::bool_:
      return text_of<bool>(x.impl());
    case DType::int64:
      return text_of<std::int64_t>(x.impl());
    case DType::float32:
      return text_of<float>(x.impl());
    case DType::float64:
      return text_of<double>(x.impl());
  }
  __builtin_unreachable();
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }

}  // namespace wengert
