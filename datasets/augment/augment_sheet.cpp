#include "datasets/augment/augment_sheet.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "datasets/batch_maker.h"
#include "datasets/subset.h"
#include "datasets/transforms.h"

namespace softmoe {
namespace {

/// What `transform` makes of image `index`, fitted into the middle of a square of `side` pixels.
cv::Mat sheet_tile(const Transform& transform, const Dataset& dataset, int64_t index, uint64_t key,
                   int side) {
  std::vector<float> input(
      static_cast<size_t>(transform.channels() * transform.height() * transform.width()));
  Rng rng(key);
  transform.apply(dataset, index, rng, input.data());
  const cv::Mat image = transform.picture(input.data());
  const double scale = static_cast<double>(side) / std::max(image.rows, image.cols);
  const auto height = std::max(1, static_cast<int>(image.rows * scale));
  const auto width = std::max(1, static_cast<int>(image.cols * scale));
  const Box whole{0, 0, static_cast<double>(image.cols), static_cast<double>(image.rows)};
  cv::Mat tile = cv::Mat::zeros(side, side, image.type());
  resize_box(image, whole, height, width, Interpolation::kBilinear)
      .copyTo(tile(cv::Rect((side - width) / 2, (side - height) / 2, width, height)));
  return tile;
}

}  // namespace

cv::Mat augment_sheet(const Dataset& dataset, const PreprocessOptions& preprocess,
                      const AugmentSheetOptions& options) {
  const auto training = Transform::training(preprocess);
  const auto evaluation = Transform::evaluation(preprocess);
  const auto side = static_cast<int>(options.side);
  const int64_t rows = std::min(options.rows, dataset.size());
  cv::Mat sheet =
      cv::Mat::zeros(static_cast<int>(rows) * side, static_cast<int>(options.columns) * side,
                     training.channels() == 1 ? CV_8UC1 : CV_8UC3);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t index = spread_index(dataset.size(), row, rows);
    for (int64_t column = 0; column < options.columns; ++column) {
      const auto key = augment_key(options.seed, std::max<int64_t>(0, column - 1), index);
      const cv::Rect place(static_cast<int>(column) * side, static_cast<int>(row) * side, side,
                           side);
      try {
        sheet_tile(column == 0 ? evaluation : training, dataset, index, key, side)
            .copyTo(sheet(place));
      } catch (const InputError& error) {
        log_line(std::string("left out: ") + error.what());
        break;
      }
    }
  }
  return sheet;
}

}  // namespace softmoe
