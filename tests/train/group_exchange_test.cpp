#include "train/group_exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "parallel/ranks.h"
#include "softmoe/routers/router_cases.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using any_router::kDim;
using any_router::kTokens;

constexpr int64_t kRanks = 3;

/// The images of a rank: another number in each.
struct RankImages {
  torch::Tensor tokens;   // [batch, tokens, dim]
  torch::Tensor patches;  // [batch, tokens, pixels]
  torch::Tensor weight;   // of the outputs in the loss, [batch, tokens, dim]
};

std::vector<RankImages> images_of_ranks() {
  torch::manual_seed(5);
  std::vector<RankImages> all;
  for (int64_t batch = 1; batch <= kRanks; ++batch) {
    all.push_back({torch::randn({batch, kTokens, kDim}),
                   torch::rand({batch, kTokens, any_router::kPixels}),
                   torch::randn({batch, kTokens, kDim})});
  }
  return all;
}

/// The outputs of `layer` for the images of a rank, and the gradients of these.
std::pair<torch::Tensor, torch::Tensor> pass(MoeLayer& layer, const RankImages& images) {
  const auto tokens = images.tokens.clone().requires_grad_();
  const auto outputs = layer->forward(tokens, TokenContext{.patches = images.patches});
  (outputs * images.weight).sum().backward();
  return {outputs.detach(), tokens.grad()};
}

MoeLayer copy_of(const MoeLayer& layer) {
  return MoeLayer(std::dynamic_pointer_cast<MoeLayerImpl>(layer->clone()));
}

std::vector<std::string> routers_with_experts_of_their_own() {
  auto names = router_names();
  std::erase_if(names,
                [](const auto& name) { return router_row(name).kind == RoutingKind::kMerged; });
  return names;
}

class SharedExperts : public testing::TestWithParam<std::string> {};

TEST_P(SharedExperts, GiveOutputsAndGradientsOfALayerThatHasThemAll) {
  const auto options = any_router::layer_options(GetParam(), kTokens, 1);
  auto whole = any_router::seeded_layer(options);
  whole->eval();
  const auto images = images_of_ranks();
  std::vector<MoeLayer> layers;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> expected;
  for (int64_t rank = 0; rank < kRanks; ++rank) {
    layers.push_back(copy_of(whole));
    layers.back()->eval();
    expected.push_back(pass(whole, images[static_cast<size_t>(rank)]));
  }
  const auto errors = run_ranks(kRanks, [&](const World& world) {
    const auto rank = static_cast<size_t>(world.rank());
    auto& layer = layers[rank];
    const int64_t own = options.moe.experts / kRanks;
    layer->share_experts(
        std::make_shared<GroupExchange>(world, /*even_batches=*/true, std::nullopt),
        world.rank() * own, own);
    const auto [outputs, gradient] = pass(layer, images[rank]);
    EXPECT_TRUE(all_close(outputs, expected[rank].first));
    EXPECT_TRUE(all_close(gradient, expected[rank].second));
    const auto gradients = whole->experts->named_parameters();
    for (const auto& parameter : layer->experts->named_parameters()) {
      const auto& all = gradients[parameter.key()].grad();
      EXPECT_TRUE(all_close(parameter.value().grad(), all.narrow(0, world.rank() * own, own)))
          << parameter.key();
    }
  });
  EXPECT_EQ(errors, no_errors(kRanks));
}

INSTANTIATE_TEST_SUITE_P(Routers, SharedExperts,
                         testing::ValuesIn(routers_with_experts_of_their_own()),
                         [](const auto& entry) { return entry.param; });

/// A layer of 6 experts, of which `world` shares out those of a copy of `layer`.
MoeLayer shared_copy(const MoeLayer& layer, const World& world, bool even_batches,
                     std::optional<torch::Dtype> payload = std::nullopt) {
  auto copy = copy_of(layer);
  const int64_t own = layer->options().moe.experts / world.size();
  copy->share_experts(std::make_shared<GroupExchange>(world, even_batches, payload),
                      world.rank() * own, own);
  return copy;
}

TEST(SharedExperts, OfSoftRoutingSendWhatTheFormulaSays) {
  // 4 B n p d s (W - 1) / W bytes per rank, layer and step.
  constexpr int64_t kBatch = 2;
  constexpr int64_t kExperts = 6;
  constexpr int64_t kSlots = 4;
  const auto layer = any_router::seeded_layer(any_router::layer_options("soft", kExperts, kSlots));
  for (const auto payload : {torch::kFloat32, torch::kBFloat16}) {
    const auto errors = run_ranks(kRanks, [&](const World& world) {
      auto shared = shared_copy(layer, world, /*even_batches=*/true, payload);
      const auto tokens = torch::ones({kBatch, kTokens, kDim}).requires_grad_();
      shared->forward(tokens).sum().backward();
      const auto element = static_cast<int64_t>(c10::elementSize(payload));
      EXPECT_EQ(world.traffic().exchanged, 4 * kBatch * kExperts * kSlots * kDim * element *
                                               (world.size() - 1) / world.size());
      EXPECT_EQ(world.traffic().summed, 0);
    });
    EXPECT_EQ(errors, no_errors(kRanks));
  }
}

TEST(SharedExperts, OfSparseRoutingSendTheRowsInUseAndTheirNumbers) {
  auto options = any_router::layer_options("experts_choice", 6, 1);
  options.moe.capacity_factor = 1.0;
  const auto layer = any_router::seeded_layer(options);
  const auto errors = run_ranks(kRanks, [&](const World& world) {
    auto shared = shared_copy(layer, world, /*even_batches=*/true);
    torch::Tensor inputs = torch::rand({1, kTokens, kDim});
    const auto rows = layer->router().route(inputs, {}, nullptr).rows.token.size(1);
    shared->forward(inputs.requires_grad_()).sum().backward();
    const int64_t others = 6 * (world.size() - 1) / world.size();  // experts in other processes
    EXPECT_EQ(world.traffic().exchanged, 4 * others * rows * kDim * 4 + others * 8);
  });
  EXPECT_EQ(errors, no_errors(kRanks));
}

TEST(SharedExperts, OfBf16PayloadAreNear) {
  const auto layer = any_router::seeded_layer(any_router::layer_options("soft", 6, 2));
  const auto images = images_of_ranks();
  auto whole = copy_of(layer);
  const auto [outputs, gradient] = pass(whole, images[0]);
  const auto errors = run_ranks(2, [&, outputs = outputs, gradient = gradient](const World& world) {
    auto shared = shared_copy(layer, world, /*even_batches=*/true, torch::kBFloat16);
    const auto [near_outputs, near_gradient] = pass(shared, images[0]);
    EXPECT_TRUE(all_close(near_outputs, outputs, {.relative = 2e-2}));
    EXPECT_TRUE(all_close(near_gradient, gradient, {.relative = 2e-2}));
    EXPECT_FALSE(torch::equal(near_outputs, outputs));
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(SharedExperts, AreRefusedToRoutersThatMergeThem) {
  const auto layer = any_router::seeded_layer(any_router::layer_options("smear", 6, 1));
  EXPECT_THROW(copy_of(layer)->share_experts(nullptr, 0, 3), c10::ValueError);
}

}  // namespace
}  // namespace softmoe::test
