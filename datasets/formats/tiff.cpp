#include "datasets/formats/tiff.h"

#include <fmt/format.h>

#include <vector>

#include "core/error.h"
#include "datasets/formats/opencv_image.h"
#include "datasets/formats/orientation.h"
#include "datasets/formats/picture_size.h"
#include "datasets/formats/tiff_directory.h"

namespace softmoe {
namespace {

constexpr uint16_t kWidth = 256;
constexpr uint16_t kHeight = 257;
constexpr uint16_t kBitsPerSample = 258;
constexpr uint16_t kOrientation = 274;
constexpr uint16_t kTileWidth = 322;
constexpr uint16_t kTileHeight = 323;
constexpr uint16_t kExtraSamples = 338;
constexpr uint16_t kXmp = 700;
constexpr uint64_t kUnassociatedAlpha = 2;
/// OpenCV makes no 8-bit colours of fractions and large integers, whose range is not known.
constexpr uint64_t kMaxBits = 16;

/// Sets the value of `tag` to 1 in `copy`, a copy of the file of `directory`, which is `bytes`.
void set_to_one(std::vector<uint8_t>& copy, Bytes bytes, const TiffDirectory& directory,
                uint16_t tag) {
  const auto value = directory.value_bytes(tag);
  const auto at = value.data() - bytes.data();
  for (size_t i = 0; i < value.size(); ++i) {
    const size_t lowest = directory.order() == ByteOrder::kLittle ? 0 : value.size() - 1;
    copy[static_cast<size_t>(at) + i] = i == lowest ? 1 : 0;
  }
}

/// A copy that says it needs no turning, so that OpenCV leaves that to upright(), and that colours
/// are multiplied by alpha already, so that it does not do so.
std::vector<uint8_t> plain_copy(Bytes bytes, const TiffDirectory& directory) {
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  for (const auto tag : {kOrientation, kExtraSamples}) {
    if (directory.value(tag)) {
      set_to_one(copy, bytes, directory, tag);
    }
  }
  return copy;
}

}  // namespace

cv::Mat decode_tiff(Bytes bytes) {
  const TiffDirectory directory(bytes);
  check_picture_size(directory.value(kWidth).value_or(0), directory.value(kHeight).value_or(0));
  if (const auto tile_width = directory.value(kTileWidth)) {
    check_picture_size(*tile_width, directory.value(kTileHeight).value_or(0));
  }
  const auto bits = directory.value(kBitsPerSample).value_or(1);
  if (bits > kMaxBits) {
    throw UnreadPicture(
        fmt::format("with {} bits per sample; at most {} are read", bits, kMaxBits));
  }
  const auto stated = directory.value(kOrientation);
  const bool is_plain =
      stated.value_or(1) == 1 && directory.value(kExtraSamples) != kUnassociatedAlpha;
  const auto image =
      is_plain ? decode_with_opencv(bytes) : decode_with_opencv(plain_copy(bytes, directory));
  return upright(image, stated ? exif_orientation(bytes).value_or(1)
                               : xmp_orientation(directory.text(kXmp)).value_or(1));
}

}  // namespace softmoe
