#pragma once
/// The steps of augmentation on uint8 images.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/rng.h"
#include "datasets/augment/augment_options.h"
#include "datasets/augment/augment_policy.h"

namespace softmoe {

/// Applies the policy, color jitter, graying and blurring that options ask for, in this order,
/// which is timm's. Safe to use from several threads at once.
class Augmenter {
 public:
  /// For images whose shorter side is `side` pixels; places outside of an image get the color
  /// `mean` (by channel, white is 1). Throws what validate() throws.
  Augmenter(const AugmentOptions& options, int64_t side, const std::array<double, 3>& mean,
            Interpolation interpolation);

  /// Returns true if no image is ever changed.
  bool is_empty() const { return steps_.empty(); }

  /// A new image; `image` is uint8 with 1 or 3 channels. All random choices come from `rng`.
  cv::Mat apply(const cv::Mat& image, Rng& rng) const;

  /// The steps: "randaug(2,9)", "grayscale(0.2)".
  const std::vector<std::string>& steps() const { return steps_; }

 private:
  cv::Mat jitter(cv::Mat image, Rng& rng) const;

  AugmentOptions options_;
  std::optional<AugmentPolicy> policy_;
  std::array<double, 4> jitter_{};  // brightness, contrast, saturation, hue
  bool jitters_ = false;
  double move_pixels_;
  AffineStyle style_;
  std::vector<std::string> steps_;
};

}  // namespace softmoe
