#pragma once
/// JPEG through libjpeg itself: OpenCV's reader takes a truncated file for a whole one.

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>

namespace softmoe {

/// Whether the bytes open as a JPEG file does.
bool is_jpeg(std::span<const uint8_t> bytes);

/// Decodes to uint8 [height, width] x 3 in RGB order, turned upright by its EXIF orientation.
/// Throws InputError that opens with `where` for a file that is truncated or whose coded data is
/// damaged.
cv::Mat decode_jpeg(std::span<const uint8_t> bytes, const std::string& where);

/// The EXIF orientation, 1 to 8, of the body of an APP1 segment; 1 where it says none.
int exif_orientation(std::span<const uint8_t> segment);

}  // namespace softmoe
