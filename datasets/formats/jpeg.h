#pragma once
/// JPEG by libjpeg: OpenCV's reader does not notice that a file is truncated.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"
#include "datasets/formats/picture_part.h"

namespace softmoe {

/// Decodes to uint8 [height, width] x 3 in RGB order, upright. Files of four colours are inverted
/// CMYK, as Adobe writes it and Pillow reads it. Throws InputError for a file that is truncated or
/// whose coded data is damaged.
cv::Mat decode_jpeg(Bytes bytes);

/// Decodes the part that `request` chooses, with the pixels that decode_jpeg() gives it, and as few
/// others as libjpeg-turbo allows; damage below the part is not noticed. If the request is
/// scalable, at the smallest of the scales 1/8, 1/4, 1/2 and 1 at which the part has at least the
/// size of the request: libjpeg-turbo's inverse DCT then computes fewer pixels per block.
PicturePart decode_jpeg_part(Bytes bytes, const PartRequest& request);

}  // namespace softmoe
