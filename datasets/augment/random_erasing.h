#pragma once
/// Erasing of random rectangles (Zhong et al., arXiv:1708.04896) as timm does it.

#include <cstdint>
#include <string>

#include "core/rng.h"
#include "datasets/augment/augment_options.h"

namespace softmoe {

/// With probability `options.reprob`, overwrites 1 to `options.recount` rectangles of `image`
/// [channels, height, width], which is normalised. Together they cover 2 % to a third of the image,
/// and have an aspect ratio from 0.3 to 1 / 0.3. A rectangle that does not fit in ten attempts is
/// left out. Draws nothing if the probability is 0.
void erase_random(const AugmentOptions& options, int64_t channels, int64_t height, int64_t width,
                  Rng& rng, float* image);

/// The step "|random_erase(0.25,pixel)"; empty if nothing is erased.
std::string erasing_text(const AugmentOptions& options);

}  // namespace softmoe
