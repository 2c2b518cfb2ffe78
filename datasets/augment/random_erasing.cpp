#include "datasets/augment/random_erasing.h"

#include <fmt/format.h>

#include <cmath>

namespace softmoe {
namespace {

constexpr double kMinArea = 0.02;
constexpr double kMaxArea = 1.0 / 3.0;
constexpr double kMinAspect = 0.3;
constexpr int kEraseTries = 10;

/// The part of an image that is erased.
struct ErasedPart {
  int64_t top = 0;
  int64_t left = 0;
  int64_t height = 0;
  int64_t width = 0;
};

/// One of `count` parts of an image; its height is 0 if none was found that fits.
ErasedPart drawn_part(int64_t count, int64_t height, int64_t width, Rng& rng) {
  const auto area = static_cast<double>(height * width);
  const double range = -std::log(kMinAspect);
  for (int attempt = 0; attempt < kEraseTries; ++attempt) {
    const double target = rng.uniform(kMinArea, kMaxArea) * area / static_cast<double>(count);
    const double aspect = std::exp(rng.uniform(-range, range));
    const auto part_height = static_cast<int64_t>(std::nearbyint(std::sqrt(target * aspect)));
    const auto part_width = static_cast<int64_t>(std::nearbyint(std::sqrt(target / aspect)));
    if (part_width < width && part_height < height) {
      const int64_t top = rng.below(height - part_height + 1);
      return {top, rng.below(width - part_width + 1), part_height, part_width};
    }
  }
  return {};
}

}  // namespace

void erase_random(const AugmentOptions& options, int64_t channels, int64_t height, int64_t width,
                  Rng& rng, float* image) {
  if (options.reprob <= 0.0 || rng.uniform() >= options.reprob) {
    return;
  }
  const int64_t count = 1 + rng.below(options.recount);
  for (int64_t number = 0; number < count; ++number) {
    const auto part = drawn_part(count, height, width, rng);
    for (int64_t channel = 0; channel < channels; ++channel) {
      auto value = static_cast<float>(options.remode == EraseMode::kConst ? 0.0 : rng.normal());
      for (int64_t y = part.top; y < part.top + part.height; ++y) {
        float* row = image + (channel * height + y) * width;
        for (int64_t x = part.left; x < part.left + part.width; ++x) {
          row[x] = value;
          if (options.remode == EraseMode::kPixel) {
            value = static_cast<float>(rng.normal());
          }
        }
      }
    }
  }
}

std::string erasing_text(const AugmentOptions& options) {
  if (options.reprob <= 0.0) {
    return "";
  }
  return fmt::format("|random_erase({:g},{}{})", options.reprob, enum_name(options.remode),
                     options.recount > 1 ? fmt::format(",count={}", options.recount) : "");
}

}  // namespace softmoe
