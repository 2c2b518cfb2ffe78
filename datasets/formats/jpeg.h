#pragma once
/// JPEG by libjpeg: OpenCV's reader does not notice that a file is truncated.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Decodes to uint8 [height, width] x 3 in RGB order, upright. Files of four colours are inverted
/// CMYK, as Adobe writes it and Pillow reads it. Throws InputError for a file that is truncated or
/// whose coded data is damaged.
cv::Mat decode_jpeg(Bytes bytes);

}  // namespace softmoe
