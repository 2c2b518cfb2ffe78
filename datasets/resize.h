#pragma once
/// Resizing that filters before it drops pixels, as Pillow does. OpenCV's interpolations alias when
/// they shrink, and models of other projects were trained with Pillow.

#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "datasets/interpolation.h"

namespace softmoe {

/// A part of an image in pixels: [left, right) x [top, bottom), where integers are edges of pixels.
struct Box {
  double left;
  double top;
  double right;
  double bottom;
};

/// Which pixels count if the kernel reaches over the edge of the box: those beyond it as well if an
/// image is resized and then cropped, only those inside if it is cropped first.
enum class Surroundings { kIgnored, kSeen };

/// The part `box` of `image` (uint8, 1 or 3 channels) resized to `height` x `width`. A box of that
/// size on whole pixels is returned as a view of `image`.
cv::Mat resize_box(const cv::Mat& image, const Box& box, int height, int width,
                   Interpolation interpolation, Surroundings surroundings = Surroundings::kIgnored);

}  // namespace softmoe
