/// What the parameters of soft routers begin with.

#include <gmock/gmock.h>

#include <cmath>

#include "softmoe/router_scale.h"
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

torch::Tensor tokens_of_three_kinds() {
  torch::manual_seed(8);
  const auto kinds = 4.0 * torch::randn({3, 16});
  return kinds.repeat({40, 1}) + 5.0 + 0.1 * torch::randn({120, 16});  // [count, dim]
}

TEST(SoftRouterStart, SlotsOfKMeansPointFromTheMeanTokenToKindsOfTokens) {
  auto options = sizes(/*experts=*/3, /*slots=*/1);
  options.moe.phi_init = PhiInit::kKMeans;
  SoftRouter router(options, SoftMixing::kSoft);
  EXPECT_EQ(router->wanted_sample(), RouterSample::kTokens);
  const auto sample = tokens_of_three_kinds();
  router->fit(sample, /*twin=*/nullptr);
  EXPECT_EQ(router->wanted_sample(), RouterSample::kNone);
  const auto phi = router->phi.detach().flatten(1);  // [dim, slots]
  EXPECT_TRUE(torch::allclose(phi.norm(2, 0), torch::full({3}, std::sqrt(1.0 / 3.0)), 1e-4));
  // Every kind has the largest logits at a slot of its own.
  const auto units = sample / sample.norm(2, 1, /*keepdim=*/true);
  const auto best = (units - units.mean(0)).matmul(phi).argmax(1).view({40, 3});  // [40, kinds]
  EXPECT_TRUE(best.eq(best[0]).all().item<bool>());
  EXPECT_EQ(std::get<0>(at::_unique(best[0])).numel(), 3);
  router->fit(torch::randn({50, 16}), /*twin=*/nullptr);  // learned once
  EXPECT_TRUE(torch::equal(router->phi.detach().flatten(1), phi));
}

TEST(SoftRouterStart, SlotsWithoutTokensOfTheirOwnAreRandom) {
  auto options = sizes(/*experts=*/5, /*slots=*/2);
  options.moe.phi_init = PhiInit::kKMeans;
  SoftRouter router(options, SoftMixing::kSoft);
  router->fit(torch::randn({2, 16}).repeat({10, 1}), /*twin=*/nullptr);
  const auto lengths = router->phi.detach().flatten(1).norm(2, 0);  // [slots]
  EXPECT_TRUE(torch::allclose(lengths, torch::full({10}, std::sqrt(1.0 / 5.0)), 1e-4));
}

TEST(RouterScale, OfBothFormsBeginsWithTheSameLogits) {
  const auto tokens = torch::randn({2, 9, 16});
  auto options = sizes();
  options.moe.router_scale = "3";
  const auto weights = [&] {
    torch::manual_seed(5);
    SoftRouter router(options, SoftMixing::kSoft);
    return router->route(tokens, {}, nullptr).expert_inputs.detach();
  };
  const auto linear = weights();
  options.moe.router_scale_form = ScaleForm::kExp;
  EXPECT_TRUE(torch::allclose(weights(), linear, 1e-5, 1e-6));
  EXPECT_NEAR(SoftRouter(options, SoftMixing::kSoft)->scale.item<double>(), std::log(3.0), 1e-6);
  options.moe.separate_scales = true;
  EXPECT_TRUE(torch::allclose(weights(), linear, 1e-5, 1e-6));
}

TEST(RouterScale, LeavesItsMaximumOnlyDownwards) {
  MoeOptions options;
  options.router_scale_form = ScaleForm::kExp;
  options.router_scale_max = 8.0;
  for (const double gradient : {-2.0, 2.0}) {
    auto parameter = torch::full({}, std::log(20.0), torch::kFloat64).requires_grad_();
    const auto scale = router_scale(parameter, options);
    EXPECT_EQ(scale.item<double>(), 8.0);
    (gradient * scale).backward();
    EXPECT_NEAR(parameter.grad().item<double>(), gradient > 0 ? 2.0 * 20.0 : 0.0, 1e-9);
  }
  options.router_scale = "9";
  EXPECT_THAT(test::usage_error([&] { initial_router_scale(options, 16); }),
              HasSubstr("router-scale: expected at most router-scale-max 8, found 9"));
}

}  // namespace
}  // namespace softmoe
