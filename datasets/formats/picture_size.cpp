#include "datasets/formats/picture_size.h"

#include <fmt/format.h>

namespace softmoe {

void check_picture_size(uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) {
    throw InputError(fmt::format("its size is {} x {} pixels", width, height));
  }
  if (width > kMaxPictureSide || height > kMaxPictureSide || width * height > kMaxPicturePixels) {
    throw UnreadPicture(
        fmt::format("of {} x {} pixels; at most {} pixels, {} on each side, are decoded", width,
                    height, kMaxPicturePixels, kMaxPictureSide));
  }
}

}  // namespace softmoe
