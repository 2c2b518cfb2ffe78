/// Properties of the Soft MoE layer and of its ablations.

#include "ops/initialization.h"
#include "runtime/autocast_guard.h"
#include "runtime/device.h"
#include "softmoe/moe_layer.h"
#include "softmoe/routers.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"

namespace softmoe::soft_layer_test {

using test::all_close;
using test::same_bits;
using test::Tolerance;

constexpr int64_t kTokens = 12;
constexpr int64_t kDim = 8;

/// 12 slots, as many as tokens, so that identity routing can do with the same sizes.
MoeLayerOptions layer_options(const std::string& router = "soft") {
  MoeLayerOptions options;
  options.dim = kDim;
  options.hidden_dim = 10;
  options.moe.router = router;
  options.moe.experts = 4;
  options.moe.slots_per_expert = 3;
  return options;
}

/// A layer whose routing is far from uniform.
MoeLayer sharp_layer(const MoeLayerOptions& options) {
  torch::manual_seed(23);
  MoeLayer layer(options);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : layer->named_parameters()) {
    if (parameter.key() == "router.scale") {
      parameter.value().fill_(4.0);
    } else if (parameter.key().ends_with("_bias")) {
      parameter.value().normal_();
    }
  }
  return layer;
}

torch::Tensor random_tokens(int64_t batch = 3) {
  torch::manual_seed(29);
  return torch::randn({batch, kTokens, kDim});
}

TEST(SoftLayer, MixesTokensByWeightsThatSumToOne) {
  for (const std::string router : {"soft", "soft_uniform", "uniform_soft", "uniform"}) {
    auto layer = sharp_layer(layer_options(router));
    RoutingRecord record;
    layer->forward(random_tokens(), &record);
    EXPECT_TRUE(all_close(record.dispatch.sum(1), torch::ones({3, 4, 3}))) << router;
    EXPECT_TRUE(all_close(record.combine.sum({2, 3}), torch::ones({3, kTokens}))) << router;
    const bool mixes_by_logits = router.starts_with("soft");
    const bool combines_by_logits = router.ends_with("soft");
    EXPECT_EQ(record.dispatch.std().item<double>() > 0.01, mixes_by_logits) << router;
    EXPECT_EQ(record.combine.std().item<double>() > 0.01, combines_by_logits) << router;
  }
}

TEST(SoftLayer, KeepsUniformWeightsInFp32ForReducedTokens) {
  auto layer = sharp_layer(layer_options("uniform"));
  layer->to(torch::kBFloat16);
  RoutingRecord record;
  layer->forward(random_tokens().to(torch::kBFloat16), &record);
  EXPECT_TRUE(same_bits(record.dispatch, torch::full({3, kTokens, 4, 3}, 1.0F / 12)));
  EXPECT_TRUE(same_bits(record.combine, torch::full({3, kTokens, 4, 3}, 1.0F / 12)));
}

TEST(SoftLayer, IsEquivariantToTokenPermutation) {
  torch::manual_seed(31);
  const auto order = torch::randperm(kTokens);
  for (const std::string router : {"soft", "soft_uniform", "uniform_soft", "uniform"}) {
    auto layer = sharp_layer(layer_options(router));
    const auto tokens = random_tokens();
    const auto permuted = layer->forward(tokens.index_select(1, order));
    EXPECT_TRUE(all_close(permuted, layer->forward(tokens).index_select(1, order))) << router;
  }
}

TEST(SoftLayer, DoesNotDependOnTheOrderOfExperts) {
  auto layer = sharp_layer(layer_options());
  const auto tokens = random_tokens();
  const auto expected = layer->forward(tokens).detach();
  const torch::NoGradGuard no_grad;
  const auto order = torch::tensor({2, 0, 3, 1}, torch::kInt64);
  for (auto& parameter : layer->named_parameters()) {
    if (parameter.key() != "router.scale") {
      const int64_t axis = parameter.key() == "router.phi" ? 1 : 0;
      parameter.value().copy_(parameter.value().index_select(axis, order).clone());
    }
  }
  EXPECT_TRUE(all_close(layer->forward(tokens), expected));
}

TEST(SoftLayer, ImagesOfABatchDoNotInfluenceEachOther) {
  for (const auto& router : {"soft", "soft_uniform", "uniform_soft", "uniform", "identity"}) {
    auto layer = sharp_layer(layer_options(router));
    auto tokens = random_tokens();
    const auto expected = layer->forward(tokens).detach();
    for (int64_t image = 0; image < 3; ++image) {
      EXPECT_TRUE(
          all_close(layer->forward(tokens.narrow(0, image, 1)), expected.narrow(0, image, 1)))
          << router;
    }
    auto changed = tokens.clone();
    changed[1] *= 100;
    const auto y = layer->forward(changed);
    EXPECT_TRUE(same_bits(y[0], expected[0])) << router;
    EXPECT_TRUE(same_bits(y[2], expected[2])) << router;
    EXPECT_FALSE(all_close(y[1], expected[1])) << router;
  }
}

TEST(SoftLayer, EveryParameterAndTokenGetsAGradient) {
  for (const auto& router : {"soft", "soft_uniform", "uniform_soft", "uniform", "identity"}) {
    auto layer = sharp_layer(layer_options(router));
    auto tokens = random_tokens().requires_grad_();
    layer->forward(tokens).square().sum().backward();
    EXPECT_GT(tokens.grad().abs().amin({0, 1}).min().item<double>(), 0.0) << router;
    for (const auto& parameter : layer->named_parameters()) {
      ASSERT_TRUE(parameter.value().grad().defined()) << router << " " << parameter.key();
      EXPECT_GT(parameter.value().grad().abs().min().item<double>(), 0.0)
          << router << " " << parameter.key();
    }
  }
}

TEST(SoftLayer, GradientsMatchFiniteDifferences) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const auto& router : {"soft", "soft_uniform", "uniform_soft", "uniform", "identity"}) {
    auto layer = sharp_layer(layer_options(router));
    auto tokens = random_tokens(2).requires_grad_();
    const auto cotangent = torch::randn_like(tokens);
    std::vector<test::NamedLeaf> leaves{{"tokens", tokens}};
    for (const auto& parameter : layer->named_parameters()) {
      leaves.push_back({parameter.key(), parameter.value()});
    }
    EXPECT_TRUE(test::gradients_match([&] { return (layer->forward(tokens) * cotangent).sum(); },
                                      leaves, {.coordinates = 12}))
        << router;
  }
}

TEST(SoftLayer, IdenticalTokensAreSharedOutEvenly) {
  auto layer = sharp_layer(layer_options());
  const auto tokens = random_tokens().narrow(1, 0, 1).expand({3, kTokens, kDim});
  RoutingRecord record;
  const auto y = layer->forward(tokens, &record);
  EXPECT_TRUE(all_close(record.dispatch, torch::full({3, kTokens, 4, 3}, 1.0 / kTokens)));
  EXPECT_TRUE(all_close(y, y.narrow(1, 0, 1).expand_as(y)));
}

TEST(SoftLayer, PutsTheTokensThemselvesIntoTheSlotsNotTheirUnitVectors) {
  auto options = layer_options();
  options.moe.router_eps = 0.0;
  torch::manual_seed(37);
  const auto handle = make_router(options);
  const auto tokens = random_tokens();
  RoutingRecord record;
  RoutingRecord of_longer;
  const auto inputs = handle.router->route(tokens, {}, &record).expert_inputs;
  const auto longer = handle.router->route(3 * tokens, {}, &of_longer).expert_inputs;
  EXPECT_TRUE(all_close(of_longer.dispatch, record.dispatch));
  EXPECT_TRUE(all_close(longer, 3 * inputs));
}

TEST(SoftLayer, OneSlotAndOneExpertIsAnMlpOfTheWeightedMean) {
  auto options = layer_options();
  options.moe.experts = 1;
  options.moe.slots_per_expert = 1;
  auto layer = sharp_layer(options);
  const auto tokens = random_tokens();
  RoutingRecord record;
  const auto y = layer->forward(tokens, &record);
  const auto mean =
      (tokens * record.dispatch.view({3, kTokens, 1})).sum(1).unsqueeze(0);  // [1, batch, dim]
  const auto expected = layer->experts->forward(mean)[0].unsqueeze(1);       // [batch, 1, dim]
  EXPECT_TRUE(all_close(y, expected.expand_as(y)));
}

TEST(SoftLayer, IdentityRoutingSendsTokenIToSlotI) {
  auto layer = sharp_layer(layer_options("identity"));
  const auto tokens = random_tokens();
  const auto y = layer->forward(tokens);
  for (int64_t token = 0; token < kTokens; ++token) {
    const int64_t expert = token / 3;
    auto row = torch::zeros({4, 3, kDim});  // [experts, batch, dim]
    row[expert] = tokens.select(1, token);
    EXPECT_TRUE(all_close(y.select(1, token), layer->experts->forward(row)[expert]));
  }
}

TEST(SoftLayer, IdentityRoutingNeedsATokenASlot) {
  auto layer = sharp_layer(layer_options("identity"));
  EXPECT_THROW(layer->forward(torch::zeros({2, kTokens + 1, kDim})), c10::ValueError);
}

TEST(SoftLayer, TakesAnyNumberOfTokens) {
  for (const auto& router : {"soft", "soft_uniform", "uniform_soft", "uniform"}) {
    auto layer = sharp_layer(layer_options(router));
    for (const int64_t tokens : {1, 5, 40}) {
      const auto y = layer->forward(torch::randn({2, tokens, kDim}));
      EXPECT_EQ(y.sizes(), (std::vector<int64_t>{2, tokens, kDim})) << router;
    }
  }
}

TEST(SoftLayer, RoutesInFp32UnderAutocast) {
  for (const auto& device : present_devices()) {
    auto layer = sharp_layer(layer_options());
    layer->to(device);
    const auto tokens = random_tokens().to(device);
    RoutingRecord plain;
    RoutingRecord reduced;
    layer->forward(tokens, &plain);
    const AutocastGuard autocast(device, torch::kBFloat16);
    layer->forward(tokens, &reduced);
    EXPECT_TRUE(same_bits(reduced.dispatch, plain.dispatch));
    EXPECT_TRUE(same_bits(reduced.combine, plain.combine));
    EXPECT_EQ(reduced.dispatch.scalar_type(), torch::kFloat32);
  }
}

TEST(SoftLayer, NoiseOfTheGivenDeviationComesOntoTheLogitsInTraining) {
  auto options = layer_options();
  options.moe.experts = 40;
  options.moe.router_noise = 0.3;
  auto layer = sharp_layer(options);
  const auto tokens = random_tokens(8);
  RoutingRecord noisy;
  RoutingRecord clean;
  layer->forward(tokens, &noisy);
  layer->eval();
  layer->forward(tokens, &clean);
  // A softmax is the logits but for one constant a token.
  auto noise = noisy.combine.flatten(2).log() - clean.combine.flatten(2).log();
  noise = noise - noise.mean(2, /*keepdim=*/true);  // [batch, tokens, slots]
  EXPECT_NEAR(noise.std().item<double>(), 0.3, 0.01);
}

TEST(SoftLayer, StartsAsTheReference) {
  torch::manual_seed(41);
  MoeLayerOptions options;
  options.dim = 64;
  options.hidden_dim = 8;
  options.moe.experts = 32;
  options.moe.slots_per_expert = 8;
  MoeLayer layer(options);
  auto parameters = layer->named_parameters();
  const auto phi = parameters["router.phi"];
  EXPECT_EQ(phi.sizes(), (std::vector<int64_t>{64, 32, 8}));
  const double deviation = 1.0 / std::sqrt(64.0 * 32.0);
  EXPECT_NEAR(phi.std().item<double>(), deviation, 0.03 * deviation);
  EXPECT_NEAR(phi.mean().item<double>(), 0.0, 0.03 * deviation);
  EXPECT_EQ(parameters["router.scale"].item<double>(), 1.0);
  EXPECT_EQ(parameters["router.scale"].dim(), 0);
}

TEST(SoftLayer, IdenticalExpertsStartAsOne) {
  auto options = layer_options();
  options.moe.expert_init = ExpertInit::kIdentical;
  torch::manual_seed(43);
  MoeLayer layer(options);
  const auto inputs = torch::randn({1, 5, kDim}).expand({4, 5, kDim});
  const auto outputs = layer->experts->forward(inputs);
  EXPECT_TRUE(all_close(outputs, outputs[0].expand_as(outputs)));
  // Slots still differ: the router starts independent.
  const auto phi = layer->named_parameters()["router.phi"];
  EXPECT_FALSE(phi.select(1, 0).equal(phi.select(1, 1)));
}

}  // namespace softmoe::soft_layer_test
