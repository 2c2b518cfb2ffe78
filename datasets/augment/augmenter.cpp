#include "datasets/augment/augmenter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "datasets/augment/gaussian_blur.h"
#include "datasets/augment/hue.h"
#include "datasets/augment/image_operations.h"

namespace softmoe {
namespace {

constexpr double kMinSigma = 0.1;  // of blurring, as torchvision's GaussianBlur draws it
constexpr double kMaxSigma = 2.0;

/// A pixel of value `share` of white.
double fill_pixel(double share) { return std::clamp(std::nearbyint(255.0 * share), 0.0, 255.0); }

/// A draw that is true with probability `share`; draws nothing if that is 0.
bool happens(double share, Rng& rng) { return share > 0.0 && rng.uniform() < share; }

}  // namespace

Augmenter::Augmenter(const AugmentOptions& options, int64_t side, const std::array<double, 3>& mean,
                     Interpolation interpolation)
    : options_(options),
      move_pixels_(std::floor(static_cast<double>(side) * 0.45)),
      style_{.interpolation = interpolation,
             .fill = {fill_pixel(mean[0]), fill_pixel(mean[1]), fill_pixel(mean[2])}} {
  validate(options);
  if (!options.aa.empty()) {
    policy_ = parse_augment_policy(options.aa);
    steps_.push_back(policy_->text);
  }
  const auto& given = options.color_jitter;
  for (size_t i = 0; i < std::min<size_t>(given.size() == 1 ? 3 : given.size(), 4); ++i) {
    jitter_[i] = given[given.size() == 1 ? 0 : i];
  }
  jitters_ = std::any_of(jitter_.begin(), jitter_.end(), [](double v) { return v > 0.0; }) &&
             options.color_jitter_prob > 0.0 &&
             (options.aa.empty() || options.aa.find("3a") != std::string::npos);
  if (jitters_) {
    steps_.push_back(fmt::format(
        "color_jitter({:g}{})", fmt::join(given, ","),
        options.color_jitter_prob < 1.0 ? fmt::format(",p={:g}", options.color_jitter_prob) : ""));
  }
  if (options.grayscale_prob > 0.0) {
    steps_.push_back(fmt::format("grayscale({:g})", options.grayscale_prob));
  }
  if (options.gaussian_blur_prob > 0.0) {
    steps_.push_back(fmt::format("gaussian_blur({:g})", options.gaussian_blur_prob));
  }
}

cv::Mat Augmenter::apply(const cv::Mat& image, Rng& rng) const {
  cv::Mat result = policy_ ? apply_policy(*policy_, image, move_pixels_, style_, rng) : image;
  if (jitters_ && happens(options_.color_jitter_prob, rng)) {
    result = jitter(result, rng);
  }
  if (happens(options_.grayscale_prob, rng)) {
    result = image.channels() == 3 ? as_rgb(luma(result)) : result;
  }
  if (happens(options_.gaussian_blur_prob, rng)) {
    result = sampled_gaussian_blur(result, rng.uniform(kMinSigma, kMaxSigma));
  }
  return result;
}

// As torchvision's ColorJitter: the changes are made in a random order.
cv::Mat Augmenter::jitter(cv::Mat image, Rng& rng) const {
  for (const int64_t change : random_permutation(std::ssize(jitter_), rng)) {
    const double range = jitter_[static_cast<size_t>(change)];
    if (range == 0.0) {
      continue;
    }
    if (change == 3) {
      image = adjust_hue(image, rng.uniform(-range, range));
      continue;
    }
    const double factor = rng.uniform(std::max(0.0, 1.0 - range), 1.0 + range);
    constexpr std::array kAdjust{adjust_brightness, adjust_contrast, adjust_color};
    image = kAdjust[static_cast<size_t>(change)](image, factor);
  }
  return image;
}

}  // namespace softmoe
