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

constexpr unsigned int kBlockSide = 8;      // pixels; of a scaled block fewer
constexpr int kAppMarker1 = JPEG_APP0 + 1;  // of EXIF and XMP
/// Pixels beyond a part that chroma of its pixels is interpolated from, at any subsampling.
constexpr int kChromaReach = 4;

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

  /// Reads the picture, or the part that `request` chooses. Returns false after an error, whose
  /// text is error_text().
  bool read(const PartRequest* request);
  const char* error_text() const { return errors_.text.data(); }
  /// The pixels that were read, upright, and the box of the request among them.
  PicturePart part() const;

 private:
  void read_orientation();
  int orientation() const { return exif_.value_or(xmp_.value_or(1)); }
  void choose_part(const PartRequest& request);
  void skip_to_part();
  void read_rows();

  Bytes bytes_;
  jpeg_decompress_struct info_{};
  ErrorManager errors_{};
  cv::Mat image_;
  cv::Mat cmyk_;     // one row
  Box box_{};        // of the request, in image_
  cv::Rect needed_;  // the pixels of image_ in the scaled picture, as it is stored
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

/// Chooses the scale and the pixels to read.
void JpegReader::choose_part(const PartRequest& request) {
  const auto height = static_cast<int>(info_.image_height);
  const auto width = static_cast<int>(info_.image_width);
  const bool is_turned = orientation() >= 5;
  const int upright_height = is_turned ? width : height;
  const int upright_width = is_turned ? height : width;
  const auto chosen = request.choose_box(upright_height, upright_width);
  const double shrink = std::min((chosen.bottom - chosen.top) / request.height,
                                 (chosen.right - chosen.left) / request.width);
  unsigned int eighths = kBlockSide;
  while (request.is_scalable && eighths > 1 && shrink * (eighths / 2) >= kBlockSide) {
    eighths /= 2;
  }
  info_.scale_num = eighths;
  info_.scale_denom = kBlockSide;
  jpeg_calc_output_dimensions(&info_);
  const auto stored =
      upright_box(chosen, upright_height, upright_width, inverse_orientation(orientation()));
  const double scale = static_cast<double>(eighths) / kBlockSide;
  box_ = {stored.left * scale, stored.top * scale, stored.right * scale, stored.bottom * scale};
  needed_ =
      cv::Rect(0, 0, static_cast<int>(info_.output_width), static_cast<int>(info_.output_height));
  if (request.surroundings == Surroundings::kIgnored) {
    const cv::Point first(static_cast<int>(box_.left) - kChromaReach,
                          static_cast<int>(box_.top) - kChromaReach);
    const cv::Point last(static_cast<int>(std::ceil(box_.right)) + kChromaReach,
                         static_cast<int>(std::ceil(box_.bottom)) + kChromaReach);
    needed_ &= cv::Rect(first, last);
  }
}

/// Leaves out the columns left and right of the part by whole blocks, and the rows above it.
void JpegReader::skip_to_part() {
  if (needed_.width < static_cast<int>(info_.output_width)) {
    auto left = static_cast<JDIMENSION>(needed_.x);
    auto width = static_cast<JDIMENSION>(needed_.width);
    jpeg_crop_scanline(&info_, &left, &width);
    needed_.x = static_cast<int>(left);
    needed_.width = static_cast<int>(width);
  }
  if (needed_.y > 0) {
    jpeg_skip_scanlines(&info_, static_cast<JDIMENSION>(needed_.y));
  }
  box_ = {box_.left - needed_.x, box_.top - needed_.y, box_.right - needed_.x,
          box_.bottom - needed_.y};
}

void JpegReader::read_rows() {
  const bool is_cmyk = info_.out_color_space == JCS_CMYK;
  image_.create(needed_.size(), CV_8UC3);
  if (is_cmyk) {
    cmyk_.create(1, needed_.width, CV_8UC4);
  }
  for (int y = 0; y < needed_.height; ++y) {
    uint8_t* row = is_cmyk ? cmyk_.ptr() : image_.ptr(y);
    jpeg_read_scanlines(&info_, &row, 1);
    if (is_cmyk) {
      cmyk_to_rgb(row, image_.ptr(y), needed_.width);
    }
  }
}

bool JpegReader::read(const PartRequest* request) {
  if (setjmp(errors_.way_back) != 0) {
    return false;
  }
  jpeg_mem_src(&info_, bytes_.data(), bytes_.size());
  jpeg_save_markers(&info_, kAppMarker1, 0xFFFF);
  jpeg_read_header(&info_, TRUE);
  check_picture_size(info_.image_width, info_.image_height);
  read_orientation();
  info_.out_color_space = info_.num_components == 4 ? JCS_CMYK : JCS_RGB;
  if (request != nullptr) {
    choose_part(*request);
  } else {
    needed_ =
        cv::Rect(0, 0, static_cast<int>(info_.image_width), static_cast<int>(info_.image_height));
  }
  jpeg_start_decompress(&info_);
  skip_to_part();
  read_rows();
  if (info_.output_scanline == info_.output_height) {
    jpeg_finish_decompress(&info_);
  }
  return true;
}

PicturePart JpegReader::part() const {
  return {upright(image_, orientation()),
          upright_box(box_, image_.rows, image_.cols, orientation())};
}

PicturePart decode_with(Bytes bytes, const PartRequest* request) {
  JpegReader reader(bytes);
  if (!reader.read(request)) {
    throw InputError(reader.error_text());
  }
  return reader.part();
}

}  // namespace

cv::Mat decode_jpeg(Bytes bytes) { return decode_with(bytes, nullptr).image; }

PicturePart decode_jpeg_part(Bytes bytes, const PartRequest& request) {
  return decode_with(bytes, &request);
}

}  // namespace softmoe
