#pragma once
/// Changes of hue.

#include <opencv2/core/mat.hpp>

namespace softmoe {

/// `image` (uint8) with its hue turned by `share` of the circle, in [-0.5, 0.5], in Pillow's HSV of
/// 8 bits, as torchvision's adjust_hue() does for Pillow's images; gray images stay.
cv::Mat adjust_hue(const cv::Mat& image, double share);

}  // namespace softmoe
