#pragma once
/// Contents of data sets: counts, sizes, colours, damaged images, pictures.

#include <opencv2/core/mat.hpp>
#include <optional>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// Contents of a set. Class counts are over all images, all else is about those that were decoded.
struct DatasetSummary {
  std::vector<int64_t> class_images;  ///< by label
  int64_t decoded = 0;
  int64_t min_height = 0;  ///< pixels
  int64_t max_height = 0;
  int64_t min_width = 0;
  int64_t max_width = 0;
  std::vector<double> mean;  ///< by channel, white is 1; one channel if all images are gray
  std::vector<double> std;
  std::vector<BadImage> bad;
};

/// Counts the labels of `dataset` and decodes up to `max_decoded` images, spread evenly.
DatasetSummary summarize(const Dataset& dataset, int64_t max_decoded);

/// Decodes every image in `workers` threads; returns those that cannot be read, in order.
std::vector<BadImage> find_bad_images(const Dataset& dataset, int64_t workers);

/// A picture of columns x rows images, spread evenly over the set, each in a square of `side`
/// pixels; the place of an unreadable image stays black. Gray if all images are gray, else RGB.
cv::Mat contact_sheet(const Dataset& dataset, int64_t columns, int64_t rows, int64_t side);

}  // namespace softmoe
