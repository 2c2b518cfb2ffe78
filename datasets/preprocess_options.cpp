#include "datasets/preprocess_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr int64_t kSmallSide = 64;  // kAuto does not crop smaller images

void check_list(const std::string& name, const std::vector<double>& values,
                const std::string& expected, bool good) {
  if (!good) {
    throw UsageError(name, expected, fmt::format("'{:g}'", fmt::join(values, " ")));
  }
}

CropMode resolved(CropMode mode, CropMode large, const std::vector<int64_t>& input_size) {
  if (mode != CropMode::kAuto) {
    return mode;
  }
  const bool is_small =
      input_size.size() == 3 && std::max(input_size[1], input_size[2]) < kSmallSide;
  return is_small ? CropMode::kNone : large;
}

}  // namespace

CropMode PreprocessOptions::training_crop() const {
  return resolved(train_crop, CropMode::kInception, input_size);
}

bool PreprocessOptions::is_fixed() const {
  auto usual = augment;
  usual.aug_repeats = 0;
  const auto way = training_crop();
  return usual == AugmentOptions{} && augment.aug_repeats <= 1 && hflip == 0.0 && vflip == 0.0 &&
         (way == CropMode::kCenter || way == CropMode::kNone ||
          (way == CropMode::kPadded && padding == 0));
}

CropMode PreprocessOptions::evaluation_crop() const {
  return resolved(crop, CropMode::kCenter, input_size);
}

void describe(OptionTable& table, PreprocessOptions& options) {
  table.add("input-size", options.input_size, "channels, height and width of the model's input",
            {.min = 1, .follows = "by --in-chans and --img-size"});
  table.add("train-crop-mode", options.train_crop,
            "part of an image that training sees; auto: inception from 64 px, none below");
  table.add("crop-mode", options.crop,
            "part of an image that evaluation sees; auto: center from 64 px, none below");
  table.add("crop-pct", options.crop_pct,
            "share of the resized image's side that a center crop keeps", {.min = 0.01, .max = 1});
  table.add("crop-floor", options.crop_floor,
            "the place of a center crop is cut to whole pixels (Hugging Face), not rounded (timm)");
  table.add("scale", options.scale, "inception crop: min and max share of the area");
  table.add("ratio", options.ratio, "inception crop: min and max width over height");
  table.add("padding", options.padding, "padded crop: width of the black border on each side",
            {.unit = "px", .min = 0});
  table.add("hflip", options.hflip,
            "probability of mirroring a training image; not given: 0.5 if a mirrored image of "
            "the data set keeps its label, 0 for letters and digits",
            {.min = 0, .max = 1, .follows = "by --dataset"});
  table.add("vflip", options.vflip, "probability of mirroring a training image from top to bottom",
            {.min = 0, .max = 1});
  table.add("interpolation", options.interpolation, "filter for resizing, as Pillow defines it");
  table.add("jpeg-decoding", options.jpeg_decoding,
            "what training decodes of a JPEG file: the crop, with the same pixels as in full, or "
            "scaled to 1/2, 1/4 or 1/8 if it is still as large as the input, which is faster for "
            "large pictures");
  table.add("mean", options.mean, "subtracted from pixels in [0, 1]: one value or one per channel");
  table.add("std", options.std, "divides what is left; mean and std of 0.5 give [-1, 1]",
            {.min = 1e-9});
  describe(table, options.augment);
}

void check_normalization(const PreprocessOptions& options, int64_t channels) {
  const auto fits = [&](const std::vector<double>& values) {
    return (values.size() == 1 || std::ssize(values) == channels) &&
           std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  };
  const auto count = channels == 1 ? "one value" : fmt::format("one or {} values", channels);
  check_list("mean", options.mean, count, fits(options.mean));
  check_list("std", options.std, count + " above 0",
             fits(options.std) && *std::min_element(options.std.begin(), options.std.end()) > 0);
}

void validate(const PreprocessOptions& options) {
  const auto& size = options.input_size;
  const bool sized =
      size.size() == 3 && (size[0] == 1 || size[0] == 3) && size[1] > 0 && size[2] > 0;
  check_list("input-size", {size.begin(), size.end()}, "1 or 3 channels, height, width", sized);
  const auto is_range = [](const std::vector<double>& range) {
    return range.size() == 2 && range.front() > 0 && range.front() <= range.back();
  };
  check_list("scale", options.scale, "a low and a high end above 0", is_range(options.scale));
  check_list("ratio", options.ratio, "a low and a high end above 0", is_range(options.ratio));
  check_list("scale", options.scale, "shares up to 1", options.scale.back() <= 1.0);
  check_normalization(options, size[0]);
  validate(options.augment);
}

}  // namespace softmoe
