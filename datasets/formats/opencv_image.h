#pragma once
/// Pictures by OpenCV's decoders.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Decodes to uint8 [height, width] x 3 in RGB order, as stored: OpenCV does not turn it, except
/// TIFF files. Nothing is written to standard error. Throws UnreadPicture if it cannot be decoded.
cv::Mat decode_with_opencv(Bytes bytes);

}  // namespace softmoe
