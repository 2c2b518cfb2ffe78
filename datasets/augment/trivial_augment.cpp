#include "datasets/augment/trivial_augment.h"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace softmoe {
namespace {

constexpr int kTrivialBins = 31;

/// Numbers from `first` to `last` as torch.linspace rounds them, which decides about whole pixels:
/// each half counts from its end, by fused steps in single precision.
std::vector<double> linear_bins(float first, float last) {
  const float step = (last - first) / (kTrivialBins - 1);
  std::vector<double> bins;
  for (int bin = 0; bin < kTrivialBins; ++bin) {
    const bool is_first_half = bin < kTrivialBins / 2;
    const auto steps = static_cast<float>(is_first_half ? bin : kTrivialBins - 1 - bin);
    bins.push_back(is_first_half ? std::fma(step, steps, first) : std::fma(-step, steps, last));
  }
  return bins;
}

}  // namespace

AugmentPolicy trivial_augment() {
  AugmentPolicy policy;
  policy.text = "trivialaug(wide)";
  const auto add = [&policy](std::string_view name, std::vector<double> arguments,
                             bool either_sign) {
    policy.choices.push_back({{.operation = &augment_operation(name),
                               .arguments = std::move(arguments),
                               .either_sign = either_sign}});
  };
  policy.choices.emplace_back();  // the image stays
  add("ShearX", linear_bins(0.0F, 0.99F), true);
  add("ShearY", linear_bins(0.0F, 0.99F), true);
  auto whole_pixels = linear_bins(0.0F, 32.0F);
  for (auto& pixels : whole_pixels) {
    pixels = std::trunc(pixels);
  }
  add("TranslateX", whole_pixels, true);
  add("TranslateY", whole_pixels, true);
  add("Rotate", linear_bins(0.0F, 135.0F), true);
  for (const auto* name : {"Brightness", "Color", "Contrast", "Sharpness"}) {
    std::vector<double> factors;
    for (const double change : linear_bins(0.0F, 0.99F)) {
      factors.push_back(1.0 + change);
      factors.push_back(1.0 - change);
    }
    add(name, std::move(factors), false);
  }
  std::vector<double> bits;
  for (int bin = 0; bin < kTrivialBins; ++bin) {
    bits.push_back(8.0 - std::nearbyint(bin / ((kTrivialBins - 1) / 6.0)));
  }
  add("Posterize", std::move(bits), false);
  add("Solarize", linear_bins(255.0F, 0.0F), false);
  add("AutoContrast", {}, false);
  add("Equalize", {}, false);
  return policy;
}

}  // namespace softmoe
