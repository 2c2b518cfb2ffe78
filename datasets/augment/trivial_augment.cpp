#include "datasets/augment/trivial_augment.h"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace softmoe {
namespace {

constexpr int kTrivialBins = 31;

/// Numbers from `first` to `last`, in single precision as torch.linspace gives them.
std::vector<double> linear_bins(double first, double last) {
  std::vector<double> bins;
  for (int bin = 0; bin < kTrivialBins; ++bin) {
    bins.push_back(static_cast<float>(first + (last - first) * bin / (kTrivialBins - 1)));
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
  add("ShearX", linear_bins(0.0, 0.99), true);
  add("ShearY", linear_bins(0.0, 0.99), true);
  auto whole_pixels = linear_bins(0.0, 32.0);
  for (auto& pixels : whole_pixels) {
    pixels = std::trunc(pixels);
  }
  add("TranslateX", whole_pixels, true);
  add("TranslateY", whole_pixels, true);
  add("Rotate", linear_bins(0.0, 135.0), true);
  for (const auto* name : {"Brightness", "Color", "Contrast", "Sharpness"}) {
    std::vector<double> factors;
    for (const double change : linear_bins(0.0, 0.99)) {
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
  add("Solarize", linear_bins(255.0, 0.0), false);
  add("AutoContrast", {}, false);
  add("Equalize", {}, false);
  return policy;
}

}  // namespace softmoe
