#pragma once
/// PNG by libpng: OpenCV's reader lets libpng write to standard error.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Decodes to uint8 [height, width] x 3 in RGB order, upright, transparency dropped, the upper 8 of
/// 16 bits. Of an animated file it decodes the still image. Throws InputError for a file that is
/// truncated or has a wrong checksum.
cv::Mat decode_png(Bytes bytes);

}  // namespace softmoe
