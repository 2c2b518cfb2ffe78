/// The router that learns by reinforcement. Its losses are tested in router_losses_test.cpp.

#include "softmoe/routers/reinforced_router.h"

#include "softmoe/moe_layer.h"
#include "softmoe/router_losses.h"
#include "softmoe/routers/small_layers.h"
#include "support/tensor_matcher.h"

namespace softmoe::reinforced_router_test {

using test::all_close;
using test::full_record;
using test::same_bits;

MoeLayerOptions small_options() { return test::small_layer_options("reinforced", 4); }

TEST(ReinforcedRouter, DrawsExpertsByTheirProbabilities) {
  const auto p = torch::tensor({0.5, 0.05, 0.15, 0.3}, torch::kFloat32);
  const auto logits = p.log().expand({2, 20000, 4});  // [batch, tokens, experts]
  torch::manual_seed(1);
  const auto actions = choose_experts(logits, /*draw=*/true);
  EXPECT_EQ(actions.sizes(), (std::vector<int64_t>{2, 20000}));
  const auto share = actions.flatten().bincount({}, 4).to(torch::kFloat32) / 40000.0;
  // Four standard deviations of the largest share's estimate.
  EXPECT_TRUE(all_close(share, p, {.absolute = 0.01}));
  torch::manual_seed(1);
  EXPECT_TRUE(same_bits(choose_experts(logits, /*draw=*/true), actions));
  torch::manual_seed(2);
  EXPECT_FALSE(choose_experts(logits, /*draw=*/true).equal(actions));
}

TEST(ReinforcedRouter, DrawsInTrainingAndTakesTheMostProbableInEvaluation) {
  torch::manual_seed(3);
  MoeLayer layer(small_options());
  const auto tokens = torch::randn({5, 7, 6});
  for (const bool training : {true, false}) {
    layer->train(training);
    auto record = full_record();
    layer->forward(tokens, &record);
    const auto& scores = record.scores;
    const auto weight = layer->named_parameters()["router.weight"];
    EXPECT_TRUE(all_close(scores.logits, tokens.matmul(weight.t())));
    EXPECT_EQ(scores.actions.equal(scores.logits.argmax(-1)), !training);
    EXPECT_TRUE(all_close(record.dispatch.squeeze(-1),
                          torch::one_hot(scores.actions, 4).to(torch::kFloat32)));
    EXPECT_TRUE(same_bits(record.combine, record.dispatch)) << "outputs are not scaled";
    EXPECT_EQ(record.load.dropped.item<double>(), 0.0);
  }
}

TEST(ReinforcedRouter, StartsNearlyUniformAndExpectsNothing) {
  auto options = small_options();
  options.dim = 384;
  torch::manual_seed(4);
  ReinforcedRouter router(options);
  auto record = full_record();
  router->route(torch::randn({8, 7, 384}), {}, &record);
  EXPECT_GT(record.scores.logits.softmax(-1).min().item<double>(), 0.03);
  EXPECT_GT(record.load.entropy.item<double>(), 0.9 * std::log(4.0));
  EXPECT_EQ(record.scores.baseline.abs().max().item<double>(), 0.0);
}

TEST(ReinforcedRouter, LearnsFromItsLossesAloneAndTheBaselineLeavesTheTokensAlone) {
  torch::manual_seed(5);
  MoeLayer layer(small_options());
  const auto tokens = torch::randn({2, 7, 6}).requires_grad_();
  auto record = full_record();
  layer->forward(tokens, &record).square().sum().backward();
  auto parameters = layer->named_parameters();
  EXPECT_FALSE(parameters["router.weight"].grad().defined());
  EXPECT_TRUE(parameters["experts.fc1_weight"].grad().defined());
  tokens.mutable_grad() = torch::Tensor();
  record.scores.baseline.sum().backward();
  EXPECT_FALSE(tokens.grad().defined());
  EXPECT_FALSE(parameters["router.weight"].grad().defined());
  EXPECT_TRUE(all_close(parameters["router.baseline_weight"].grad(),
                        tokens.detach().sum({0, 1}).unsqueeze(0)));
  EXPECT_EQ(parameters["router.baseline_bias"].grad().item<double>(), 14.0);
}

/// A game with a known best play: images of one token, of four kinds; expert (kind + 1) % 4 costs
/// nothing, all others cost 1, and kind 2 costs 3 more whatever is played.
TEST(ReinforcedRouter, FindsTheExpertsThatServeAndTheirReward) {
  torch::manual_seed(6);
  auto options = small_options();
  options.dim = 4;
  options.tokens = 1;
  ReinforcedRouter router(options);
  const auto kinds = torch::arange(64) % 4;                                       // [batch]
  const auto tokens = torch::one_hot(kinds, 4).to(torch::kFloat32).unsqueeze(1);  // [batch, 1, 4]
  const auto best = (kinds + 1) % 4;
  const auto cost = [&](const torch::Tensor& actions) {
    return (actions.squeeze(1) != best).to(torch::kFloat32) +
           3.0 * (kinds == 2).to(torch::kFloat32);
  };
  RouterLossOptions losses;
  losses.coefficients[6] = 1.0;
  losses.coefficients[7] = 1.0;
  ASSERT_EQ(router_loss_rows()[6].name, "policy");
  ASSERT_EQ(router_loss_rows()[7].name, "baseline");
  const auto play = [&] {
    auto record = full_record();
    router->route(tokens, {}, &record);
    return record.scores;
  };
  for (int step = 0; step < 400; ++step) {
    const auto scores = play();
    router->zero_grad();
    router_losses(losses, scores, cost(scores.actions)).total.backward();
    const torch::NoGradGuard no_grad;
    for (auto& parameter : router->parameters()) {
      parameter -= 0.5 * parameter.grad();
    }
  }
  router->eval();
  const auto scores = play();
  EXPECT_TRUE(scores.actions.squeeze(1).equal(best));
  EXPECT_GT(scores.logits.softmax(-1).amax(-1).min().item<double>(), 0.8);
  EXPECT_TRUE(all_close(scores.baseline.squeeze(1), -cost(scores.actions), {.absolute = 0.3}));
}

TEST(ReinforcedRouter, CostsTwoLinearMapsAndOneExpertAToken) {
  const auto cost = reinforced_router_cost(small_options());
  EXPECT_EQ(cost.parameters, 4 * 6 + 6 + 1);
  EXPECT_EQ(cost.multiply_adds, 7.0 * (4 * 6 + 6));
  EXPECT_EQ(cost.expert_rows, 7.0);
}

}  // namespace softmoe::reinforced_router_test
