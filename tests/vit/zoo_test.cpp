#include "vit/zoo.h"

#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// A row of the published table (arXiv:2308.00951, tables 1 and 8, counted exactly).
struct PublishedRow {
  const char* model;
  int64_t backbone;
  int64_t with_1000_classes;
  int64_t with_29593_classes;
  double gflop;
};

constexpr std::array kPublished{
    PublishedRow{"vit_s16", 21664896, 22049896, 33058201, 9.15},
    PublishedRow{"vit_b16", 85797120, 86566120, 108554137, 34.94},
    PublishedRow{"vit_l16", 303299584, 304324584, 333632409, 122.46},
    PublishedRow{"vit_h14", 630762240, 632043240, 668670873, 333.25},
    PublishedRow{"softmoe_s16_128e", 922314630, 922699630, 933707935, 8.53},
    PublishedRow{"softmoe_s14_256e", 1830007686, 1830392686, 1841400991, 13.10},
    PublishedRow{"softmoe_b16_128e", 3684880134, 3685649134, 3707637151, 31.79},
    PublishedRow{"softmoe_l16_128e", 13096913932, 13097938932, 13127246757, 110.62},
    PublishedRow{"softmoe_h14_128e", 27280218896, 27281499896, 27318127529, 283.58},
    PublishedRow{"softmoe_h14_256e", 54139493136, 54140774136, 54177401769, 341.30},
};

TEST(Zoo, HasThePublishedParametersAndFlop) {
  for (const auto& row : kPublished) {
    auto options = model_preset(row.model);
    EXPECT_EQ(options.num_classes, 1000) << row.model;
    const auto cost = model_cost(options);
    EXPECT_EQ(cost.backbone_parameters, row.backbone) << row.model;
    EXPECT_EQ(cost.parameters(), row.with_1000_classes) << row.model;
    EXPECT_NEAR(cost.gflop, row.gflop, 0.01 * row.gflop) << row.model;
    options.num_classes = 29593;
    EXPECT_EQ(model_cost(options).parameters(), row.with_29593_classes) << row.model;
    options.num_classes = 0;
    EXPECT_EQ(model_cost(options).parameters(), row.backbone) << row.model;
    EXPECT_THAT(zoo_names(), Contains(row.model));
  }
}

TEST(Zoo, EveryNameIsAValidModelOfItsOwn) {
  const auto names = zoo_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  std::vector<VitOptions> seen;
  for (const auto& name : names) {
    const auto options = model_preset(name);
    EXPECT_NO_THROW(validate(options)) << name;
    EXPECT_EQ(options.moe_blocks, name.starts_with("softmoe") ? "last_half" : "none") << name;
    EXPECT_EQ(options.gelu, Activation::kGeluTanh) << name;
    EXPECT_FALSE(options.class_token) << name;
    EXPECT_EQ(std::find(seen.begin(), seen.end(), options), seen.end()) << name;
    seen.push_back(options);
  }
}

TEST(Zoo, HasEverySizeDenseAndSoft) {
  const auto names = zoo_names();
  for (const std::string size : {"ti16", "s16", "s14", "b32", "b16", "l16", "h14", "g14", "G14"}) {
    EXPECT_THAT(names, Contains("vit_" + size));
    EXPECT_THAT(names, Contains("softmoe_" + size + "_128e"));
  }
}

TEST(Zoo, TakesAnyNumberOfExpertsAndAnyPatch) {
  const auto options = model_preset("softmoe_ti8_37e");
  EXPECT_EQ(options.dim, 192);
  EXPECT_EQ(options.heads, 3);
  EXPECT_EQ(options.patch_size, 8);
  EXPECT_EQ(options.moe.experts, 37);
  EXPECT_EQ(options.moe.slots_per_expert, 1);
  EXPECT_EQ(options.moe.router, "soft");
  EXPECT_EQ(model_preset("vit_h28").patch_size, 28);
}

/// Parameters as timm itself counts them.
TEST(Zoo, TimmsNamesAreTimmsModels) {
  for (const auto& [name, parameters] :
       {std::pair<const char*, int64_t>{"vit_tiny_patch16_224", 5717416},
        {"vit_small_patch16_224", 22050664},
        {"vit_base_patch16_224", 86567656},
        {"vit_base_patch32_224", 88224232},
        {"vit_large_patch16_224", 304326632},
        {"vit_huge_patch14_224", 632045800}}) {
    const auto options = model_preset(name);
    EXPECT_EQ(model_cost(options).parameters(), parameters) << name;
    EXPECT_EQ(options.gelu, Activation::kGeluExact) << name;
    EXPECT_TRUE(options.class_token) << name;
    EXPECT_EQ(options.global_pool, GlobalPool::kToken) << name;
  }
  EXPECT_EQ(model_preset("vit_base_patch16_384").img_size, std::vector<int64_t>{384});
}

/// Parameters as timm itself counts them.
TEST(Zoo, TimmsBackbonesOfDinov2HaveNoHead) {
  for (const auto& [name, parameters] :
       {std::pair<const char*, int64_t>{"vit_small_patch14_dinov2", 22056192},
        {"vit_base_patch14_reg4_dinov2", 86582016},
        {"vit_giant_patch14_dinov2", 1136479232},
        {"vit_giant_patch14_reg4_dinov2", 1136483840}}) {
    const auto options = model_preset(name);
    EXPECT_EQ(model_cost(options).parameters(), parameters) << name;
    EXPECT_EQ(options.img_size, std::vector<int64_t>{518}) << name;
    EXPECT_EQ(options.gelu, Activation::kGeluExact) << name;
  }
  EXPECT_EQ(model_preset("vit_giant_patch14_dinov2").heads, 24);
  EXPECT_EQ(model_preset("vit_giant_patch14_dinov2").mlp_layer, MlpLayer::kSwiGlu);
  EXPECT_EQ(model_preset("vit_large_patch14_dinov2").mlp_layer, MlpLayer::kMlp);
}

TEST(Zoo, TimmsModelsWithoutClassTokenNormaliseTokens) {
  const auto base = model_preset("vit_base_patch16_gap_224");
  EXPECT_FALSE(base.class_token);
  EXPECT_EQ(base.global_pool, GlobalPool::kAvg);
  EXPECT_EQ(base.final_norm, FinalNorm::kTokens);
  EXPECT_EQ(base.heads, 16);
  EXPECT_EQ(model_preset("vit_huge_patch14_gap_224").heads, 16);
}

TEST(Zoo, AliasesAreOfTheSameSizeAndOnlyWhereTimmHasOne) {
  EXPECT_EQ(timm_alias("vit_b16"), "vit_base_patch16_224");
  EXPECT_EQ(timm_alias("vit_G14"), "vit_gigantic_patch14_224");
  EXPECT_EQ(timm_alias("vit_ti32"), "");
  EXPECT_EQ(timm_alias("softmoe_b16_128e"), "");
  EXPECT_EQ(timm_alias("vit_x16"), "");
  int64_t aliases = 0;
  for (const auto& name : zoo_names()) {
    const auto alias = timm_alias(name);
    if (alias.empty()) {
      continue;
    }
    ++aliases;
    const auto own = model_preset(name);
    const auto timm = model_preset(alias);
    EXPECT_EQ(timm.dim, own.dim) << alias;
    EXPECT_EQ(timm.depth, own.depth) << alias;
    EXPECT_EQ(timm.heads, own.heads) << alias;
    EXPECT_EQ(timm.mlp_dim, own.mlp_dim) << alias;
    EXPECT_EQ(timm.patch_size, own.patch_size) << alias;
    EXPECT_EQ(timm.img_size, own.img_size) << alias;
  }
  EXPECT_EQ(aliases, 13);
}

TEST(Zoo, UnknownNamesAreUsageErrorsThatNameTheListOfModels) {
  for (const std::string name :
       {"", "vit", "vit_", "vit_b", "vit_x16", "vit_b16_128e", "softmoe_b16", "softmoe_b16_e",
        "VIT_B16", "vit_b16 ", "vit_b1600", "vit_base_patch16", "vit_base_224",
        "vit_medium_patch16_224", "vit_tiny_patch14_dinov2", "resnet50",
        "softmoe_b16_99999999999999999999e"}) {
    try {
      model_preset(name);
      FAIL() << "found '" << name << "'";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("'" + name + "'"));
      EXPECT_THAT(error.what(), HasSubstr("softmoe models lists"));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

TEST(Zoo, UnknownNamesAreFollowedByTheNearest) {
  for (const auto& [name, meant] : {std::pair{"VIT_B16", "vit_b16"},
                                    {"vit-b16", "vit_b16"},
                                    {"softmoe_s16_128", "softmoe_s16_128e"},
                                    {"vit_base_path16_224", "vit_base_patch16_224"}}) {
    try {
      model_preset(name);
      FAIL() << "found " << name;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("did you mean ") + meant + "?"));
    }
  }
}

TEST(Zoo, NamesOfImpossibleSizesMakeNoModel) {
  for (const std::string name : {"vit_b0", "vit_b15", "softmoe_b16_0e", "vit_base_patch0_224",
                                 "vit_base_patch16_100", "vit_base_patch16_0"}) {
    try {
      model_preset(name);
      FAIL() << "found '" << name << "'";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("model: expected "));
      EXPECT_THAT(error.what(), HasSubstr("'" + name + "'"));
    }
  }
}

}  // namespace
}  // namespace softmoe
