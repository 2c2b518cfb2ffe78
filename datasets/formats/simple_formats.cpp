#include "datasets/formats/simple_formats.h"

#include <charconv>

#include "core/error.h"
#include "datasets/formats/opencv_image.h"
#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

/// Headers of text end within this many bytes.
constexpr size_t kMaxTextHeader = 1 << 16;

uint64_t header_number(Bytes bytes, size_t offset, size_t count, ByteOrder order) {
  const auto value = number_at(bytes, offset, count, order);
  if (!value) {
    throw InputError("it is cut short");
  }
  return *value;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Takes the next word from a header, in which '#' begins a comment that ends with its line.
std::string_view take_word(std::string_view& text) {
  while (!text.empty() && (is_space(text.front()) || text.front() == '#')) {
    const auto comment_end = text.front() == '#' ? text.find('\n') : 0;
    text.remove_prefix(std::min(comment_end, text.size() - 1) + 1);
  }
  size_t length = 0;
  while (length < text.size() && !is_space(text[length]) && text[length] != '#') {
    ++length;
  }
  const auto word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

uint64_t side(std::string_view word) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) {
    throw InputError("its header has no size");
  }
  return value;
}

std::string_view header_text(Bytes bytes) { return text_of(bytes_at(bytes, 0, kMaxTextHeader)); }

}  // namespace

cv::Mat decode_bmp(Bytes bytes) {
  constexpr size_t kInfo = 14;  // where the second header begins, with its size
  constexpr uint64_t kOldInfoBytes = 12;
  constexpr auto kOrder = ByteOrder::kLittle;
  if (header_number(bytes, kInfo, 4, kOrder) == kOldInfoBytes) {
    check_picture_size(header_number(bytes, kInfo + 4, 2, kOrder),
                       header_number(bytes, kInfo + 6, 2, kOrder));
  } else {
    const auto height = static_cast<int32_t>(header_number(bytes, kInfo + 8, 4, kOrder));
    // A negative height is that of rows from top to bottom.
    check_picture_size(header_number(bytes, kInfo + 4, 4, kOrder),
                       static_cast<uint64_t>(std::abs(int64_t{height})));
  }
  return decode_with_opencv(bytes);
}

cv::Mat decode_pnm(Bytes bytes) {
  auto text = header_text(bytes);
  take_word(text);  // the kind
  const auto width = side(take_word(text));
  check_picture_size(width, side(take_word(text)));
  return decode_with_opencv(bytes);
}

cv::Mat decode_pam(Bytes bytes) {
  auto text = header_text(bytes);
  uint64_t width = 0;
  uint64_t height = 0;
  for (auto word = take_word(text); !word.empty() && word != "ENDHDR"; word = take_word(text)) {
    if (word == "WIDTH") {
      width = side(take_word(text));
    } else if (word == "HEIGHT") {
      height = side(take_word(text));
    }
  }
  check_picture_size(width, height);
  return decode_with_opencv(bytes);
}

cv::Mat decode_sun_raster(Bytes bytes) {
  check_picture_size(header_number(bytes, 4, 4, ByteOrder::kBig),
                     header_number(bytes, 8, 4, ByteOrder::kBig));
  return decode_with_opencv(bytes);
}

cv::Mat decode_radiance(Bytes bytes) {
  auto text = header_text(bytes);
  const auto end = text.find("\n\n");  // a line with the size follows: -Y 480 +X 640
  text.remove_prefix(end == text.npos ? text.size() : end + 2);
  if (take_word(text) != "-Y") {
    throw InputError("its header has no size");
  }
  const auto height = side(take_word(text));
  take_word(text);
  check_picture_size(side(take_word(text)), height);
  return decode_with_opencv(bytes);
}

cv::Mat decode_gif(Bytes bytes) {
  check_picture_size(header_number(bytes, 6, 2, ByteOrder::kLittle),
                     header_number(bytes, 8, 2, ByteOrder::kLittle));
  return decode_with_opencv(bytes);
}

}  // namespace softmoe
