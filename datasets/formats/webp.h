#pragma once
/// WebP: OpenCV's reader does not turn pictures and refuses animations.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Decodes to uint8 [height, width] x 3 in RGB order, upright, transparency dropped. Of an animated
/// file it decodes the first frame on a black canvas. Throws InputError for a damaged file.
/// Source: RFC 9649.
cv::Mat decode_webp(Bytes bytes);

}  // namespace softmoe
