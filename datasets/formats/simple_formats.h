#pragma once
/// Formats that bear no orientation, whose sizes are checked before OpenCV decodes them.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Each decodes to uint8 [height, width] x 3 in RGB order, and throws InputError for a damaged
/// file.
cv::Mat decode_bmp(Bytes bytes);
/// Portable bitmaps, graymaps and pixmaps, P1 to P6, and their form with fractions, Pf and PF.
cv::Mat decode_pnm(Bytes bytes);
/// Portable arbitrary maps, P7.
cv::Mat decode_pam(Bytes bytes);
cv::Mat decode_sun_raster(Bytes bytes);
/// Radiance HDR.
cv::Mat decode_radiance(Bytes bytes);

/// The first frame of a GIF. OpenCV may be built without it.
cv::Mat decode_gif(Bytes bytes);

}  // namespace softmoe
