#pragma once
/// Rotating, shearing and moving images as Pillow's Image.transform(AFFINE) does it.

#include <opencv2/core/mat.hpp>

#include "datasets/interpolation.h"

namespace softmoe {

/// How a transformed image is drawn. kBox, which has no meaning here, is kBilinear.
struct AffineStyle {
  Interpolation interpolation = Interpolation::kBilinear;
  cv::Scalar fill = {128, 128, 128};  ///< by channel, of places outside of the image
};

/// The pixel with the middle (x, y) shows the place (a x + b y + c, d x + e y + f) of the image.
struct AffineMap {
  double a = 1.0;
  double b = 0.0;
  double c = 0.0;
  double d = 0.0;
  double e = 1.0;
  double f = 0.0;
};

/// `image` (uint8, 1 or 3 channels) seen through `map`, in its size.
cv::Mat affine(const cv::Mat& image, const AffineMap& map, const AffineStyle& style);

/// `image` turned counterclockwise around its middle.
cv::Mat rotate(const cv::Mat& image, double degrees, const AffineStyle& style);

}  // namespace softmoe
