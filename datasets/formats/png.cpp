#include "datasets/formats/png.h"

#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <opencv2/core.hpp>
#include <vector>

#include "core/error.h"
#include "datasets/formats/orientation.h"
#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

/// The bytes that `digits` stand for: pairs of hexadecimal digits with white space between them.
std::vector<uint8_t> bytes_of_hex(std::string_view digits) {
  std::vector<uint8_t> bytes;
  std::optional<int> high;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) {
      continue;
    }
    if (high) {
      bytes.push_back(static_cast<uint8_t>(*high * 16 + digit));
    }
    high = high ? std::nullopt : std::optional(digit);
  }
  return bytes;
}

/// The orientation in a text in which ImageMagick keeps EXIF data: a line with the word exif, a
/// line with the number of bytes, and the bytes in hexadecimal digits.
std::optional<int> raw_profile_orientation(std::string_view profile) {
  for (const std::string_view line_end : {"exif\n", "\n"}) {
    const auto found = profile.find(line_end);
    if (found == profile.npos) {
      return std::nullopt;
    }
    profile.remove_prefix(found + line_end.size());
  }
  return exif_orientation(bytes_of_hex(profile));
}

/// One file in work. Everything with a destructor is a member: longjmp must not skip one.
class PngReader {
 public:
  explicit PngReader(Bytes bytes) : rest_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Returns false after an error, whose text is error_text().
  bool read();
  const char* error_text() const { return text_.data(); }
  const cv::Mat& image() const { return image_; }
  int orientation() const;

 private:
  static void on_error(png_structp png, const char* text) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(reader->text_.data(), text, reader->text_.size() - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, const char*) {}
  static void on_read(png_structp png, png_bytep to, size_t count) {
    auto& rest = static_cast<PngReader*>(png_get_io_ptr(png))->rest_;
    if (count > rest.size()) {
      png_error(png, "it is cut short");
    }
    std::memcpy(to, rest.data(), count);
    rest = rest.subspan(count);
  }
  void convert_to_rgb();

  Bytes rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::array<char, 128> text_{};
  cv::Mat image_;
  std::vector<png_bytep> rows_;
};

void PngReader::convert_to_rgb() {
  const auto kind = png_get_color_type(png_, info_);
  png_set_strip_16(png_);
  png_set_strip_alpha(png_);
  if (kind == PNG_COLOR_TYPE_PALETTE) {
    png_set_palette_to_rgb(png_);
  } else if ((kind & PNG_COLOR_MASK_COLOR) == 0) {
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_gray_to_rgb(png_);
  }
  png_set_interlace_handling(png_);
  png_read_update_info(png_, info_);
}

bool PngReader::read() {
  if (setjmp(png_jmpbuf(png_)) != 0) {
    return false;
  }
  png_set_read_fn(png_, this, on_read);
  png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours are lower
  png_read_info(png_, info_);
  const auto width = png_get_image_width(png_, info_);
  const auto height = png_get_image_height(png_, info_);
  check_picture_size(width, height);
  convert_to_rgb();
  if (png_get_rowbytes(png_, info_) != size_t{3} * width) {
    png_error(png_, "its colours are of an unknown kind");
  }
  image_.create(static_cast<int>(height), static_cast<int>(width), CV_8UC3);
  for (int y = 0; y < image_.rows; ++y) {
    rows_.push_back(image_.ptr(y));
  }
  png_read_image(png_, rows_.data());
  png_read_end(png_, info_);
  return true;
}

int PngReader::orientation() const {
  png_bytep exif = nullptr;
  png_uint_32 exif_bytes = 0;
  if (png_get_eXIf_1(png_, info_, &exif_bytes, &exif) != 0) {
    return exif_orientation({exif, exif_bytes}).value_or(1);
  }
  png_textp texts = nullptr;
  const int count = png_get_text(png_, info_, &texts, nullptr);
  std::optional<int> xmp;
  for (int i = 0; i < count; ++i) {
    const std::string_view key = texts[i].key;
    const std::string_view text =
        texts[i].text == nullptr ? std::string_view() : std::string_view(texts[i].text);
    if (key == "Raw profile type exif") {
      if (const auto found = raw_profile_orientation(text)) {
        return *found;
      }
    } else if (key == "XML:com.adobe.xmp" && !xmp) {
      xmp = xmp_orientation({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
  }
  return xmp.value_or(1);
}

}  // namespace

cv::Mat decode_png(Bytes bytes) {
  PngReader reader(bytes);
  if (!reader.read()) {
    throw InputError(reader.error_text());
  }
  return upright(reader.image(), reader.orientation());
}

}  // namespace softmoe
