#pragma once
/// Options of augmentation, which training applies to an image after crop and mirroring; by timm's
/// names and with its meaning.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// What fills erased rectangles of a normalised image.
enum class EraseMode {
  kConst,  ///< 0, the mean
  kRand,   ///< one normal draw per channel
  kPixel   ///< normal draws
};
template <>
inline constexpr std::array<EnumName<EraseMode>, 3> kEnumNames<EraseMode>{
    {{EraseMode::kConst, "const"}, {EraseMode::kRand, "rand"}, {EraseMode::kPixel, "pixel"}}};

/// Options of Augmenter and erase_random(). The defaults change nothing.
struct AugmentOptions {
  std::string aa = {};                    ///< a policy (augment_policy_parser.h); empty: none
  std::vector<double> color_jitter = {};  ///< brightness, contrast, saturation and hue; empty: none
  double color_jitter_prob = 1.0;
  double grayscale_prob = 0.0;
  double gaussian_blur_prob = 0.0;
  double reprob = 0.0;  ///< probability of erasing
  EraseMode remode = EraseMode::kPixel;
  int64_t recount = 1;      ///< max rectangles of an image
  int64_t aug_repeats = 0;  ///< different views of an image one after the other; 0 is 1

  bool operator==(const AugmentOptions&) const = default;
};
void describe(OptionTable& table, AugmentOptions& options);

/// Throws UsageError for options that contradict each other, or a policy that is none.
void validate(const AugmentOptions& options);

}  // namespace softmoe
