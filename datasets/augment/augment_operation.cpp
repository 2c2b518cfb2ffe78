#include "datasets/augment/augment_operation.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>

#include "datasets/augment/gaussian_blur.h"
#include "datasets/augment/image_operations.h"

namespace softmoe {
namespace {

// Arguments by level, in timm's order of operations, so that they are equal in all digits.

double either_sign(double value, double chance) { return chance > 0.5 ? -value : value; }

double rotation(double level, double chance, const MoveLengths& /*lengths*/) {
  return either_sign(level / 10.0 * 30.0, chance);
}

double shear(double level, double chance, const MoveLengths& /*lengths*/) {
  return either_sign(level / 10.0 * 0.3, chance);
}

double pixels(double level, double chance, const MoveLengths& lengths) {
  return either_sign(level / 10.0 * lengths.pixels, chance);
}

double share(double level, double chance, const MoveLengths& lengths) {
  return either_sign(level / 10.0 * lengths.share, chance);
}

double factor(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return level / 10.0 * 1.8 + 0.1;
}

double factor_away_from_one(double level, double chance, const MoveLengths& /*lengths*/) {
  return std::max(0.1, 1.0 + either_sign(level / 10.0 * 0.9, chance));
}

/// The whole number of `range` parts at `level`.
int whole_part(double level, int range) { return static_cast<int>(level / 10.0 * range); }

double bits(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return whole_part(level, 4);
}

double falling_bits(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return 4 - whole_part(level, 4);
}

double upper_bits(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return whole_part(level, 4) + 4;
}

double threshold(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return std::min(256, whole_part(level, 256));
}

double falling_threshold(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return 256 - std::min(256, whole_part(level, 256));
}

double amount(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return std::min(128, whole_part(level, 110));
}

/// From `min` at level 0 to `max` from level 10 on.
double between(double level, double min, double max) {
  return std::clamp(min + (max - min) * (level / 10.0), min, max);
}

double gray_share(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return between(level, 0.5, 1.0);
}

double blur_radius(double level, double /*chance*/, const MoveLengths& /*lengths*/) {
  return between(level, 0.1, 2.0);
}

double random_blur_radius(double level, double chance, const MoveLengths& /*lengths*/) {
  return 0.1 + (2.0 * between(level, 0.0, 1.0) - 0.1) * chance;
}

cv::Mat autocontrasted(const cv::Mat& image, double /*none*/, const AffineStyle& /*style*/) {
  return autocontrast(image);
}

cv::Mat equalized(const cv::Mat& image, double /*none*/, const AffineStyle& /*style*/) {
  return equalize(image);
}

cv::Mat inverted(const cv::Mat& image, double /*none*/, const AffineStyle& /*style*/) {
  return invert(image);
}

cv::Mat posterized(const cv::Mat& image, double bits, const AffineStyle& /*style*/) {
  return posterize(image, static_cast<int>(bits));
}

cv::Mat solarized(const cv::Mat& image, double threshold, const AffineStyle& /*style*/) {
  return solarize(image, threshold);
}

cv::Mat solarize_added(const cv::Mat& image, double amount, const AffineStyle& /*style*/) {
  return solarize_add(image, static_cast<int>(amount));
}

template <cv::Mat (*adjust)(const cv::Mat&, double)>
cv::Mat adjusted(const cv::Mat& image, double factor, const AffineStyle& /*style*/) {
  return adjust(image, factor);
}

cv::Mat desaturated(const cv::Mat& image, double share, const AffineStyle& /*style*/) {
  return adjust_color(image, std::clamp(1.0 - share, 0.0, 1.0));
}

cv::Mat sheared_x(const cv::Mat& image, double slope, const AffineStyle& style) {
  return affine(image, {.b = slope}, style);
}

cv::Mat sheared_y(const cv::Mat& image, double slope, const AffineStyle& style) {
  return affine(image, {.d = slope}, style);
}

cv::Mat moved_x(const cv::Mat& image, double pixels, const AffineStyle& style) {
  return affine(image, {.c = pixels}, style);
}

cv::Mat moved_y(const cv::Mat& image, double pixels, const AffineStyle& style) {
  return affine(image, {.f = pixels}, style);
}

cv::Mat moved_x_by_share(const cv::Mat& image, double share, const AffineStyle& style) {
  return affine(image, {.c = share * image.cols}, style);
}

cv::Mat moved_y_by_share(const cv::Mat& image, double share, const AffineStyle& style) {
  return affine(image, {.f = share * image.rows}, style);
}

constexpr std::array<AugmentOperation, 27> kOperations{{
    {"AutoContrast", "stretches each channel to all values", nullptr, autocontrasted},
    {"Equalize", "spreads each channel's histogram evenly", nullptr, equalized},
    {"Invert", "gives the negative", nullptr, inverted},
    {"Rotate", "turns by up to 30 degrees", rotation, rotate},
    {"Posterize", "keeps 0 to 4 bits", bits, posterized},
    {"PosterizeIncreasing", "keeps 4 to 0 bits", falling_bits, posterized},
    {"PosterizeOriginal", "keeps 4 to 8 bits", upper_bits, posterized},
    {"Solarize", "inverts values from 0 to 256 on", threshold, solarized},
    {"SolarizeIncreasing", "inverts values from 256 to 0 on", falling_threshold, solarized},
    {"SolarizeAdd", "adds up to 110 to dark values", amount, solarize_added},
    {"Color", "saturation by 0.1 to 1.9", factor, adjusted<adjust_color>},
    {"ColorIncreasing", "saturation by up to 0.9 off 1", factor_away_from_one,
     adjusted<adjust_color>},
    {"Contrast", "contrast by 0.1 to 1.9", factor, adjusted<adjust_contrast>},
    {"ContrastIncreasing", "contrast by up to 0.9 off 1", factor_away_from_one,
     adjusted<adjust_contrast>},
    {"Brightness", "brightness by 0.1 to 1.9", factor, adjusted<adjust_brightness>},
    {"BrightnessIncreasing", "brightness by up to 0.9 off 1", factor_away_from_one,
     adjusted<adjust_brightness>},
    {"Sharpness", "sharpness by 0.1 to 1.9", factor, adjusted<adjust_sharpness>},
    {"SharpnessIncreasing", "sharpness by up to 0.9 off 1", factor_away_from_one,
     adjusted<adjust_sharpness>},
    {"ShearX", "shears along rows by up to 0.3", shear, sheared_x},
    {"ShearY", "shears along columns by up to 0.3", shear, sheared_y},
    {"TranslateX", "moves along rows by pixels", pixels, moved_x},
    {"TranslateY", "moves along columns by pixels", pixels, moved_y},
    {"TranslateXRel", "moves along rows by a share of the width", share, moved_x_by_share},
    {"TranslateYRel", "moves along columns by a share of the height", share, moved_y_by_share},
    {"Desaturate", "takes away 0.5 to 1 of the saturation", gray_share, desaturated},
    {"GaussianBlur", "blurs by 0.1 to 2 px", blur_radius, adjusted<pillow_gaussian_blur>},
    {"GaussianBlurRand", "blurs by a random radius from 0.1 px on", random_blur_radius,
     adjusted<pillow_gaussian_blur>},
}};

}  // namespace

std::span<const AugmentOperation> augment_operations() { return kOperations; }

const AugmentOperation& augment_operation(std::string_view name) {
  const auto* row =
      std::find_if(kOperations.begin(), kOperations.end(),
                   [name](const AugmentOperation& other) { return other.name == name; });
  TORCH_INTERNAL_ASSERT(row != kOperations.end(), "no operation ", std::string(name));
  return *row;
}

}  // namespace softmoe
