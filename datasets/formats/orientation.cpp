#include "datasets/formats/orientation.h"

#include <opencv2/core.hpp>

#include "datasets/formats/tiff_directory.h"

namespace softmoe {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr int kMaxOrientation = 8;

int known_orientation(uint64_t value) {
  return value >= 1 && value <= kMaxOrientation ? static_cast<int>(value) : 1;
}

}  // namespace

std::optional<int> exif_orientation(Bytes exif) {
  constexpr std::string_view kPrefix{"Exif\0", 5};  // and a byte of any value
  const bool has_prefix = has_text(exif, 0, kPrefix);
  const TiffDirectory directory(bytes_from(exif, has_prefix ? kPrefix.size() + 1 : 0));
  const auto value = directory.value(kOrientationTag);
  return value ? std::optional(known_orientation(*value)) : std::nullopt;
}

std::optional<int> xmp_orientation(Bytes packet) {
  constexpr std::string_view kName = "tiff:Orientation";
  // <tiff:Orientation>6</tiff:Orientation> or tiff:Orientation="6"
  for (auto text = text_of(packet);;) {
    const auto found = text.find(kName);
    if (found == text.npos) {
      return std::nullopt;
    }
    text.remove_prefix(found + kName.size());
    const auto quoted = text.starts_with("=\"") || text.starts_with("='");
    const size_t digit = quoted ? 2 : 1;
    if ((quoted || text.starts_with('>')) && digit < text.size() && text[digit] >= '0' &&
        text[digit] <= '9') {
      return known_orientation(static_cast<uint64_t>(text[digit] - '0'));
    }
  }
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

Box upright_box(const Box& box, int height, int width, int orientation) {
  Box turned = box;
  double turned_height = height;
  double turned_width = width;
  if (orientation >= 5) {
    turned = {box.top, box.left, box.bottom, box.right};
    std::swap(turned_height, turned_width);
  }
  if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7) {
    turned = {turned_width - turned.right, turned.top, turned_width - turned.left, turned.bottom};
  }
  if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8) {
    turned = {turned.left, turned_height - turned.bottom, turned.right, turned_height - turned.top};
  }
  return turned;
}

int inverse_orientation(int orientation) {
  return orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
}

}  // namespace softmoe
