#pragma once
/// How images become input of a model: only the options, without the code that applies them.

#include <array>
#include <cstdint>
#include <vector>

#include "core/options.h"
#include "datasets/augment/augment_options.h"
#include "datasets/interpolation.h"

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

/// How much of a JPEG file training decodes. Evaluation decodes all of it.
enum class JpegDecoding {
  kFull,   ///< everything, so that damage anywhere is noticed
  kCrop,   ///< the crop, with the pixels of kFull
  kScaled  ///< the crop, at 1/8, 1/4 or 1/2 of its size if it is still as large as the input
};
template <>
inline constexpr std::array<EnumName<JpegDecoding>, 3> kEnumNames<JpegDecoding>{
    {{JpegDecoding::kFull, "full"},
     {JpegDecoding::kCrop, "crop"},
     {JpegDecoding::kScaled, "scaled"}}};

/// Options of Transform; stored in checkpoints.
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
  double vflip = 0.0;                              ///< probability of turning upside down there
  Interpolation interpolation = Interpolation::kBilinear;
  JpegDecoding jpeg_decoding = JpegDecoding::kCrop;  ///< of training images
  std::vector<double> mean = {0.5};                  ///< one value or one per channel, white is 1
  std::vector<double> std = {0.5};                   ///< mean and std of 0.5 give the range [-1, 1]
  AugmentOptions augment;                            ///< of training images

  bool operator==(const PreprocessOptions&) const = default;

  /// `train_crop`, or what kAuto means for the input size.
  CropMode training_crop() const;
  /// `crop`, or what kAuto means for the input size.
  CropMode evaluation_crop() const;
  /// Returns true if training makes the same input of an image each time.
  bool is_fixed() const;
};
void describe(OptionTable& table, PreprocessOptions& options);

/// Throws UsageError if mean or std are not one finite value or one per channel, or a std is not
/// above 0.
void check_normalization(const PreprocessOptions& options, int64_t channels);

/// Throws UsageError for options that contradict each other.
void validate(const PreprocessOptions& options);

}  // namespace softmoe
