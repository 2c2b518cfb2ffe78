#pragma once
/// Two ways to blur images, by the projects whose training uses them.

#include <opencv2/core/mat.hpp>

namespace softmoe {

/// `image` (uint8, 1 or 3 channels) blurred by three box filters per axis, which is Pillow's
/// ImageFilter.GaussianBlur (Gwosdek et al., 2011); `radius` >= 0 is the standard deviation in
/// pixels.
cv::Mat pillow_gaussian_blur(const cv::Mat& image, double radius);

/// `image` convolved with 23 x 23 samples of a Gaussian of standard deviation `sigma` > 0 pixels,
/// mirrored at its edges, which is torchvision's gaussian_blur().
cv::Mat sampled_gaussian_blur(const cv::Mat& image, double sigma);

}  // namespace softmoe
