#pragma once
/// JPEG 2000: OpenCV's reader does not turn pictures.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Decodes a JP2 file or a bare codestream to uint8 [height, width] x 3 in RGB order, upright.
/// Throws InputError for a damaged file. Source: ISO/IEC 15444-1, annexes A and I; the box of EXIF
/// data is that of ExifTool and libraries that follow it.
cv::Mat decode_jpeg2000(Bytes bytes);

}  // namespace softmoe
