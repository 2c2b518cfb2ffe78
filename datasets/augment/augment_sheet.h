#pragma once
/// A picture of what training does to images.

#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "datasets/dataset.h"
#include "datasets/preprocess_options.h"

namespace softmoe {

/// The size of a sheet.
struct AugmentSheetOptions {
  int64_t columns = 20;
  int64_t rows = 12;
  int64_t side = 56;  ///< of each image, pixels
  uint64_t seed = 0;  ///< of the run that the sheet shows
};

/// One row per image, spread evenly over `dataset`: first as evaluation sees it, then as training
/// sees it in epoch 0, 1, ... with this seed. The row of an unreadable image is black. RGB, or gray
/// if the model's input is gray. Throws UsageError for options that contradict each other.
cv::Mat augment_sheet(const Dataset& dataset, const PreprocessOptions& preprocess,
                      const AugmentSheetOptions& options);

}  // namespace softmoe
