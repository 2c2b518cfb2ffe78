// What stands before the patches' tokens, and how the tokens become features.

#include "support/tensor_matcher.h"
#include "vit/small_models.h"
#include "vit/vision_transformer.h"

namespace softmoe {
namespace {

using test::all_close;
using test::every_prefix;
using test::lively_model;
using test::random_images;
using test::small_options;

TEST(VisionTransformer, PoolsAsAsked) {
  auto options = small_options();
  options.class_token = true;
  for (const auto pool : {GlobalPool::kAvg, GlobalPool::kToken}) {
    for (const auto norm : {FinalNorm::kTokens, FinalNorm::kPooled}) {
      options.global_pool = pool;
      options.final_norm = norm;
      auto model = lively_model(options);
      const auto images = random_images(options);
      const auto tokens = model->forward_tokens(images);
      ASSERT_EQ(tokens.sizes(), (std::vector<int64_t>{2, 7, 24}));
      // The class token is no patch, so the mean leaves it out.
      auto pooled = pool == GlobalPool::kToken ? tokens.select(1, 0) : tokens.slice(1, 1).mean(1);
      auto parameters = model->named_parameters();
      EXPECT_EQ(parameters.contains("norm.weight"), norm == FinalNorm::kTokens);
      EXPECT_EQ(parameters.contains("fc_norm.weight"), norm == FinalNorm::kPooled);
      if (norm == FinalNorm::kPooled) {
        pooled = torch::layer_norm(pooled, {24}, parameters["fc_norm.weight"],
                                   parameters["fc_norm.bias"], options.norm_eps);
      }
      EXPECT_TRUE(all_close(model->forward_features(images), pooled));
    }
  }
}

TEST(VisionTransformer, PutsPrefixTokensBeforeThePatchesWithOrWithoutPositions) {
  for (const bool with_positions : {true, false}) {
    auto options = every_prefix();
    options.moe_blocks = "none";
    options.pos_embed_prefix = with_positions;
    auto model = lively_model(options);
    auto parameters = model->named_parameters();
    EXPECT_FALSE(parameters.contains("patch_embed.proj.bias"));
    const auto images = random_images(options);
    const auto patches =
        torch::conv2d(images, parameters["patch_embed.proj.weight"], {}, /*stride=*/4)
            .flatten(2)
            .transpose(1, 2);  // [2, 6, 24]
    const auto prefix =
        torch::cat({parameters["cls_token"], parameters["dist_token"], parameters["reg_token"]}, 1);
    ASSERT_EQ(prefix.sizes(), (std::vector<int64_t>{1, 5, 24}));
    const auto positions = parameters["pos_embed"];
    ASSERT_EQ(positions.size(1), with_positions ? 11 : 6);
    const auto padded =
        with_positions ? positions : torch::cat({torch::zeros_like(prefix), positions}, 1);
    auto tokens = torch::cat({prefix.expand({2, -1, -1}), patches}, 1) + padded;  // [2, 11, 24]
    tokens = torch::layer_norm(tokens, {24}, parameters["norm_pre.weight"],
                               parameters["norm_pre.bias"], options.norm_eps);
    // Without MLPs and attention outputs the blocks hand their input on.
    const torch::NoGradGuard no_grad;
    for (auto& parameter : parameters) {
      if (parameter.key().find("attn.proj.") != std::string::npos ||
          parameter.key().find("mlp.fc2.") != std::string::npos) {
        parameter.value().zero_();
      }
    }
    tokens = torch::layer_norm(tokens, {24}, parameters["norm.weight"], parameters["norm.bias"],
                               options.norm_eps);
    EXPECT_TRUE(all_close(model->forward_tokens(images), tokens));
    const auto features = model->forward_features(images);
    EXPECT_TRUE(all_close(features, tokens.narrow(1, 0, 2).flatten(1)));
  }
}

TEST(VisionTransformer, GivesTheMeanOfTheLogitsOfItsHeads) {
  auto options = every_prefix();
  for (const bool with_distillation : {true, false}) {
    options.dist_token = with_distillation;
    auto model = lively_model(options);
    auto parameters = model->named_parameters();
    const auto images = random_images(options);
    const auto features = model->forward_features(images);
    const auto parts = features.chunk(with_distillation ? 2 : 1, 1);
    auto expected = std::vector{
        torch::linear(parts.front(), parameters["head.weight"], parameters["head.bias"])};
    if (with_distillation) {
      expected.push_back(torch::linear(parts.back(), parameters["head_dist.weight"],
                                       parameters["head_dist.bias"]));
    }
    const auto logits = model->head_logits(features);
    ASSERT_EQ(logits.size(), expected.size());
    for (size_t head = 0; head < logits.size(); ++head) {
      EXPECT_TRUE(all_close(logits[head], expected[head]));
    }
    EXPECT_TRUE(all_close(model->forward(images), torch::stack(expected).mean(0)));
  }
  options.num_classes = 0;
  EXPECT_THROW(lively_model(options)->head_logits(torch::zeros({2, 24})), c10::ValueError);
}

TEST(VisionTransformer, MeanPoolingLeavesOutEveryPrefixToken) {
  auto options = every_prefix();
  options.dist_token = false;
  options.global_pool = GlobalPool::kAvg;
  auto model = lively_model(options);
  const auto images = random_images(options);
  const auto expected = model->forward_tokens(images).slice(1, 4).mean(1);
  EXPECT_TRUE(all_close(model->forward_features(images), expected));
}

TEST(VisionTransformer, PoolsPrefixTokensOnlyWhereAsked) {
  auto options = every_prefix();
  options.dist_token = false;
  for (const auto pool : {GlobalPool::kAvg, GlobalPool::kMap}) {
    for (const bool with_prefix : {false, true}) {
      options.global_pool = pool;
      options.pool_include_prefix = with_prefix;
      auto model = lively_model(options);
      const auto images = random_images(options);
      const auto pooled = model->forward_tokens(images).slice(1, with_prefix ? 0 : 4);
      const auto expected =
          pool == GlobalPool::kAvg
              ? pooled.mean(1)
              : model->named_modules()["attn_pool"]->as<AttentionPoolImpl>()->forward(pooled);
      EXPECT_EQ(pooled.size(1), options.pooled_tokens());
      EXPECT_TRUE(all_close(model->forward_features(images), expected));
    }
  }
}

TEST(VisionTransformer, PutsTheClassTokenBeforeTheMeanOfThePatches) {
  auto options = every_prefix();
  options.dist_token = false;
  options.global_pool = GlobalPool::kTokenAvg;
  auto model = lively_model(options);
  const auto images = random_images(options);
  const auto tokens = model->forward_tokens(images);  // [2, 10, 24]
  const auto expected = torch::cat({tokens.select(1, 0), tokens.slice(1, 4).mean(1)}, 1);
  EXPECT_TRUE(all_close(model->forward_features(images), expected));
}

TEST(VisionTransformer, PreLogitsAreATanhLayer) {
  auto options = small_options();
  options.pre_logits = 10;
  auto model = lively_model(options);
  const auto images = random_images(options);
  auto parameters = model->named_parameters();
  const auto pooled = model->forward_tokens(images).mean(1);
  const auto expected =
      (pooled.mm(parameters["pre_logits.weight"].t()) + parameters["pre_logits.bias"]).tanh();
  EXPECT_TRUE(all_close(model->forward_features(images), expected));
}

}  // namespace
}  // namespace softmoe
