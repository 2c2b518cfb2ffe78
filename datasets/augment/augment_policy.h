#pragma once
/// Policies of augmentation: which operations change an image, and how they are drawn.

#include <cstdint>
#include <string>
#include <vector>

#include "core/rng.h"
#include "datasets/augment/augment_operation.h"

namespace softmoe {

/// An operation of a policy.
struct PolicyOperation {
  const AugmentOperation* operation = nullptr;
  double probability = 1.0;
  double magnitude = 10.0;
  double magnitude_std = 0.0;   ///< of normal noise; infinite: uniform from 0 to `magnitude`
  double max_magnitude = 10.0;  ///< magnitudes are cut to [0, max_magnitude]
  /// If it is not empty, the argument is one of these, whatever the magnitude.
  std::vector<double> arguments = {};
  bool either_sign = false;  ///< of one of `arguments`
};

/// AugMix (Hendrycks et al., arXiv:1912.02781): the mean of chains of operations.
struct MixedChains {
  int64_t width = 0;  ///< number of chains; 0: no AugMix
  int64_t depth = 0;  ///< operations of a chain; 0: 1 to 3 of them
  double alpha = 1.0;
};

/// What happens to an image: `draws` of `choices` one after the other, or `chains` of them.
struct AugmentPolicy {
  std::string text = {};  ///< as a step: "randaug(2,9)"
  std::vector<std::vector<PolicyOperation>> choices =
      {};                            ///< each a sequence; empty: nothing happens
  std::vector<double> weights = {};  ///< of `choices`, each drawn at most once; empty: all alike
  int64_t draws = 1;
  MixedChains chains = {};
  double move_share = 0.45;  ///< see MoveLengths
};

/// A new image: `image` (uint8, 1 or 3 channels) as `policy` changes it. `move_pixels` is
/// MoveLengths::pixels.
cv::Mat apply_policy(const AugmentPolicy& policy, const cv::Mat& image, double move_pixels,
                     const AffineStyle& style, Rng& rng);

}  // namespace softmoe
