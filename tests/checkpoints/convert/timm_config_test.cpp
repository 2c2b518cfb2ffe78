/// The config.json of timm beside a model.

#include <gmock/gmock.h>

#include "checkpoints/convert/configured_model.h"

namespace softmoe {
namespace {

using test::changed;
using test::square_options;
using test::token_pooling;
using testing::HasSubstr;

class TimmConfig : public test::ConfiguredModel {};

TEST_F(TimmConfig, NamesArchitecturesWhoseHeadsNoWidthTells) {
  write("timm", changed(square_options(), token_pooling));
  for (const auto& [config, heads] :
       {std::pair{R"({"architecture": "test_vit"})", 2},
        {R"({"architecture": "test_vit3"})", 3},
        {R"({"architecture": "vit_giant_patch16_radio_v3"})", 24},
        {R"({"architecture": "vit_something_new"})", 3},
        {R"({"architecture": "test_vit", "model_args": {"num_heads": 6}})", 6}}) {
    EXPECT_EQ(read(config).description.options.heads, heads) << config;
  }
}

TEST_F(TimmConfig, TellsThePoolingByTheArgumentsFirst) {
  write("timm", changed(square_options(), token_pooling));
  for (const auto& [config, pool] :
       {std::pair{R"({"architecture": "a"})", GlobalPool::kToken},
        {R"({"architecture": "a", "global_pool": "avg"})", GlobalPool::kAvg},
        {R"({"architecture": "a", "global_pool": "avg", "model_args": {"global_pool": "token"}})",
         GlobalPool::kToken}}) {
    EXPECT_EQ(read(config).description.options.global_pool, pool) << config;
  }
}

TEST_F(TimmConfig, RefusesPoolingThatIsNotHere) {
  write("timm", changed(square_options(), token_pooling));
  for (const std::string pool : {"max", "avgmax", "prr", ""}) {
    for (const auto& config :
         {R"({"architecture": "a", "global_pool": ")" + pool + "\"}",
          R"({"architecture": "a", "model_args": {"global_pool": ")" + pool + "\"}}"}) {
      const auto text = reading_error(config);
      EXPECT_THAT(text, HasSubstr("config.json: global_pool: expected one of avg, token")) << pool;
      EXPECT_THAT(text, HasSubstr("found '" + pool + "'"));
    }
  }
}

TEST_F(TimmConfig, GivesNormsBeforeTheBlocksTheEpsOfClipInClipAlone) {
  auto options = changed(square_options(), token_pooling);
  options.pre_norm = true;
  options.patch_bias = false;
  write("timm", options);
  const auto clip = read(R"({"architecture": "vit_base_patch32_clip_224"})").description;
  EXPECT_EQ(clip.options.norm_eps, 1e-5);
  EXPECT_EQ(clip.preprocess.value().mean[0], 0.48145466);
  const auto other =
      read(R"({"architecture": "vit_base_patch16_224", "model_args": {"pre_norm": true}})");
  EXPECT_EQ(other.description.options.norm_eps, 1e-6);
  EXPECT_EQ(other.description.preprocess.value().mean[0], 0.5);
}

TEST_F(TimmConfig, OfAModelWithoutPositionsIsRefused) {
  auto options = square_options();
  options.pos_embed = PositionEmbedding::kSinCos2d;
  write("timm", options);
  EXPECT_THAT(reading_error(R"({"architecture": "a", "model_args": {"pos_embed": "none"}})"),
              HasSubstr("expected tensor pos_embed, found none"));
}

}  // namespace
}  // namespace softmoe
