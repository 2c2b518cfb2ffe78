#pragma once
/// From a decoded image to the floats that a model takes.

#include <array>
#include <string>
#include <vector>

#include "core/options.h"
#include "core/rng.h"
#include "datasets/dataset.h"
#include "datasets/resize.h"

namespace softmoe {

/// Which part of an image a model sees.
enum class CropMode {
  kAuto,       ///< inception in training and center in evaluation for sides from 64 px, none below
  kCenter,     ///< the shorter side is resized to side / crop_pct, then the centre is cut out
  kInception,  ///< a random area and aspect ratio (Szegedy et al., arXiv:1409.4842)
  kPadded,     ///< resized as a whole, padded with black, a random window of the full size
  kNone        ///< resized as a whole, whatever its aspect ratio
};
template <>
inline constexpr std::array<EnumName<CropMode>, 5> kEnumNames<CropMode>{
    {{CropMode::kAuto, "auto"},
     {CropMode::kCenter, "center"},
     {CropMode::kInception, "inception"},
     {CropMode::kPadded, "padded"},
     {CropMode::kNone, "none"}}};

template <>
inline constexpr std::array<EnumName<Interpolation>, 4> kEnumNames<Interpolation>{
    {{Interpolation::kBilinear, "bilinear"},
     {Interpolation::kBicubic, "bicubic"},
     {Interpolation::kBox, "box"},
     {Interpolation::kNearest, "nearest"}}};

/// How images become input of a model; stored in checkpoints.
struct PreprocessOptions {
  std::vector<int64_t> input_size = {3, 224, 224};  ///< channels (1 or 3), height, width
  CropMode train_crop = CropMode::kAuto;
  CropMode crop = CropMode::kAuto;  ///< in evaluation
  double crop_pct = 0.875;          ///< of kCenter
  bool crop_floor = false;          ///< of kCenter: its place is cut to whole pixels, not rounded
  std::vector<double> scale = {0.08, 1.0};         ///< of kInception: share of the image's area
  std::vector<double> ratio = {3.0 / 4, 4.0 / 3};  ///< of kInception: width over height
  int64_t padding = 4;                             ///< of kPadded, pixels on each side
  double hflip = 0.0;                              ///< probability of mirroring in training
  Interpolation interpolation = Interpolation::kBilinear;
  std::vector<double> mean = {0.5};  ///< one value or one a channel, white is 1
  std::vector<double> std = {0.5};   ///< mean and std of 0.5 give the range [-1, 1]

  bool operator==(const PreprocessOptions&) const = default;
};
void describe(OptionTable& table, PreprocessOptions& options);

/// Throws UsageError where mean and std are not one finite value each or one a channel, or a std is
/// not above 0.
void check_normalization(const PreprocessOptions& options, int64_t channels);

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
