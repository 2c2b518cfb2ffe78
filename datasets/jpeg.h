#pragma once
/// JPEG by libjpeg: OpenCV's reader does not notice that a file is truncated.

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>

namespace softmoe {

/// Returns true if the bytes begin as those of a JPEG file.
bool is_jpeg(std::span<const uint8_t> bytes);

/// Decodes to uint8 [height, width] x 3 in RGB order, turned upright by its EXIF orientation.
/// Throws InputError that begins with `where` for a file that is truncated or whose coded data is
/// damaged.
cv::Mat decode_jpeg(std::span<const uint8_t> bytes, const std::string& where);

/// The EXIF orientation, 1 to 8, of the body of an APP1 segment; 1 if it has none.
int exif_orientation(std::span<const uint8_t> segment);

}  // namespace softmoe
