#include "datasets/formats/jpeg2000.h"

#include "core/error.h"
#include "datasets/formats/boxes.h"
#include "datasets/formats/opencv_image.h"
#include "datasets/formats/orientation.h"
#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

/// Checks the size in a codestream, which begins with the markers SOC and SIZ.
void check_codestream(Bytes codestream) {
  const auto side = [&](size_t end, size_t begin) -> uint64_t {
    const auto from = number_at(codestream, begin, 4, ByteOrder::kBig);
    const auto to = number_at(codestream, end, 4, ByteOrder::kBig);
    if (!from || !to || *to < *from) {
      throw InputError("it is cut short");
    }
    return *to - *from;
  };
  check_picture_size(side(8, 16), side(12, 20));
}

}  // namespace

cv::Mat decode_jpeg2000(Bytes bytes) {
  constexpr std::string_view kCodestream = "\xff\x4f\xff\x51";
  constexpr std::string_view kExif = "JpgTiffExif->JP2";
  constexpr std::string_view kXmp =
      "\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac";
  std::optional<int> by_exif;
  std::optional<int> by_xmp;
  if (has_text(bytes, 0, kCodestream)) {
    check_codestream(bytes);
  } else {
    bool has_picture = false;
    for (auto rest = bytes; const auto box = take_box(rest);) {
      if (box->name == "jp2c" && !has_picture) {
        check_codestream(box->content);
        has_picture = true;
      } else if (box->name == "uuid" && has_text(box->content, 0, kExif)) {
        by_exif = exif_orientation(bytes_from(box->content, kExif.size()));
      } else if (box->name == "uuid" && has_text(box->content, 0, kXmp)) {
        by_xmp = xmp_orientation(bytes_from(box->content, kXmp.size()));
      }
    }
    if (!has_picture) {
      throw InputError("it has no picture");
    }
  }
  return upright(decode_with_opencv(bytes), by_exif.value_or(by_xmp.value_or(1)));
}

}  // namespace softmoe
