/// Soft merging of experts: the router, and the experts' merged pass.

#include "softmoe/routers/smear_router.h"

#include "ops/initialization.h"
#include "softmoe/moe_layer.h"
#include "softmoe/routers/small_layers.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"

namespace softmoe::smear_router_test {

using test::all_close;
using test::Tolerance;

MoeLayerOptions small_options() { return test::small_layer_options("smear", 4); }

/// A layer in fp64 with biases that matter.
MoeLayer seeded_layer() {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  torch::manual_seed(1);
  MoeLayer layer(small_options());
  const torch::NoGradGuard no_grad;
  layer->experts->fc1_bias.normal_();
  layer->experts->fc2_bias.normal_();
  return layer;
}

torch::Tensor seeded_tokens(int64_t batch) {
  torch::manual_seed(2);
  return torch::randn({batch, 7, 6}, torch::kFloat64);
}

TEST(SmearRouter, MixesExpertsByTheMeanToken) {
  auto layer = seeded_layer();
  const auto tokens = seeded_tokens(3);
  RoutingRecord record{.wants = {.scores = true, .load = true}};
  const auto routed = layer->router().route(tokens, {}, &record);
  const auto weight = layer->named_parameters()["router.weight"];
  const auto logits = tokens.mean(1).mm(weight.t());  // [batch, experts]
  EXPECT_TRUE(all_close(routed.merge_weights, logits.softmax(-1)));
  EXPECT_TRUE(all_close(record.scores.logits, logits.unsqueeze(0)))
      << "one group, whose decisions are the images'";
  EXPECT_TRUE(all_close(record.load.importance, logits.softmax(-1).mean(0)));
  EXPECT_EQ(record.load.dropped.item<double>(), 0.0);
}

TEST(SmearRouter, SendsEachImageThroughTheMixtureOfParameters) {
  auto layer = seeded_layer();
  const auto tokens = seeded_tokens(3);
  const torch::NoGradGuard no_grad;
  const auto weights = layer->router().route(tokens, {}, nullptr).merge_weights;
  const auto y = layer->forward(tokens);
  for (int64_t image = 0; image < 3; ++image) {
    const auto mixed = [&](const torch::Tensor& parameter) {
      auto sum = torch::zeros_like(parameter[0]);
      for (int64_t expert = 0; expert < 4; ++expert) {
        sum += weights[image][expert] * parameter[expert];
      }
      return sum;
    };
    const auto& experts = *layer->experts;
    const auto hidden = torch::gelu(
        tokens[image].mm(mixed(experts.fc1_weight).t()) + mixed(experts.fc1_bias), "tanh");
    const auto expected = hidden.mm(mixed(experts.fc2_weight).t()) + mixed(experts.fc2_bias);
    EXPECT_TRUE(all_close(y[image], expected)) << "image " << image;
  }
}

TEST(SmearRouter, IsOneExpertWhereItIsCertain) {
  auto layer = seeded_layer();
  const auto tokens = seeded_tokens(3);
  const torch::NoGradGuard no_grad;
  layer->named_parameters()["router.weight"] *= 1e4;
  const auto chosen = layer->router().route(tokens, {}, nullptr).merge_weights.argmax(-1);
  const auto y = layer->forward(tokens);
  for (int64_t image = 0; image < 3; ++image) {
    const auto every = layer->experts->forward(
        tokens[image].expand({4, 7, 6}).contiguous());  // [experts, tokens, dim]
    EXPECT_TRUE(all_close(y[image], every[chosen[image].item<int64_t>()])) << "image " << image;
  }
}

TEST(SmearRouter, RoutesImagesApartAndTokensAlike) {
  auto layer = seeded_layer();
  const auto tokens = seeded_tokens(3);
  const auto y = layer->forward(tokens);
  for (int64_t image = 0; image < 3; ++image) {
    EXPECT_TRUE(all_close(layer->forward(tokens.narrow(0, image, 1)), y.narrow(0, image, 1)));
  }
  const auto order = torch::tensor({3, 0, 6, 2, 5, 1, 4});
  EXPECT_TRUE(all_close(layer->forward(tokens.index_select(1, order)), y.index_select(1, order)));
}

TEST(SmearRouter, GradientsMatchFiniteDifferences) {
  auto layer = seeded_layer();
  auto tokens = seeded_tokens(2).requires_grad_();
  const auto cotangent = torch::randn({2, 7, 6}, torch::kFloat64);
  std::vector<test::NamedLeaf> leaves{{"tokens", tokens}};
  for (const auto& parameter : layer->named_parameters()) {
    leaves.push_back({parameter.key(), parameter.value()});
  }
  EXPECT_EQ(leaves.size(), 6U);
  EXPECT_TRUE(
      test::gradients_match([&] { return (layer->forward(tokens) * cotangent).sum(); }, leaves));
}

TEST(SmearRouter, RefusesToCombineAndWeightsOfAnotherShape) {
  auto layer = seeded_layer();
  const auto tokens = seeded_tokens(3);
  const auto routed = layer->router().route(tokens, {}, nullptr);
  EXPECT_THROW(layer->router().combine(routed, torch::zeros({4, 3, 6})), c10::ValueError);
  EXPECT_THROW(layer->experts->forward_merged(tokens, torch::ones({2, 4}, torch::kFloat64)),
               c10::ValueError);
  EXPECT_THROW(layer->experts->forward_merged(tokens, torch::ones({3, 5}, torch::kFloat64)),
               c10::ValueError);
}

TEST(SmearRouter, CostsTheMixtureOfAllParametersForEachImage) {
  const auto cost = smear_router_cost(small_options());
  EXPECT_EQ(cost.parameters, 4 * 6);
  EXPECT_EQ(cost.multiply_adds, 4.0 * 6 + 4.0 * (2 * 6 * 10 + 6 + 10));
  EXPECT_EQ(cost.expert_rows, 7.0);
}

}  // namespace softmoe::smear_router_test
