#include "io/npy_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <limits>
#include <utility>

#include "core/error.h"
#include "io/shape_bytes.h"

namespace softmoe {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kAlignment = 64;
constexpr int64_t kMaxAxes = 64;

struct DtypeRow {
  std::string_view code;  // without the byte order
  torch::Dtype dtype;
};
constexpr std::array kDtypes = {
    DtypeRow{"b1", torch::kBool},     DtypeRow{"u1", torch::kUInt8},
    DtypeRow{"i1", torch::kInt8},     DtypeRow{"u2", torch::kUInt16},
    DtypeRow{"i2", torch::kInt16},    DtypeRow{"u4", torch::kUInt32},
    DtypeRow{"i4", torch::kInt32},    DtypeRow{"u8", torch::kUInt64},
    DtypeRow{"i8", torch::kInt64},    DtypeRow{"f2", torch::kFloat16},
    DtypeRow{"f4", torch::kFloat32},  DtypeRow{"f8", torch::kFloat64},
    DtypeRow{"V2", torch::kBFloat16},
};

/// Length of the fields before the dictionary: magic, version, and the dictionary's own length.
int64_t prefix_bytes(std::string_view header) { return header[6] == 1 ? 10 : 12; }

/// Reads a Python dictionary literal of the three known keys from left to right.
class LiteralParser {
 public:
  LiteralParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_dtype = false;
    bool has_order = false;
    bool has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !std::exchange(has_dtype, true)) {
        header.dtype = dtype();
      } else if (key == "fortran_order" && !std::exchange(has_order, true)) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !std::exchange(has_shape, true)) {
        header.shape = tuple();
      } else {
        fail();
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size() || !has_dtype || !has_order || !has_shape) {
      fail();
    }
    return header;
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(where_, "an .npy header {'descr': ..., 'fortran_order': ..., 'shape': ...}",
                     printable_text(text_, 120));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) {
      ++at_;
    }
  }

  bool take(char c) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }

  void expect(char c) {
    if (!take(c)) {
      fail();
    }
  }

  std::string_view quoted() {
    const char quote = take('"') ? '"' : '\'';
    if (quote == '\'') {
      expect('\'');
    }
    const auto end = text_.find(quote, at_);
    if (end == std::string_view::npos) {
      fail();
    }
    const auto inside = text_.substr(at_, end - at_);
    at_ = end + 1;
    return inside;
  }

  torch::Dtype dtype() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') {
      throw InputError(where_, "a plain array", "a structured one");
    }
    const auto descr = quoted();
    const bool native = !descr.empty() && (descr[0] == '<' || descr[0] == '|' || descr[0] == '=');
    for (const auto& row : kDtypes) {
      if (native && descr.substr(1) == row.code) {
        return row.dtype;
      }
    }
    throw InputError(where_, "booleans, little-endian numbers of 1 to 8 bytes or bf16 as '|V2'",
                     "dtype '" + printable_text(descr, 40) + "'");
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] :
         {std::pair{std::string_view("True"), true}, std::pair{std::string_view("False"), false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    fail();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> sizes;
    expect('(');
    while (!take(')')) {
      sizes.push_back(size());
      if (static_cast<int64_t>(sizes.size()) > kMaxAxes) {
        fail();
      }
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }

  int64_t size() {
    skip_space();
    const size_t begin = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
          __builtin_add_overflow(value, int64_t{text_[at_] - '0'}, &value)) {
        fail();
      }
    }
    if (at_ == begin) {
      fail();
    }
    take('L');  // the suffix of long integers in Python 2
    return value;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

}  // namespace

int64_t npy_header_bytes(std::string_view prefix, const std::string& where) {
  if (static_cast<int64_t>(prefix.size()) < kNpyPrefixBytes || !prefix.starts_with(kMagic)) {
    throw InputError(where, "the .npy format", "other data");
  }
  const int version = static_cast<unsigned char>(prefix[6]);
  if (version < 1 || version > 3) {
    throw InputError(where, "version 1 to 3 of the .npy format", std::to_string(version));
  }
  int64_t length = 0;
  for (int64_t i = prefix_bytes(prefix) - 1; i >= 8; --i) {
    length = length * 256 + static_cast<unsigned char>(prefix[static_cast<size_t>(i)]);
  }
  length += prefix_bytes(prefix);
  if (length > kNpyHeaderLimit) {
    throw InputError(where, fmt::format("a header of at most {} bytes", kNpyHeaderLimit),
                     fmt::format("{} bytes", length));
  }
  return length;
}

NpyHeader parse_npy_header(std::string_view header, const std::string& where) {
  const auto begin = static_cast<size_t>(prefix_bytes(header));
  NpyHeader parsed = LiteralParser(header.substr(begin), where).parse();
  parsed.header_bytes = static_cast<int64_t>(header.size());
  const auto bytes =
      shape_bytes(parsed.shape, static_cast<int64_t>(c10::elementSize(parsed.dtype)));
  if (!bytes) {
    throw InputError(where, "a shape that fits in memory",
                     fmt::format("({})", fmt::join(parsed.shape, ", ")));
  }
  parsed.data_bytes = *bytes;
  return parsed;
}

std::string make_npy_header(torch::Dtype dtype, torch::IntArrayRef shape) {
  std::string_view code;
  for (const auto& row : kDtypes) {
    code = row.dtype == dtype ? row.code : code;
  }
  TORCH_CHECK_VALUE(!code.empty(), "make_npy_header: no NumPy dtype for ", dtype);
  const bool has_order = c10::elementSize(dtype) > 1 && dtype != torch::kBFloat16;
  std::string dictionary = fmt::format(
      "{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}", has_order ? '<' : '|', code,
      fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const auto unpadded = static_cast<int64_t>(dictionary.size()) + 10 + 1;  // 1: the line break
  dictionary.append(static_cast<size_t>((kAlignment - unpadded % kAlignment) % kAlignment), ' ');
  dictionary += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(dictionary.size() & 0xff),
             static_cast<char>(dictionary.size() >> 8)};
  return header + dictionary;
}

}  // namespace softmoe
