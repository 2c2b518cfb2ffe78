#include "datasets/formats/jpeg.h"

#include <jpeglib.h>

#include <array>
#include <csetjmp>
#include <opencv2/core.hpp>

#include "core/error.h"
#include "datasets/formats/orientation.h"
#include "datasets/formats/picture_size.h"

// Must follow jpeglib.h, which defines the macros that it fills in.
#include <jerror.h>

namespace softmoe {
namespace {

constexpr int kAppMarker1 = JPEG_APP0 + 1;  // of EXIF and XMP

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

/// Inverted CMYK to RGB, with Pillow's rounding.
void cmyk_to_rgb(const uint8_t* from, uint8_t* to, int width) {
  for (int x = 0; x < width; ++x, from += 4, to += 3) {
    for (int channel = 0; channel < 3; ++channel) {
      to[channel] = static_cast<uint8_t>((from[channel] * from[3] + 127) / 255);
    }
  }
}

/// One file in work. Everything with a destructor is a member: longjmp must not skip one.
class JpegReader {
 public:
  explicit JpegReader(Bytes bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = judge_message;
    errors_.base.output_message = drop_message;
    jpeg_create_decompress(&info_);
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  /// Returns false after an error, whose text is error_text().
  bool read();
  const char* error_text() const { return errors_.text.data(); }
  const cv::Mat& image() const { return image_; }
  int orientation() const { return exif_.value_or(xmp_.value_or(1)); }

 private:
  void read_orientation();

  Bytes bytes_;
  jpeg_decompress_struct info_{};
  ErrorManager errors_{};
  cv::Mat image_;
  cv::Mat cmyk_;  // one row
  std::optional<int> exif_;
  std::optional<int> xmp_;
};

void JpegReader::read_orientation() {
  constexpr std::string_view kXmp = "http://ns.adobe.com/xap/1.0/";
  for (auto* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
    const Bytes segment(marker->data, marker->data_length);
    if (!exif_ && has_text(segment, 0, "Exif")) {
      exif_ = exif_orientation(segment);
    } else if (!xmp_ && has_text(segment, 0, kXmp)) {
      xmp_ = xmp_orientation(segment);
    }
  }
}

bool JpegReader::read() {
  if (setjmp(errors_.way_back) != 0) {
    return false;
  }
  jpeg_mem_src(&info_, bytes_.data(), bytes_.size());
  jpeg_save_markers(&info_, kAppMarker1, 0xFFFF);
  jpeg_read_header(&info_, TRUE);
  check_picture_size(info_.image_width, info_.image_height);
  read_orientation();
  const bool is_cmyk = info_.num_components == 4;
  info_.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info_);
  const int width = static_cast<int>(info_.output_width);
  image_.create(static_cast<int>(info_.output_height), width, CV_8UC3);
  if (is_cmyk) {
    cmyk_.create(1, width, CV_8UC4);
  }
  while (info_.output_scanline < info_.output_height) {
    uint8_t* target = image_.ptr(static_cast<int>(info_.output_scanline));
    uint8_t* row = is_cmyk ? cmyk_.ptr() : target;
    jpeg_read_scanlines(&info_, &row, 1);
    if (is_cmyk) {
      cmyk_to_rgb(row, target, width);
    }
  }
  jpeg_finish_decompress(&info_);
  return true;
}

}  // namespace

cv::Mat decode_jpeg(Bytes bytes) {
  JpegReader reader(bytes);
  if (!reader.read()) {
    throw InputError(reader.error_text());
  }
  return upright(reader.image(), reader.orientation());
}

}  // namespace softmoe
