/// What the parameters of soft routers begin with.

#include <gmock/gmock.h>

#include <cmath>

#include "softmoe/routers/soft_router.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

MoeLayerOptions sizes(int64_t experts = 3, int64_t slots = 2) {
  MoeLayerOptions options;
  options.dim = 16;
  options.hidden_dim = 8;
  options.tokens = 9;
  options.moe.experts = experts;
  options.moe.slots_per_expert = slots;
  return options;
}

TEST(SoftRouterStart, ScaleIsANumberOrTheRootOfTheWidth) {
  auto options = sizes();
  EXPECT_EQ(SoftRouter(options, SoftMixing::kSoft)->scale.item<double>(), 1.0);
  options.moe.router_scale = "6.5";
  EXPECT_EQ(SoftRouter(options, SoftMixing::kSoft)->scale.item<double>(), 6.5);
  options.moe.router_scale = "sqrt_dim";
  EXPECT_EQ(SoftRouter(options, SoftMixing::kSoft)->scale.item<double>(), 4.0);
  for (const auto* text : {"", "0", "-1", "1x", "inf", "sqrt(dim)"}) {
    options.moe.router_scale = text;
    EXPECT_THAT(test::usage_error([&] { initial_router_scale(options.moe, 16); }),
                HasSubstr("router-scale: expected a number above 0 or sqrt_dim"));
  }
}

TEST(SoftRouterStart, SlotsCanBeOrthogonal) {
  auto options = sizes();
  options.moe.phi_init = PhiInit::kOrthogonal;
  torch::manual_seed(3);
  const auto phi = SoftRouter(options, SoftMixing::kSoft)->phi.detach().flatten(1);  // [dim, slots]
  const auto products = phi.t().matmul(phi);  // [slots, slots]
  // As long as normal slots are on average.
  EXPECT_TRUE(torch::allclose(products, torch::eye(6) / 3.0, 1e-4, 1e-5));
  options = sizes(/*experts=*/20);  // more slots than channels
  options.moe.phi_init = PhiInit::kOrthogonal;
  const auto wide = SoftRouter(options, SoftMixing::kSoft)->phi.detach().flatten(1);
  const auto rows = wide.matmul(wide.t());  // [dim, dim]
  EXPECT_TRUE(torch::allclose(rows, torch::eye(16) * rows[0][0].item<float>(), 1e-4, 1e-5));
}

TEST(SoftRouterStart, OrthogonalSlotsBeginLessAlike) {
  // The largest cosine between two slots.
  const auto largest = [](PhiInit init) {
    auto options = sizes(/*experts=*/8, /*slots=*/1);
    options.moe.phi_init = init;
    torch::manual_seed(4);
    const auto phi = SoftRouter(options, SoftMixing::kSoft)->phi.detach().flatten(1);
    const auto units = phi / phi.norm(2, /*dim=*/0, /*keepdim=*/true);
    return (units.t().matmul(units) - torch::eye(8)).max().item<double>();
  };
  EXPECT_LT(largest(PhiInit::kOrthogonal), 1e-5);
  EXPECT_GT(largest(PhiInit::kNormal), 0.1);
}

}  // namespace
}  // namespace softmoe
