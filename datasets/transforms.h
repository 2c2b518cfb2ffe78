#pragma once
/// From a decoded image to the floats that a model takes.

#include <array>
#include <string>

#include "core/rng.h"
#include "datasets/augment/augmenter.h"
#include "datasets/dataset.h"
#include "datasets/formats/picture_part.h"
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

  /// Writes the input made of image `index` to `out` and returns its label. Training decodes only
  /// what it needs of the image's file (PreprocessOptions::jpeg_decoding). Throws InputError like
  /// Dataset::get().
  int64_t apply(const Dataset& dataset, int64_t index, Rng& rng, float* out) const;

  /// The image that apply() made `input` [channels, height, width] of: uint8, with values outside
  /// of the range of pixels cut off.
  cv::Mat picture(const float* input) const;

  /// The steps in their order: "inception_crop(224)|flip_lr|randaug(2,9)|value_range(-1,1)".
  std::string text() const;

 private:
  /// Where the pixels of a resized image go.
  struct Arrangement {
    bool mirror = false;
    bool upside_down = false;
    int shift_y = 0;
    int shift_x = 0;
  };

  Transform(const PreprocessOptions& options, CropMode crop, bool train);

  Box choose_box(int height, int width, Rng& rng) const;
  Surroundings surroundings() const;
  void write_part(const PicturePart& part, Rng& rng, float* out) const;
  Box inception_box(int height, int width, Rng& rng) const;
  Box center_box(int height, int width) const;
  Arrangement draw_arrangement(Rng& rng) const;
  cv::Mat augmented(const cv::Mat& image, const Arrangement& arrangement, Rng& rng) const;
  void write_floats(const cv::Mat& image, const Arrangement& arrangement, float* out) const;
  std::string crop_text() const;
  std::string range_text() const;

  PreprocessOptions options_;
  CropMode crop_;
  double hflip_;
  double vflip_;
  JpegDecoding jpeg_decoding_;
  int64_t channels_;
  int64_t height_;
  int64_t width_;
  std::array<double, 3> mean_{};  // by channel; unused channels have the value of the first
  std::array<double, 3> std_{};
  std::array<std::array<float, 256>, 3> value_of_;  // by channel and pixel value
  Augmenter augmenter_;                             // empty in evaluation
};

}  // namespace softmoe
