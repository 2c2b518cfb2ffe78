#include "softmoe/router_presets.h"

#include <algorithm>
#include <array>

namespace softmoe {
namespace {

void apply_vmoe(MoeOptions& options) {
  options.router_scale = "1";
  options.router_scale_form = ScaleForm::kLinear;
  options.router_scale_max = 0.0;
  options.separate_scales = false;
  options.phi_init = PhiInit::kNormal;
  options.combine = CombineWeights::kSoftmax;
  options.router_noise = 0.0;
}

// Of the released code, which divides the logits by temperatures of 0.5; its core and universal
// experts are of two widths, which one layer here does not have.
void apply_spheromoe(MoeOptions& options) {
  options.router_scale = "2";
  options.router_scale_form = ScaleForm::kLinear;
  options.router_scale_max = 0.0;
  options.separate_scales = true;
  options.phi_init = PhiInit::kOrthogonal;
  options.combine = CombineWeights::kEntmax15;
  options.router_noise = 1.0 / static_cast<double>(std::max<int64_t>(1, options.experts));
  options.expert_drop = 0.4;
}

constexpr std::array kPresets{
    RouterPreset{.init = RouterInit::kVmoe, .source = "arXiv:2308.00951", .apply = apply_vmoe},
    RouterPreset{
        .init = RouterInit::kSpheroMoe, .source = "arXiv:2406.04801", .apply = apply_spheromoe},
};

}  // namespace

std::span<const RouterPreset> router_presets() { return kPresets; }

void apply_router_preset(MoeOptions& options) {
  for (const auto& preset : kPresets) {
    if (preset.init == options.router_init) {
      preset.apply(options);
    }
  }
}

}  // namespace softmoe
