#include "datasets/inspection.h"

#include <array>
#include <opencv2/core.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "datasets/loader.h"
#include "datasets/resize.h"
#include "datasets/subset.h"

namespace softmoe {
namespace {

/// Sums over the pixels of many images; gray images count for each of three channels.
class PixelSums {
 public:
  void add(const cv::Mat& image) {
    std::array<uint64_t, 3> sums{};
    std::array<uint64_t, 3> squares{};
    const int step = image.channels();
    for (int y = 0; y < image.rows; ++y) {
      const uint8_t* row = image.ptr(y);
      for (int i = 0; i < image.cols * step; ++i) {
        const auto channel = static_cast<size_t>(i % step);
        sums[channel] += row[i];
        squares[channel] += static_cast<uint64_t>(row[i]) * row[i];
      }
    }
    for (size_t channel = 0; channel < 3; ++channel) {
      const size_t source = step == 1 ? 0 : channel;
      sums_[channel] += static_cast<double>(sums[source]);
      squares_[channel] += static_cast<double>(squares[source]);
    }
    pixels_ += static_cast<double>(image.total());
    any_colour_ |= step == 3;
  }

  void write(DatasetSummary& summary) const {
    for (size_t channel = 0; channel < (any_colour_ ? 3 : 1) && pixels_ > 0; ++channel) {
      const double mean = sums_[channel] / pixels_;
      const double variance = squares_[channel] / pixels_ - mean * mean;
      summary.mean.push_back(mean / 255.0);
      summary.std.push_back(std::sqrt(std::max(variance, 0.0)) / 255.0);
    }
  }

 private:
  std::array<double, 3> sums_{};
  std::array<double, 3> squares_{};
  double pixels_ = 0.0;
  bool any_colour_ = false;
};

/// The largest square in the middle of `image`, `side` pixels wide.
cv::Mat tile_of(const cv::Mat& image, int side) {
  const double square = std::min(image.rows, image.cols);
  const double left = std::floor(0.5 * (image.cols - square));
  const double top = std::floor(0.5 * (image.rows - square));
  // Small images are shown pixel by pixel.
  const auto filter = square < side ? Interpolation::kNearest : Interpolation::kBilinear;
  return resize_box(image, {left, top, left + square, top + square}, side, side, filter);
}

cv::Mat with_three_channels(const cv::Mat& image) {
  cv::Mat colour;
  cv::merge(std::vector<cv::Mat>(3, image), colour);
  return colour;
}

}  // namespace

DatasetSummary summarize(const Dataset& dataset, int64_t max_decoded) {
  DatasetSummary summary;
  summary.class_images.resize(dataset.class_names().size(), 0);
  for (int64_t index = 0; index < dataset.size(); ++index) {
    for (const int64_t label : dataset.labels(index)) {
      ++summary.class_images.at(static_cast<size_t>(label));
    }
  }
  PixelSums sums;
  const int64_t count = std::min(max_decoded, dataset.size());
  Progress progress("Describe", count, "images");
  for (int64_t number = 0; number < count; ++number) {
    const int64_t index = spread_index(dataset.size(), number, count);
    progress.update(number + 1);
    cv::Mat image;
    try {
      image = dataset.get(index).image;
    } catch (const InputError& error) {
      summary.bad.push_back({index, error.what()});
      continue;
    }
    const bool first = summary.decoded++ == 0;
    const int64_t height = image.rows;
    const int64_t width = image.cols;
    summary.min_height = first ? height : std::min(summary.min_height, height);
    summary.max_height = std::max(summary.max_height, height);
    summary.min_width = first ? width : std::min(summary.min_width, width);
    summary.max_width = std::max(summary.max_width, width);
    sums.add(image);
  }
  sums.write(summary);
  return summary;
}

std::vector<BadImage> find_bad_images(const Dataset& dataset, int64_t workers) {
  // The loader decodes in threads and keeps the list. The pixels are not used, so they are made
  // tiny.
  PreprocessOptions tiny;
  tiny.input_size = {1, 1, 1};
  tiny.crop = CropMode::kNone;
  tiny.interpolation = Interpolation::kNearest;
  LoaderOptions options;
  options.workers = workers;
  options.max_bad_images = 1.0;
  options.log_bad_images = false;
  Loader loader(dataset, Transform::evaluation(tiny), options);
  loader.start(/*epoch=*/0);
  Progress progress("Verify", dataset.size(), "images");
  while (const auto batch = loader.next()) {
    progress.update(std::min((batch->number + 1) * options.batch_size, dataset.size()));
  }
  auto bad = loader.bad_images();
  std::sort(bad.begin(), bad.end(),
            [](const BadImage& a, const BadImage& b) { return a.index < b.index; });
  return bad;
}

cv::Mat contact_sheet(const Dataset& dataset, int64_t columns, int64_t rows, int64_t side) {
  const auto tile_side = static_cast<int>(side);
  cv::Mat sheet =
      cv::Mat::zeros(static_cast<int>(rows * side), static_cast<int>(columns * side), CV_8UC1);
  const int64_t count = std::min(columns * rows, dataset.size());
  for (int64_t number = 0; number < count; ++number) {
    const cv::Rect place(static_cast<int>(number % columns * side),
                         static_cast<int>(number / columns * side), tile_side, tile_side);
    cv::Mat tile;
    try {
      tile = tile_of(dataset.get(spread_index(dataset.size(), number, count)).image, tile_side);
    } catch (const InputError& error) {
      log_line(std::string("left out: ") + error.what());
      continue;
    }
    if (tile.channels() > sheet.channels()) {
      sheet = with_three_channels(sheet);
    } else if (tile.channels() < sheet.channels()) {
      tile = with_three_channels(tile);
    }
    tile.copyTo(sheet(place));
  }
  return sheet;
}

}  // namespace softmoe
