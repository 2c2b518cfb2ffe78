#pragma once
/// How a picture is to be turned: 1 (as it is) to 8, numbers of the TIFF tag Orientation, which
/// EXIF and XMP use, too.

#include <opencv2/core/mat.hpp>

#include "datasets/formats/byte_view.h"
#include "datasets/resize.h"

namespace softmoe {

/// The orientation in EXIF data, with or without "Exif\0\0" before it; nothing if it says none. A
/// number that does not exist counts as 1.
std::optional<int> exif_orientation(Bytes exif);

/// The orientation in an XMP packet; std::nullopt if it has none.
std::optional<int> xmp_orientation(Bytes packet);

/// `image` turned and mirrored as `orientation` says.
cv::Mat upright(const cv::Mat& image, int orientation);

/// Where `box` of an image of `height` x `width` is after upright(image, orientation).
Box upright_box(const Box& box, int height, int width, int orientation);

/// The orientation whose upright() undoes that of `orientation`.
int inverse_orientation(int orientation);

}  // namespace softmoe
