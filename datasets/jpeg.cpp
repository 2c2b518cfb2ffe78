#include "datasets/jpeg.h"

#include <jpeglib.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <opencv2/core.hpp>

#include "core/error.h"

// Must follow jpeglib.h, which defines the macros that it fills in.
#include <jerror.h>

namespace softmoe {
namespace {

constexpr int kExifMarker = JPEG_APP0 + 1;

/// libjpeg's error manager with the place to return to and the text of the error.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf way_back;
  std::array<char, JMSG_LENGTH_MAX> text;
};

void leave(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  errors->base.format_message(info, errors->text.data());
  std::longjmp(errors->way_back, 1);
}

/// Warnings of lost picture data count as errors; stray bytes between segments are harmless.
void judge_message(j_common_ptr info, int level) {
  switch (level < 0 ? info->err->msg_code : 0) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_BOGUS_PROGRESSION:
      leave(info);
      break;
    default:
      break;
  }
}

void drop_message(j_common_ptr) {}

/// CMYK as Adobe writes it (inverted) or plain, to RGB.
void cmyk_to_rgb(const uint8_t* from, uint8_t* to, int width, bool inverted) {
  for (int x = 0; x < width; ++x, from += 4, to += 3) {
    const int black = inverted ? from[3] : 255 - from[3];
    for (int channel = 0; channel < 3; ++channel) {
      const int ink = inverted ? from[channel] : 255 - from[channel];
      to[channel] = static_cast<uint8_t>((ink * black + 127) / 255);
    }
  }
}

/// Fills `image`, which the caller owns: longjmp must not skip the destructor of a local.
bool read_picture(jpeg_decompress_struct& info, ErrorManager& errors,
                  std::span<const uint8_t> bytes, cv::Mat& image, cv::Mat& cmyk, int& orientation) {
  if (setjmp(errors.way_back) != 0) {
    return false;
  }
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_save_markers(&info, kExifMarker, 0xFFFF);
  jpeg_read_header(&info, TRUE);
  for (auto* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    orientation = std::max(orientation, exif_orientation({marker->data, marker->data_length}));
  }
  const bool is_cmyk = info.num_components == 4;
  info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  const int width = static_cast<int>(info.output_width);
  image.create(static_cast<int>(info.output_height), width, CV_8UC3);
  if (is_cmyk) {
    cmyk.create(1, width, CV_8UC4);
  }
  while (info.output_scanline < info.output_height) {
    uint8_t* target = image.ptr(static_cast<int>(info.output_scanline));
    uint8_t* row = is_cmyk ? cmyk.ptr() : target;
    jpeg_read_scanlines(&info, &row, 1);
    if (is_cmyk) {
      cmyk_to_rgb(row, target, width, info.saw_Adobe_marker != 0);
    }
  }
  jpeg_finish_decompress(&info);
  return true;
}

cv::Mat upright(const cv::Mat& image, int orientation) {
  cv::Mat turned = image;
  if (orientation >= 5) {
    cv::transpose(image, turned);
  }
  // What remains after the transposition of orientations 5 to 8 is one of these flips.
  switch (orientation) {
    case 2:
    case 6:
      cv::flip(turned, turned, 1);
      break;
    case 3:
    case 7:
      cv::flip(turned, turned, -1);
      break;
    case 4:
    case 8:
      cv::flip(turned, turned, 0);
      break;
    default:
      break;
  }
  return turned;
}

}  // namespace

bool is_jpeg(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

int exif_orientation(std::span<const uint8_t> segment) {
  constexpr size_t kTiff = 6;  // "Exif\0\0" comes first, then a TIFF header
  constexpr unsigned kOrientationTag = 0x0112;
  if (segment.size() < kTiff + 8 || std::memcmp(segment.data(), "Exif\0\0", kTiff) != 0) {
    return 1;
  }
  const auto tiff = segment.subspan(kTiff);
  const bool little = tiff[0] == 'I';
  const auto number = [&](size_t at, size_t count) {
    unsigned value = 0;
    for (size_t i = 0; i < count; ++i) {
      value = (value << 8) | tiff[at + (little ? count - 1 - i : i)];
    }
    return value;
  };
  const size_t directory = number(4, 4);
  if (directory + 2 > tiff.size()) {
    return 1;
  }
  const size_t entries = number(directory, 2);
  for (size_t entry = 0; entry < entries; ++entry) {
    const size_t at = directory + 2 + 12 * entry;
    if (at + 12 > tiff.size()) {
      break;
    }
    if (number(at, 2) == kOrientationTag) {
      const auto value = static_cast<int>(number(at + 8, 2));
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}

cv::Mat decode_jpeg(std::span<const uint8_t> bytes, const std::string& where) {
  jpeg_decompress_struct info{};
  ErrorManager errors{};
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.emit_message = judge_message;
  errors.base.output_message = drop_message;
  jpeg_create_decompress(&info);
  cv::Mat image;
  cv::Mat cmyk;
  int orientation = 1;
  const bool ok = read_picture(info, errors, bytes, image, cmyk, orientation);
  jpeg_destroy_decompress(&info);
  if (!ok) {
    throw InputError(where + ": damaged JPEG: " + errors.text.data());
  }
  return upright(image, orientation);
}

}  // namespace softmoe
