#include "vit/options.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "softmoe/routers.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::small_moe_options;
using test::small_options;
using testing::HasSubstr;

/// A change that makes options impossible, and the option that the error must name.
struct BadOptions {
  const char* option;
  std::function<void(VitOptions&)> change;
};

TEST(VitOptionsValidation, NamesTheOptionThatIsWrong) {
  const std::vector<BadOptions> table{
      {"img-size", [](VitOptions& o) { o.img_size = {}; }},
      {"img-size",
       [](VitOptions& o) {
         o.img_size = {8, 8, 8};
       }},
      {"img-size",
       [](VitOptions& o) {
         o.img_size = {8, 13};
       }},
      {"img-size", [](VitOptions& o) { o.img_size = {2}; }},
      {"img-size", [](VitOptions& o) { o.img_size = {0}; }},
      {"img-size", [](VitOptions& o) { o.img_size = {-8}; }},
      {"patch-size", [](VitOptions& o) { o.patch_size = 0; }},
      {"patch-size", [](VitOptions& o) { o.patch_size = -4; }},
      {"in-chans", [](VitOptions& o) { o.in_chans = 0; }},
      {"num-classes", [](VitOptions& o) { o.num_classes = -1; }},
      {"dim", [](VitOptions& o) { o.dim = 0; }},
      {"dim", [](VitOptions& o) { o.heads = 5; }},
      {"dim",
       [](VitOptions& o) {
         o.dim = 26;
         o.pos_embed = PositionEmbedding::kSinCos2d;
       }},
      {"depth", [](VitOptions& o) { o.depth = 0; }},
      {"heads", [](VitOptions& o) { o.heads = 0; }},
      {"mlp-dim", [](VitOptions& o) { o.mlp_dim = 0; }},
      {"pre-logits", [](VitOptions& o) { o.pre_logits = -1; }},
      {"combine: expected a router that reads it, soft or uniform_soft, found entmax15 with router "
       "soft_uniform",
       [](VitOptions& o) {
         o = test::small_moe_options("soft_uniform");
         o.moe.combine = CombineWeights::kEntmax15;
       }},
      {"separate-scales: expected a router that reads it, soft, found true with router smear",
       [](VitOptions& o) {
         o = test::small_moe_options("smear");
         o.moe.separate_scales = true;
       }},
      {"phi-init",
       [](VitOptions& o) {
         o = test::small_moe_options("uniform");
         o.moe.phi_init = PhiInit::kKMeans;
       }},
      {"router-scale: expected at most router-scale-max 2, found 3",
       [](VitOptions& o) {
         o = test::small_moe_options();
         o.moe.router_scale = "3";
         o.moe.router_scale_max = 2.0;
       }},
      {"drop-path", [](VitOptions& o) { o.drop_path = 1.0; }},
      {"drop-path", [](VitOptions& o) { o.drop_path = -0.1; }},
      {"global-pool", [](VitOptions& o) { o.global_pool = GlobalPool::kToken; }},
      {"global-pool token_avg needs class-token",
       [](VitOptions& o) { o.global_pool = GlobalPool::kTokenAvg; }},
      {"pool-include-prefix needs global-pool avg or map",
       [](VitOptions& o) {
         o.global_pool = GlobalPool::kToken;
         o.class_token = true;
         o.pool_include_prefix = true;
       }},
      {"token_avg needs final-norm tokens",
       [](VitOptions& o) {
         o.global_pool = GlobalPool::kTokenAvg;
         o.class_token = true;
         o.final_norm = FinalNorm::kPooled;
       }},
      {"swiglu with moe-blocks 1,2", [](VitOptions& o) { o.mlp_layer = MlpLayer::kSwiGlu; }},
      {"mlp with global-pool map",
       [](VitOptions& o) {
         o.mlp_layer = MlpLayer::kSwiGlu;
         o.moe_blocks = "none";
         o.global_pool = GlobalPool::kMap;
       }},
      {"reg-tokens", [](VitOptions& o) { o.reg_tokens = -1; }},
      {"dim", [](VitOptions& o) { o.dim = int64_t{1} << 62; }},
      {"depth", [](VitOptions& o) { o.depth = 40'000'000'000; }},
      {"img-size", [](VitOptions& o) { o.img_size = {int64_t{1} << 40}; }},
      {"patch-size", [](VitOptions& o) { o.patch_size = int64_t{1} << 40; }},
      {"num-classes", [](VitOptions& o) { o.num_classes = int64_t{1} << 40; }},
      {"experts", [](VitOptions& o) { o.moe.experts = int64_t{1} << 40; }},
      {"slots-per-expert", [](VitOptions& o) { o.moe.slots_per_expert = int64_t{1} << 40; }},
      {"norm-eps", [](VitOptions& o) { o.norm_eps = -1.0; }},
      {"norm-eps", [](VitOptions& o) { o.norm_eps = std::nan(""); }},
      {"dist-token", [](VitOptions& o) { o.dist_token = o.class_token = true; }},
      {"moe-blocks", [](VitOptions& o) { o.moe_blocks = "3"; }},
      {"experts", [](VitOptions& o) { o.moe.experts = 0; }},
      {"slots-per-expert", [](VitOptions& o) { o.moe.slots_per_expert = -1; }},
      {"router", [](VitOptions& o) { o.moe.router = "top1"; }},
      {"identity",
       [](VitOptions& o) {
         o.moe.router = "identity";
         o.moe.experts = 4;
       }},
  };
  EXPECT_NO_THROW(validate(small_moe_options()));
  for (const auto& row : table) {
    auto options = small_moe_options();
    row.change(options);
    try {
      validate(options);
      ADD_FAILURE() << row.option << " was accepted";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr(row.option));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
    EXPECT_THROW(VisionTransformer{options}, UsageError) << row.option;
  }
}

TEST(VitOptionsValidation, LooksAtExpertsOnlyWhereThereAreMoeBlocks) {
  auto options = small_options();
  options.moe.experts = 0;
  EXPECT_NO_THROW(validate(options));
}

TEST(VitOptionsValidation, AcceptsIdentityRoutingOfATokenASlot) {
  EXPECT_NO_THROW(validate(small_moe_options("identity")));
  auto options = small_moe_options("identity");
  options.class_token = true;  // a seventh token
  EXPECT_THROW(validate(options), UsageError);
  options.moe.experts = 7;
  options.moe.slots_per_expert = 1;
  EXPECT_NO_THROW(validate(options));
}

TEST(VitOptions, SurviveTheWayThroughJson) {
  VitOptions options = small_moe_options("soft_uniform");
  options.in_chans = 5;
  options.global_pool = GlobalPool::kMap;
  options.pool_include_prefix = true;
  options.final_norm = FinalNorm::kPooled;
  options.class_token = true;
  options.dist_token = true;
  options.reg_tokens = 3;
  options.pos_embed = PositionEmbedding::kSinCos2d;
  options.pos_embed_prefix = false;
  options.pre_norm = true;
  options.patch_bias = false;
  options.qk_norm = true;
  options.mlp_layer = MlpLayer::kSwiGlu;
  options.gelu = Activation::kGeluExact;
  options.norm_eps = 1e-5;
  options.drop = 0.1;
  options.attn_drop = 0.2;
  options.drop_path = 0.3;
  options.layer_scale = 1e-4;
  options.pre_logits = 11;
  options.head_bias = -6.9;
  const auto json = options_to_json(options);
  EXPECT_EQ(options_from_json<VitOptions>(json, "test"), options);
  EXPECT_EQ(json.size(), 29U + options_to_json(options.moe).size());
}

TEST(VitOptions, CountTokensAndFeatures) {
  auto options = small_options();
  EXPECT_EQ(options.grid_height(), 2);
  EXPECT_EQ(options.grid_width(), 3);
  EXPECT_EQ(options.tokens(), 6);
  options.class_token = true;
  EXPECT_EQ(options.tokens(), 7);
  EXPECT_EQ(options.feature_dim(), 24);
  options.dist_token = true;
  options.reg_tokens = 4;
  EXPECT_EQ(options.prefix_tokens(), 6);
  EXPECT_EQ(options.tokens(), 12);
  EXPECT_EQ(options.prefix_positions(), 6);
  EXPECT_EQ(options.first_pooled_token(), 6);
  EXPECT_EQ(options.pooled_tokens(), 6);
  EXPECT_EQ(options.head_inputs(), 24);
  EXPECT_EQ(options.feature_dim(), 48);
  options.pos_embed_prefix = false;
  EXPECT_EQ(options.prefix_positions(), 0);
  options.pre_logits = 10;
  EXPECT_EQ(options.feature_dim(), 20);
  options.dist_token = false;
  EXPECT_EQ(options.feature_dim(), 10);
  options.pool_include_prefix = true;
  EXPECT_EQ(options.first_pooled_token(), 0);
  EXPECT_EQ(options.pooled_tokens(), 11);
  options.pool_include_prefix = false;
  options.global_pool = GlobalPool::kTokenAvg;
  EXPECT_EQ(options.pooled_dim(), 48);
  EXPECT_EQ(options.head_inputs(), 10);
  options.pre_logits = 0;
  EXPECT_EQ(options.feature_dim(), 48);
  options.img_size = {20};
  EXPECT_EQ(options.grid_height(), 5);
  EXPECT_EQ(options.grid_width(), 5);
}

TEST(VitOptions, GiveTheMoeLayerItsSizes) {
  auto options = small_moe_options();
  options.class_token = true;
  options.drop = 0.25;
  options.gelu = Activation::kGeluExact;
  const auto layer = moe_layer_options(options);
  EXPECT_EQ(layer.dim, 24);
  EXPECT_EQ(layer.hidden_dim, 40);
  EXPECT_EQ(layer.tokens, 7);
  EXPECT_EQ(layer.dropout, 0.25);
  EXPECT_EQ(layer.activation, Activation::kGeluExact);
  EXPECT_EQ(layer.moe, options.moe);
}

}  // namespace
}  // namespace softmoe
