#include "train/optimizer_options.h"

#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "support/tensor_matcher.h"
#include "train/optimizer_cases.h"

namespace softmoe {
namespace {

using test::copies;
using test::Parameters;
using test::set_gradients;
using test::some_parameters;

TEST(DecayRules, DefaultsSpareAllButWeightsAndRouterScale) {
  OptimizerOptions options;
  options.weight_decay = 0.25;
  const auto rules = decay_rules(options);
  for (const auto* name : {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.weight",
                           "blocks.1.moe.experts.fc2_weight", "blocks.1.moe.router.scale",
                           "blocks.1.moe.router.combine_scale"}) {
    EXPECT_EQ(parameter_decay(rules, name), 0.25) << name;
  }
  for (const auto* name :
       {"patch_embed.proj.bias", "pos_embed", "cls_token", "blocks.0.norm1.weight", "norm.weight",
        "fc_norm.weight", "blocks.0.attn.q_norm.weight", "blocks.1.moe.router.phi",
        "blocks.1.moe.experts.fc1_bias", "blocks.0.ls1.gamma"}) {
    EXPECT_EQ(parameter_decay(rules, name), 0.0) << name;
  }
}

TEST(DecayRules, OfRoutersCanBeTheirOwn) {
  OptimizerOptions options;
  options.weight_decay = 0.25;
  for (const double decay : {0.0, 0.5}) {
    options.router_weight_decay = decay;
    const auto rules = decay_rules(options);
    for (const auto* name : {"blocks.1.moe.router.scale", "blocks.1.moe.router.phi",
                             "blocks.1.moe.router.combine_scale", "blocks.1.moe.router.weight"}) {
      EXPECT_EQ(parameter_decay(rules, name), decay) << name;
    }
    EXPECT_EQ(parameter_decay(rules, "blocks.1.moe.experts.fc2_weight"), 0.25);
    EXPECT_EQ(parameter_decay(rules, "blocks.1.moe.gamma"), 0.0);
  }
}

TEST(DecayRules, FirstMatchWins) {
  OptimizerOptions options;
  options.decay_rules = {R"(^head\.weight$=3.0)", "head=0.5", "pos_embed=0.125"};
  const auto rules = decay_rules(options);
  EXPECT_EQ(parameter_decay(rules, "head.weight"), 3.0);
  EXPECT_EQ(parameter_decay(rules, "head.bias"), 0.5);
  EXPECT_EQ(parameter_decay(rules, "pos_embed"), 0.125);
  EXPECT_EQ(parameter_decay(rules, "blocks.0.mlp.fc1.weight"), options.weight_decay);
}

TEST(DecayRules, MalformedRulesAreRefused) {
  for (const auto* text : {"head", "=3", "head=", "head=3x", "head=-1", "(head=1"}) {
    OptimizerOptions options;
    options.decay_rules = {text};
    EXPECT_THROW(decay_rules(options), UsageError) << text;
  }
}

TEST(LayerDecay, CountsLayersFromTheEmbeddingsToTheHead) {
  const std::map<std::string, int64_t> layers{{"patch_embed.proj.weight", 0},
                                              {"pos_embed", 0},
                                              {"cls_token", 0},
                                              {"blocks.0.norm1.weight", 1},
                                              {"blocks.3.ls1.gamma", 4},
                                              {"blocks.11.moe.experts.fc1_weight", 12},
                                              {"norm.bias", 12},
                                              {"fc_norm.weight", 13},
                                              {"attn_pool.q.weight", 13},
                                              {"pre_logits.weight", 13},
                                              {"head.bias", 13}};
  OptimizerOptions options;
  for (const auto& [name, layer] : layers) {
    EXPECT_EQ(layer_of(name, /*depth=*/12), layer) << name;
    options.layer_decay = 0.75;
    EXPECT_DOUBLE_EQ(layer_rate(options, name, 12), std::pow(0.75, 13 - layer)) << name;
    for (const double off : {0.0, 1.0}) {
      options.layer_decay = off;
      EXPECT_EQ(layer_rate(options, name, 12), 1.0) << name;
    }
  }
}

TEST(LayerRate, OfRoutersIsTheirOwn) {
  OptimizerOptions options;
  options.router_lr = 10.0;
  EXPECT_EQ(layer_rate(options, "blocks.3.moe.router.scale", 12), 10.0);
  EXPECT_EQ(layer_rate(options, "blocks.3.moe.experts.fc1_weight", 12), 1.0);
  options.layer_decay = 0.5;
  EXPECT_EQ(layer_rate(options, "blocks.11.moe.router.phi", 12), 5.0);
}

class LayerDecayOfEveryOptimizer : public testing::TestWithParam<size_t> {};

TEST_P(LayerDecayOfEveryOptimizer, EqualsARateOfItsOwnForEachLayer) {
  OptimizerOptions options;
  options.opt = std::string(optimizers()[GetParam()].name);
  options.weight_decay = 0.1;
  auto together = some_parameters();
  auto apart = copies(together);
  options.layer_decay = 0.5;
  const auto decayed = make_optimizer(together, options);
  options.layer_decay = 1.0;
  // Two blocks: embeddings, block 0, block 1, head.
  const std::vector<double> rates{0.125, 0.25, 0.25, 0.5, 0.5, 1.0};
  std::vector<std::unique_ptr<Optimizer>> alone;
  for (const auto& parameter : apart) {
    alone.push_back(make_optimizer(Parameters{parameter}, options));
  }
  for (int64_t step = 0; step < 5; ++step) {
    set_gradients(together, step);
    set_gradients(apart, step);
    if (step == 3) {
      // The way of tensors that no fused kernel takes.
      for (auto* parameters : {&together, &apart}) {
        for (auto& [name, tensor] : *parameters) {
          auto spread = torch::empty({tensor.numel(), 2});
          spread.select(1, 0).copy_(tensor.grad().flatten());
          tensor.mutable_grad() = spread.select(1, 0).view(tensor.sizes());
        }
      }
    }
    decayed->step(0.02);
    for (size_t index = 0; index < alone.size(); ++index) {
      alone[index]->step(0.02 * rates[index]);
    }
  }
  for (size_t index = 0; index < together.size(); ++index) {
    EXPECT_TRUE(test::same_bits(together[index].tensor.detach(), apart[index].tensor.detach()))
        << together[index].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, LayerDecayOfEveryOptimizer,
                         testing::Range<size_t>(0, optimizers().size()), [](const auto& test_case) {
                           return std::string(optimizers()[test_case.param].name);
                         });

}  // namespace
}  // namespace softmoe
