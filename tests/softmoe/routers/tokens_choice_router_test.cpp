/// The router of tokens choice in a layer.

#include "softmoe/routers/tokens_choice_router.h"

#include "core/error.h"
#include "softmoe/moe_layer.h"
#include "softmoe/router_losses.h"
#include "softmoe/routers/small_layers.h"
#include "support/tensor_matcher.h"

namespace softmoe::tokens_choice_router_test {

using test::all_close;
using test::same_bits;

constexpr int64_t kBatch = 3;
constexpr int64_t kTokens = 14;
constexpr int64_t kDim = 10;
constexpr int64_t kExperts = 5;

MoeLayerOptions layer_options(int64_t top_k) {
  MoeLayerOptions options;
  options.dim = kDim;
  options.hidden_dim = 12;
  options.tokens = kTokens;
  options.moe.router = "tokens_choice";
  options.moe.experts = kExperts;
  options.moe.sparse.top_k = top_k;
  options.moe.sparse.capacity_multiple = 1;
  return options;
}

template <typename Module>
Module seeded(const MoeLayerOptions& options) {
  torch::manual_seed(31);
  return Module(options);
}

torch::Tensor seeded_tokens(int64_t batch = kBatch) {
  torch::manual_seed(32);
  return torch::randn({batch, kTokens, kDim});
}

RoutingRecord record_of(TokensChoiceRouter& router, const torch::Tensor& tokens) {
  auto record = test::full_record();
  router->route(tokens, {}, &record);
  return record;
}

TEST(TokensChoice, WithHugeCapacityIsTheSumOfGateTimesExpert) {
  for (const int64_t top_k : {int64_t{1}, int64_t{3}, kExperts}) {
    auto options = layer_options(top_k);
    options.moe.capacity_factor = 1e9;
    auto layer = seeded<MoeLayer>(options);
    const auto tokens = seeded_tokens();
    const auto all = layer->experts(
        tokens.flatten(0, 1).expand({kExperts, kBatch * kTokens, kDim}).contiguous());
    const auto gates = tokens.flatten(0, 1)
                           .matmul(layer->named_parameters()["router.weight"].t())
                           .softmax(-1);  // [batch * tokens, experts]
    const auto threshold = std::get<0>(gates.topk(top_k, -1)).narrow(-1, top_k - 1, 1);
    const auto kept = gates * (gates >= threshold);
    const auto expected = (kept.t().unsqueeze(2) * all).sum(0).view({kBatch, kTokens, kDim});
    EXPECT_TRUE(all_close(layer->forward(tokens), expected)) << top_k;
    TokensChoiceRouter router(options);
    EXPECT_LE(router->route(tokens, {}, nullptr).expert_inputs.size(1), kBatch * kTokens);
  }
}

TEST(TokensChoice, GivesAnExpertItsCapacityAtMostAndATokenKExperts) {
  auto options = layer_options(2);
  options.moe.capacity_factor = 0.5;  // 14 x 2 x 0.5 / 5 = 2.8 rows of an image
  options.moe.sparse.group_images = 1;
  auto router = seeded<TokensChoiceRouter>(options);
  const auto dispatch = record_of(router, seeded_tokens()).dispatch.squeeze(-1);
  EXPECT_EQ(dispatch.sum(1).max().item<float>(), 3.0F);  // [batch, experts]
  EXPECT_LE(dispatch.sum(2).max().item<float>(), 2.0F);  // [batch, tokens]
  options.moe.sparse.capacity_multiple = 0;              // 4 by habit
  router = seeded<TokensChoiceRouter>(options);
  EXPECT_EQ(record_of(router, seeded_tokens()).dispatch.sum(1).max().item<float>(), 4.0F);
}

TEST(TokensChoice, WithBatchPriorityDropsThoseWithTheSmallestGates) {
  auto options = layer_options(1);
  options.moe.capacity_factor = 0.5;
  options.moe.sparse.batch_priority = true;
  auto router = seeded<TokensChoiceRouter>(options);
  const auto record = record_of(router, seeded_tokens());
  const auto [gate, expert] = record.scores.logits.softmax(-1).flatten(0, 1).max(-1);
  const auto kept = record.dispatch.sum({2, 3}).flatten() > 0;  // [batch * tokens]
  for (int64_t index = 0; index < kExperts; ++index) {
    const auto in = gate.masked_select(kept.logical_and(expert == index));
    const auto out = gate.masked_select(kept.logical_not().logical_and(expert == index));
    if (out.numel() > 0) {
      ASSERT_GT(in.numel(), 0);
      EXPECT_GE(in.min().item<float>(), out.max().item<float>()) << index;
    }
  }
  EXPECT_GT(record.load.dropped.item<float>(), 0.0F);
}

TEST(TokensChoice, OfOneImageGroupsDoesNotMixImages) {
  auto options = layer_options(2);
  options.moe.capacity_factor = 0.6;
  auto tokens = seeded_tokens();
  auto changed = tokens.clone();
  changed[0] = torch::randn({kTokens, kDim});
  const auto last_image = [&](int64_t group_images, const torch::Tensor& x) {
    options.moe.sparse.group_images = group_images;
    return seeded<MoeLayer>(options)->forward(x)[2].detach();
  };
  EXPECT_TRUE(all_close(last_image(1, tokens), last_image(1, changed)));
  EXPECT_FALSE(all_close(last_image(0, tokens), last_image(0, changed)));
  // Three images are no whole number of pairs.
  EXPECT_TRUE(same_bits(last_image(2, tokens), last_image(0, tokens)));
}

TEST(TokensChoice, HasACapacityOfItsOwnInEvaluation) {
  auto options = layer_options(1);
  options.moe.capacity_factor = 0.4;
  options.moe.sparse.eval_capacity_factor = 100;
  auto router = seeded<TokensChoiceRouter>(options);
  EXPECT_GT(record_of(router, seeded_tokens()).load.dropped.item<float>(), 0.0F);
  router->eval();
  EXPECT_EQ(record_of(router, seeded_tokens()).load.dropped.item<float>(), 0.0F);
}

TEST(TokensChoice, OfOneExpertATokenTeachesTheRouter) {
  auto layer = seeded<MoeLayer>(layer_options(1));
  layer->forward(seeded_tokens()).square().sum().backward();
  EXPECT_GT(layer->named_parameters()["router.weight"].grad().abs().max().item<float>(), 1e-4F);
}

TEST(TokensChoice, RefusesWhatMakesNoSense) {
  EXPECT_THROW(TokensChoiceRouter{layer_options(kExperts + 1)}, c10::ValueError);
  EXPECT_THROW(TokensChoiceRouter{layer_options(0)}, c10::ValueError);
  EXPECT_NO_THROW(TokensChoiceRouter{layer_options(kExperts)});
  TokensChoiceRouter router(layer_options(2));
  EXPECT_THROW(router->route(torch::zeros({0, kTokens, kDim}), {}, nullptr), c10::ValueError);
  EXPECT_THROW(router->route(torch::zeros({2, 0, kDim}), {}, nullptr), c10::ValueError);
}

/// Such a router learns nothing from the task, and nobody would notice.
TEST(TokensChoice, RefusesGatesThatAreAlwaysOne) {
  auto options = layer_options(1);
  options.moe.sparse.renormalize_gates = true;
  EXPECT_THROW(TokensChoiceRouter{options}, UsageError);
  options = layer_options(1);
  options.moe.sparse.gate_order = GateOrder::kAfter;
  EXPECT_THROW(TokensChoiceRouter{options}, UsageError);
  options.moe.sparse.gate_function = GateFunction::kSigmoid;
  EXPECT_NO_THROW(TokensChoiceRouter{options});
  // One expert has nothing to learn about.
  options = layer_options(1);
  options.moe.experts = 1;
  options.moe.sparse.renormalize_gates = true;
  EXPECT_NO_THROW(TokensChoiceRouter{options});
}

TEST(TokensChoice, NoiseOfTrainingHasTheDeviationItSays) {
  auto options = layer_options(2);
  options.moe.router_noise = 3.0;
  auto router = seeded<TokensChoiceRouter>(options);
  const auto tokens = torch::randn({200, kTokens, kDim});
  const auto training = record_of(router, tokens).scores;
  EXPECT_EQ(training.noise_std, 3.0 / kExperts);
  EXPECT_EQ(training.top_k, 2);
  const auto noise = training.noisy_logits - training.logits;
  EXPECT_NEAR(noise.std().item<double>(), 3.0 / kExperts, 0.01);
  EXPECT_NEAR(noise.mean().item<double>(), 0.0, 0.02);
  router->eval();
  const auto evaluation = record_of(router, tokens).scores;
  EXPECT_FALSE(evaluation.noisy_logits.defined());
  EXPECT_EQ(evaluation.noise_std, 0.0);
}

TEST(TokensChoice, JitterScalesWhatTheRouterSeesInTrainingAlone) {
  auto options = layer_options(1);
  options.dim = 1;
  options.moe.experts = 1;
  options.moe.sparse.jitter = 0.2;
  TokensChoiceRouter router(options);
  {
    const torch::NoGradGuard no_grad;
    router->weight.fill_(1.0);
  }
  const auto tokens = torch::full({4, 500, 1}, 2.0);
  RoutingRecord record{.wants = {.scores = true}};
  const auto routed = router->route(tokens, {}, &record);
  EXPECT_TRUE(same_bits(routed.expert_inputs.flatten(), tokens.flatten()));
  const auto factor = record.scores.logits / 2.0;
  EXPECT_GE(factor.min().item<float>(), 0.8F);
  EXPECT_LT(factor.min().item<float>(), 0.805F);
  EXPECT_LE(factor.max().item<float>(), 1.2F);
  EXPECT_GT(factor.max().item<float>(), 1.195F);
  EXPECT_NEAR(factor.mean().item<double>(), 1.0, 0.01);
  router->eval();
  router->route(tokens, {}, &record);
  EXPECT_TRUE(same_bits(record.scores.logits, tokens.view({1, 2000, 1})));
}

TEST(TokensChoice, TakesTheSecondExpertAsOftenAsItsGateSays) {
  auto options = layer_options(2);
  options.moe.capacity_factor = 100;
  options.moe.sparse.second_expert_threshold = 0.3;
  auto router = seeded<TokensChoiceRouter>(options);
  const auto tokens = torch::randn({300, kTokens, kDim});
  const auto record = record_of(router, tokens);
  const auto experts = record.dispatch.sum({2, 3}).flatten();  // [batch * tokens]
  EXPECT_EQ(experts.min().item<float>(), 1.0F);                // the first one always
  const auto second =
      std::get<0>(record.scores.logits.softmax(-1).topk(2, -1)).select(-1, 1).flatten();
  const auto chance = (second / 0.3).clamp_max(1.0);
  EXPECT_LT(chance.mean().item<double>(), 0.9);
  EXPECT_NEAR((experts - 1).mean().item<double>(), chance.mean().item<double>(), 0.02);
  EXPECT_TRUE((experts.masked_select(second >= 0.3) == 2).all().item<bool>());
  const auto small = second < 0.15;
  EXPECT_NEAR((experts - 1).masked_select(small).mean().item<double>(),
              chance.masked_select(small).mean().item<double>(), 0.05);
  router->eval();
  EXPECT_EQ(record_of(router, tokens).dispatch.sum({2, 3}).min().item<float>(), 2.0F);
}

/// All tokens lean towards expert 0.
torch::Tensor leaning_tokens(const TokensChoiceRouter& router) {
  return torch::randn({8, kTokens, kDim}) + 6 * router->weight.detach()[0];
}

TEST(TokensChoice, SelectionBiasMovesByItsRateOnceATrainingForward) {
  auto options = layer_options(2);
  options.moe.sparse.selection_bias_rate = 0.25;
  auto router = seeded<TokensChoiceRouter>(options);
  EXPECT_TRUE(same_bits(router->named_buffers()["selection_bias"], torch::zeros({kExperts})));
  const auto tokens = leaning_tokens(router);
  const auto asked =
      choose_experts(router_logits(tokens, router->weight), {}, options.moe.sparse).expert;
  const auto step = balancing_step(count_choices(asked, kExperts));
  router->route(tokens, {}, nullptr);
  const auto expected = (0.25 * step).to(torch::kFloat32);
  EXPECT_TRUE(all_close(router->selection_bias, expected));
  EXPECT_LT(router->selection_bias[0].item<float>(), -0.1F);
  router->eval();
  const auto before = router->selection_bias.clone();
  router->route(tokens, {}, nullptr);
  EXPECT_TRUE(same_bits(router->selection_bias, before));
  const auto clone = std::dynamic_pointer_cast<TokensChoiceRouterImpl>(router->clone());
  EXPECT_TRUE(same_bits(clone->selection_bias, before));
  EXPECT_FALSE(TokensChoiceRouter(layer_options(2))->selection_bias.defined());
}

TEST(TokensChoice, SelectionBiasOfAFrozenRouterStays) {
  auto options = layer_options(2);
  options.moe.sparse.selection_bias_rate = 0.25;
  auto router = seeded<TokensChoiceRouter>(options);
  router->weight.requires_grad_(false);
  router->route(leaning_tokens(router), {}, nullptr);
  EXPECT_TRUE(same_bits(router->selection_bias, torch::zeros({kExperts})));
}

TEST(TokensChoice, SelectionBiasBalancesLoadsOverSteps) {
  auto options = layer_options(2);
  options.moe.capacity_factor = 100;
  options.moe.sparse.gate_function = GateFunction::kSigmoid;
  options.moe.sparse.selection_bias_rate = 0.01;
  auto router = seeded<TokensChoiceRouter>(options);
  const auto tokens = leaning_tokens(router);
  const auto largest_load = [&] {
    return record_of(router, tokens).load.load.max().item<double>() * kExperts;
  };
  const double first = largest_load();
  EXPECT_GT(first, 1.7);
  for (int64_t step = 0; step < 150; ++step) {
    router->route(tokens, {}, nullptr);
  }
  EXPECT_LT(largest_load(), 1.15);
}

TEST(TokensChoice, IsTrainedWithTheLossesOfItsPaper) {
  const auto losses = default_router_losses(router_row("tokens_choice"));
  for (size_t row = 0; row < kRouterLossCount; ++row) {
    const auto name = router_loss_rows()[row].name;
    EXPECT_EQ(losses.coefficients[row], name == "importance" || name == "load" ? 0.005 : 0.0);
  }
}

TEST(TokensChoice, CostsItsMatrixAndAsManyRowsAsFit) {
  auto options = layer_options(2);
  const auto rows = [&] { return tokens_choice_cost(options).expert_rows; };
  EXPECT_EQ(tokens_choice_cost(options).parameters, kDim * kExperts);
  EXPECT_EQ(tokens_choice_cost(options).multiply_adds, kTokens * kDim * kExperts);
  options.moe.capacity_factor = 1.05;
  EXPECT_EQ(rows(), 2.0 * kTokens);
  options.moe.capacity_factor = 0.5;
  EXPECT_EQ(rows(), 1.0 * kTokens);
  options.moe.sparse.eval_capacity_factor = 0.75;
  EXPECT_EQ(rows(), 1.5 * kTokens);
}

TEST(TokensChoice, TakesHostileSizes) {
  for (const auto& [batch, tokens, experts, top_k] :
       {std::tuple{1, 1, 1, 1}, {1, 1, 600, 600}, {2, 3, 4096, 2}, {1, 700, 2, 2}}) {
    for (const double factor : {1e-300, 1.0, 1e300}) {
      for (const bool priority : {false, true}) {
        auto options = layer_options(top_k);
        options.moe.experts = experts;
        options.moe.capacity_factor = factor;
        options.moe.sparse.capacity_multiple = factor > 1 ? int64_t{1} << 62 : 1;
        options.moe.sparse.batch_priority = priority;
        options.dim = 2;
        options.hidden_dim = 3;
        auto layer = seeded<MoeLayer>(options);
        const auto y = layer->forward(torch::randn({batch, tokens, 2}));
        y.sum().backward();
        EXPECT_EQ(y.sizes(), (std::vector<int64_t>{batch, tokens, 2}));
        EXPECT_TRUE(y.isfinite().all().item<bool>());
      }
    }
  }
}

/// A diverging model must say so, not crash.
TEST(TokensChoice, PassesOnWhatIsNotANumber) {
  auto options = layer_options(2);
  options.moe.sparse.batch_priority = true;
  options.moe.sparse.second_expert_threshold = 0.2;
  options.moe.sparse.selection_bias_rate = 0.1;
  auto layer = seeded<MoeLayer>(options);
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity(), 1e30F}) {
    auto tokens = seeded_tokens();
    tokens[1].fill_(value);
    EXPECT_EQ(layer->forward(tokens).sizes(), tokens.sizes()) << value;
  }
}

}  // namespace softmoe::tokens_choice_router_test
