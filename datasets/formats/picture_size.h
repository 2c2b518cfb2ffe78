#pragma once
/// How large a picture may be. A file of some kilobytes can ask for gigabytes of pixels.

#include <cstdint>

#include "core/error.h"

namespace softmoe {

/// Pillow's limit, at which 3 bytes per pixel are 512 MiB.
inline constexpr uint64_t kMaxPicturePixels = 178'956'970;
/// OpenCV's limit of the height and of the width.
inline constexpr uint64_t kMaxPictureSide = 1 << 20;

/// A whole picture of a size or kind that is not decoded. The message continues a sentence that
/// begins with the name of the format.
class UnreadPicture : public InputError {
 public:
  using InputError::InputError;
};

/// Throws UnreadPicture if a picture of this size has too many pixels, and InputError if it has
/// none. Decoders call it before they take memory.
void check_picture_size(uint64_t width, uint64_t height);

}  // namespace softmoe
