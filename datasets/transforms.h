#pragma once
/// From a decoded image to the floats that a model takes.

#include <array>
#include <string>

#include "core/rng.h"
#include "datasets/dataset.h"
#include "datasets/preprocess_options.h"
#include "datasets/resize.h"

namespace softmoe {

/// Turns samples into [channels, height, width] floats. Gray images fill all channels; RGB becomes
/// gray by ITU-R BT.601 luma. Safe to use from several threads at once.
class Transform {
 public:
  /// Throws UsageError for options that contradict each other.
  static Transform training(const PreprocessOptions& options);
  static Transform evaluation(const PreprocessOptions& options);

  int64_t channels() const { return channels_; }
  int64_t height() const { return height_; }
  int64_t width() const { return width_; }

  /// Writes the input made of `sample` to `out` [channels, height, width]. All random choices come
  /// from `rng`; evaluation makes none.
  void apply(const Sample& sample, Rng& rng, float* out) const;

  /// The steps in words: "inception crop 0.08-1 | resize 224x224 bilinear | flip 0.5 | [-1, 1]".
  std::string text() const;

 private:
  Transform(const PreprocessOptions& options, CropMode crop, bool train);

  Box choose_box(const cv::Mat& image, Rng& rng) const;
  Box inception_box(int height, int width, Rng& rng) const;
  Box center_box(int height, int width) const;
  void write_floats(const cv::Mat& image, bool mirror, int shift_y, int shift_x, float* out) const;

  PreprocessOptions options_;
  CropMode crop_;
  double hflip_;
  int64_t channels_;
  int64_t height_;
  int64_t width_;
  std::array<std::array<float, 256>, 3> value_of_;  // by channel and pixel value
};

}  // namespace softmoe
