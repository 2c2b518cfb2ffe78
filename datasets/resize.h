#pragma once
/// Resizing that filters before it drops pixels, as Pillow does: OpenCV's interpolations alias when
/// they shrink, and models trained elsewhere expect the other kind.

#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "datasets/interpolation.h"

namespace softmoe {

/// A part of an image in pixels, edges between pixels: [left, right) x [top, bottom).
struct Box {
  double left;
  double top;
  double right;
  double bottom;
};

/// Whether pixels beyond the box count where the kernel reaches over its edge: they do where an
/// image is resized and then cropped, not where it is cropped first.
enum class Surroundings { kIgnored, kSeen };

/// The part `box` of `image` (uint8, 1 or 3 channels) resized to `height` x `width`. A box of that
/// very size on whole pixels is returned as a view of `image`.
cv::Mat resize_box(const cv::Mat& image, const Box& box, int height, int width,
                   Interpolation interpolation, Surroundings surroundings = Surroundings::kIgnored);

}  // namespace softmoe
