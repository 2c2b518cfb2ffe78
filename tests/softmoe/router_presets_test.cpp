#include "softmoe/router_presets.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::UnorderedElementsAre;

TEST(RouterPresets, AreOneForEachNameButNone) {
  std::vector<RouterInit> found;
  for (const auto& preset : router_presets()) {
    EXPECT_FALSE(preset.source.empty());
    found.push_back(preset.init);
  }
  EXPECT_THAT(found, UnorderedElementsAre(RouterInit::kVmoe, RouterInit::kSpheroMoe));
}

TEST(RouterPresets, OfVmoeAreTheDefaultsThatParityIsTestedWith) {
  MoeOptions options;
  options.router_init = RouterInit::kVmoe;
  options.router_scale = "4";
  options.combine = CombineWeights::kEntmax15;
  options.separate_scales = true;
  options.phi_init = PhiInit::kKMeans;
  options.router_scale_form = ScaleForm::kExp;
  options.router_noise = 0.5;
  apply_router_preset(options);
  options.router_init = RouterInit::kNone;
  EXPECT_EQ(options, MoeOptions{});
}

TEST(RouterPresets, OfSpheroMoeHaveTwoScalesEntmaxAndNoise) {
  MoeOptions options;
  options.router_init = RouterInit::kSpheroMoe;
  options.experts = 20;
  apply_router_preset(options);
  EXPECT_EQ(options.router_scale, "2");
  EXPECT_TRUE(options.separate_scales);
  EXPECT_EQ(options.combine, CombineWeights::kEntmax15);
  EXPECT_EQ(options.phi_init, PhiInit::kOrthogonal);
  EXPECT_DOUBLE_EQ(options.router_noise, 0.05);
  EXPECT_DOUBLE_EQ(options.expert_drop, 0.4);
  MoeOptions none;
  apply_router_preset(none);
  EXPECT_EQ(none, MoeOptions{});
}

}  // namespace
}  // namespace softmoe
