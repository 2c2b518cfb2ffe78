#pragma once
/// A part of a picture: decoders that can leave out the rest save its time.

#include <functional>
#include <opencv2/core/mat.hpp>

#include "datasets/resize.h"

namespace softmoe {

/// What is needed of a picture.
struct PartRequest {
  /// Chooses the part of an upright picture of this size; called once.
  std::function<Box(int height, int width)> choose_box;
  int height = 0;  ///< that the part is resized to
  int width = 0;
  /// kSeen: the pixels around the part are needed, too.
  Surroundings surroundings = Surroundings::kIgnored;
  /// The picture may come smaller if the part still has `height` x `width` pixels.
  bool is_scalable = false;
};

/// The pixels that were decoded.
struct PicturePart {
  cv::Mat image;  ///< uint8 [rows, columns] x 3 in RGB order, upright
  Box box;        ///< the part that was chosen, in pixels of `image`
};

}  // namespace softmoe
