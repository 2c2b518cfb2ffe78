#include "inference/packed/can_pack.h"

#include "softmoe/routers.h"
#include "support/levels.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

TEST(CanPack, IsTrueUnlessModulesAreFasterOrAlone) {
  test::on_every_level([] {
    const auto options = test::small_options();
    EXPECT_EQ(can_pack(options, {}, Precision::kFloat32), kernels::has(kernels::Need::kFp32));
    for (const auto precision : {Precision::kBFloat16, Precision::kInt8, Precision::kInt8Experts}) {
      EXPECT_TRUE(can_pack(options, {}, precision)) << enum_name(precision);
    }
    EXPECT_FALSE(can_pack(options, {}, Precision::kFloat16));
    EXPECT_FALSE(can_pack(options, {}, Precision::kFloat64));
  });
}

TEST(CanPack, IsTrueForEveryRouter) {
  for (const auto& name : router_names()) {
    EXPECT_TRUE(can_pack(test::small_moe_options(name), {}, Precision::kBFloat16)) << name;
  }
}

TEST(CanPack, IsFalseForSlotsWhosePowersOverflow) {
  const auto options = test::small_moe_options();
  NamedTensors weights{{"blocks.1.moe.router.scale", torch::tensor(79.0F)}};
  EXPECT_TRUE(can_pack(options, weights, Precision::kBFloat16));
  weights["blocks.2.moe.router.scale"] = torch::tensor(-81.0F);
  EXPECT_FALSE(can_pack(options, weights, Precision::kBFloat16));
}

TEST(CanPack, LooksAtScalesAsTheyAreUsed) {
  auto options = test::small_moe_options();
  options.moe.router_scale_form = ScaleForm::kExp;
  NamedTensors weights{{"blocks.1.moe.router.scale", torch::tensor(5.0F)}};  // exp(5) > 80
  EXPECT_FALSE(can_pack(options, weights, Precision::kBFloat16));
  options.moe.router_scale_max = 20.0;
  EXPECT_TRUE(can_pack(options, weights, Precision::kBFloat16));
  options = test::small_moe_options();
  options.moe.separate_scales = true;
  weights = {{"blocks.1.moe.router.scale", torch::tensor(1.0F)},
             {"blocks.1.moe.router.combine_scale", torch::tensor(81.0F)}};
  EXPECT_FALSE(can_pack(options, weights, Precision::kBFloat16));
  weights["blocks.1.moe.router.combine_scale"] = torch::tensor(8.0F);
  EXPECT_TRUE(can_pack(options, weights, Precision::kBFloat16));
  // The logits of combine are made from those of dispatch.
  weights["blocks.1.moe.router.scale"] = torch::tensor(0.0F);
  EXPECT_FALSE(can_pack(options, weights, Precision::kBFloat16));
}

TEST(CanPack, IsFalseInFp32IfTokensAreRoundedBeforeExpertsGetThem) {
  for (const auto& row : router_rows()) {
    auto options = test::small_moe_options(std::string(row.name));
    options.moe.dispatch_dtype = Precision::kBFloat16;
    EXPECT_TRUE(can_pack(options, {}, Precision::kBFloat16)) << row.name;
    EXPECT_FALSE(can_pack(options, {}, Precision::kFloat32)) << row.name;
  }
}

}  // namespace
}  // namespace softmoe
