#pragma once
/// TIFF: OpenCV's reader turns pictures of some kinds of pixels only.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Decodes the first page to uint8 [height, width] x 3 in RGB order, upright, transparency dropped.
/// Throws InputError for a damaged file and for kinds of pixels that OpenCV does not read.
cv::Mat decode_tiff(Bytes bytes);

}  // namespace softmoe
