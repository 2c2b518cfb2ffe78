#include "datasets/augment/augment_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "core/error.h"
#include "datasets/augment/augment_policy_parser.h"

namespace softmoe {

void describe(OptionTable& table, AugmentOptions& options) {
  table.add("aa", options.aa,
            "policy of augmentation as timm writes it: rand-m9-mstd0.5-inc1, original, originalr, "
            "v0, v0r, 3a, augmix-m3, or ta_wide; empty: none");
  table.add("color-jitter", options.color_jitter,
            "random changes up to this share: one value for brightness, contrast and saturation, "
            "or one for each, and one for hue (at most 0.5) if it is wanted; beside --aa only if "
            "that is a kind of 3a, as in timm",
            {.min = 0});
  table.add("color-jitter-prob", options.color_jitter_prob, "share of images that are jittered",
            {.min = 0, .max = 1});
  table.add("grayscale-prob", options.grayscale_prob, "share of images that become gray",
            {.min = 0, .max = 1});
  table.add("gaussian-blur-prob", options.gaussian_blur_prob,
            "share of images that are blurred by 0.1 to 2 px", {.min = 0, .max = 1});
  table.add("reprob", options.reprob, "share of images that lose a random rectangle",
            {.min = 0, .max = 1});
  table.add("remode", options.remode,
            "what fills the rectangle: the mean, noise of one color, noise per pixel");
  table.add("recount", options.recount, "max rectangles of an image, which share the area",
            {.min = 1, .max = 100});
  table.add("aug-repeats", options.aug_repeats,
            "views of an image one after the other in the order of training, which then has as "
            "many fewer images per epoch; 0 or 1: one view",
            {.min = 0, .max = 1000});
}

void validate(const AugmentOptions& options) {
  if (!options.aa.empty()) {
    parse_augment_policy(options.aa);
  }
  const auto& jitter = options.color_jitter;
  bool is_good = jitter.empty() || jitter.size() == 1 || jitter.size() == 3 || jitter.size() == 4;
  for (const double value : jitter) {
    is_good = is_good && std::isfinite(value) && value >= 0.0;
  }
  if (!is_good || (jitter.size() == 4 && jitter[3] > 0.5)) {
    throw UsageError("color-jitter", "1, 3 or 4 values that are not negative, the fourth up to 0.5",
                     fmt::format("'{:g}'", fmt::join(jitter, " ")));
  }
}

}  // namespace softmoe
