/// Whole models of other families: their parts, and models that are noted or refused.

#include "checkpoints/convert/foreign_model.h"

#include <gmock/gmock.h>

#include "checkpoints/convert/check_weights.h"
#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/reader_notes.h"
#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/square_models.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/npz.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::changed;
using test::dinov2_options;
using test::dinov2_swiglu_options;
using test::expect_same_tensors;
using test::same_bits;
using test::square_moe_options;
using test::square_options;
using test::token_pooling;
using testing::HasSubstr;

/// Small Hugging Face weights.
NamedTensors hf_vit_weights() {
  const auto options = changed(square_options(), token_pooling);
  return to_family_names(named_tensors(*test::lively_model(options)), find_family("hf_vit"),
                         options.heads, "model");
}

std::string reading_error(const NamedTensors& tensors, const ForeignHints& hints = {}) {
  const test::TemporaryFolder folder;
  write_npz(folder / "a.npz", tensors);
  return test::input_error([&] {
    const auto model = read_foreign_model(folder / "a.npz", hints);
    check_weights(model.weights, model.description.options, find_family(model.family), "a.npz");
  });
}

TEST(ForeignModel, NamesEveryTensorThatDoesNotFit) {
  auto tensors = hf_vit_weights();
  tensors["encoder.layer.1.extra"] = torch::ones({2});
  tensors["encoder.layer.12.layernorm_before"] = torch::ones({2});
  EXPECT_THAT(
      reading_error(tensors),
      HasSubstr("no counterpart of encoder.layer.1.extra, encoder.layer.12.layernorm_before"));
  tensors = hf_vit_weights();
  tensors.erase("layernorm.weight");
  tensors["encoder.layer.2.layernorm_before.bias"] = torch::ones({7});
  const auto text = reading_error(tensors);
  EXPECT_THAT(text, HasSubstr("missing layernorm.weight (norm.weight)"));
  EXPECT_THAT(text, HasSubstr("of another shape or kind encoder.layer.2.layernorm_before.bias "
                              "(blocks.2.norm1.bias) [7] (the model has [192])"));
  tensors = hf_vit_weights();
  tensors.erase("encoder.layer.1.attention.attention.key.bias");
  EXPECT_THAT(reading_error(tensors),
              HasSubstr("parameter encoder.layer.1.attention.attention.key.bias"));
}

TEST(ForeignModel, TakesTheImageTowerOfTwo) {
  const auto weights = named_tensors(*test::lively_model(square_options()));
  NamedTensors file;
  for (const auto& [name, tensor] :
       to_family_names(weights, find_family("big_vision"), /*heads=*/3, "model")) {
    file["params/img/" + name] = tensor;
    file["opt/mu/img/" + name] = tensor + 1;
  }
  file["params/txt/Embed_0/embedding"] = torch::ones({4, 2});
  file["params/t"] = torch::ones({1});
  const auto found = find_model(file, "", "", "file");
  EXPECT_EQ(found.prefix, "params/img/");
  EXPECT_EQ(found.left_out.size(), file.size() - found.tensors.size());
  EXPECT_TRUE(
      same_bits(to_our_names(found, "file").tensors.at("head.bias"), weights.at("head.bias")));
}

TEST(ForeignModel, AsksWhichOfSeveralModels) {
  NamedTensors file;
  for (const auto& [name, tensor] : hf_vit_weights()) {
    file["left." + name] = tensor;
    file["right." + name] = tensor + 1;
  }
  EXPECT_THAT(reading_error(file), HasSubstr("--prefix"));
  EXPECT_THAT(reading_error(file, {.prefix = "critic."}), HasSubstr("'left.', 'right.'"));
  const auto found = find_model(file, "", "right.", "file");
  EXPECT_EQ(found.prefix, "right.");
}

TEST(ForeignModel, LeavesOutWhatMatchesAPattern) {
  auto file = hf_vit_weights();
  const auto count = file.size();
  file["decoder_embed.weight"] = torch::ones({2});
  file["decoder_norm.bias"] = torch::ones({2});
  file["n_averaged"] = torch::ones({});
  const test::TemporaryFolder folder;
  write_npz(folder / "a.npz", file);
  const ForeignHints hints{.leave_out = {"decoder_*", "n_averaged"}};
  const auto model = read_foreign_model(folder / "a.npz", hints);
  EXPECT_THAT(model.left_out,
              testing::ElementsAre("decoder_embed.weight", "decoder_norm.bias", "n_averaged"));
  EXPECT_LT(model.weights.size(), count);  // queries, keys and values are one
  EXPECT_THROW(read_foreign_model(folder / "a.npz", {.leave_out = {"encoder_*"}}), UsageError);
}

TEST(ForeignModel, AsksForTheSizeOfPositionsThatAreNoSquare) {
  auto options = changed(square_options(), token_pooling);
  options.img_size = {8, 12};
  const auto tensors = to_family_names(named_tensors(*test::lively_model(options)),
                                       find_family("timm"), options.heads, "model");
  EXPECT_THAT(reading_error(tensors), HasSubstr("--from-img-size"));
  const test::TemporaryFolder folder;
  write_npz(folder / "a.npz", tensors);
  const auto model = read_foreign_model(folder / "a.npz", {.img_size = {8, 12}});
  EXPECT_EQ(model.description.options.img_size, (std::vector<int64_t>{8, 12}));
}

TEST(ForeignModel, SaysWhatIsNoVisionTransformer) {
  EXPECT_THAT(reading_error({{"conv1.weight", torch::ones({2})}}), HasSubstr("conv1.weight"));
  EXPECT_THAT(reading_error(hf_vit_weights(), {.family = "timm"}), HasSubstr("family timm"));
  EXPECT_THROW(find_family("keras"), UsageError);
}

TEST(ForeignModel, WritesNothingThatAFamilyHasNoNameFor) {
  const test::TemporaryFolder folder;
  const auto options = square_moe_options("soft");
  const auto weights = named_tensors(*test::lively_model(options));
  ModelDescription description;
  description.options = options;
  for (const char* family : {"timm", "hf_siglip", "big_vision"}) {
    const auto text = test::input_error([&] {
      write_foreign_model(folder / "out.safetensors", TensorFormat::kSafetensors,
                          find_family(family), description, weights);
    });
    EXPECT_THAT(text, HasSubstr("no counterpart of blocks.1.moe.experts.fc1_bias")) << family;
    EXPECT_FALSE(std::filesystem::exists(folder / "out.safetensors"));
  }
}

/// The refusal of a family's code that would compute something else with these weights.
std::string writing_error(const std::string& family, const VitOptions& options) {
  const test::TemporaryFolder folder;
  ModelDescription description;
  description.options = options;
  const auto file = folder / "out.safetensors";
  const auto text = test::input_error([&] {
    write_foreign_model(file, TensorFormat::kSafetensors, find_family(family), description,
                        named_tensors(*test::lively_model(options)));
  });
  EXPECT_FALSE(std::filesystem::exists(file)) << family;
  return text;
}

TEST(ForeignModel, WritesNothingThatAFamilyComputesOtherwise) {
  auto options = changed(square_options(), token_pooling);
  options.layer_scale = 1e-5;
  EXPECT_THAT(writing_error("hf_dinov2", options), HasSubstr("global-pool: expected token_avg"));
  EXPECT_THAT(writing_error("hf_dinov2_swiglu", options), HasSubstr("mlp-layer"));
  auto gated = options;
  gated.mlp_layer = MlpLayer::kSwiGlu;
  gated.num_classes = 0;
  for (const char* family : {"hf_dinov2", "dinov2", "hf_vit", "big_vision", "vmoe"}) {
    EXPECT_THAT(writing_error(family, gated), HasSubstr(family)) << family;
    EXPECT_THAT(writing_error(family, gated), HasSubstr("found swiglu")) << family;
  }
  gated.mlp_dim = 44;
  EXPECT_THAT(writing_error("hf_dinov2_swiglu", gated), HasSubstr("mlp-dim"));
  EXPECT_THAT(writing_error("dinov2_swiglu", gated), HasSubstr("mlp-dim"));
  options.global_pool = GlobalPool::kTokenAvg;
  for (const char* family : {"timm", "dinov2", "hf_vit", "big_vision"}) {
    EXPECT_THAT(writing_error(family, options), HasSubstr("found token_avg")) << family;
  }
}

TEST(ForeignModel, WritesNoPoolingThatAFamilyDoesNotHave) {
  auto options = square_options();
  options.class_token = true;
  for (const auto pool : {GlobalPool::kAvg, GlobalPool::kMap}) {
    options.global_pool = pool;
    for (const char* family : {"hf_vit", "hf_clip", "big_vision", "vision_transformer", "vmoe"}) {
      const auto text = writing_error(family, options);
      EXPECT_THAT(text, HasSubstr(std::string("global-pool: expected token, as ") + family));
      EXPECT_THAT(text, HasSubstr("found " + enum_name(pool))) << family;
    }
  }
  options.class_token = false;
  EXPECT_THAT(writing_error("hf_siglip", options), HasSubstr("global-pool: expected avg"));
  options.global_pool = GlobalPool::kAvg;
  EXPECT_THAT(writing_error("hf_clip", options), HasSubstr("class-token: expected true"));
}

std::vector<std::string> notes_on(const std::string& family, const VitOptions& options,
                                  TensorFormat format, const std::vector<double>& mean) {
  ModelDescription description;
  description.options = options;
  description.preprocess = default_preprocess(options);
  description.preprocess->mean = mean;
  return reader_notes(format, find_family(family), description);
}

TEST(ForeignModel, NotesWhatTheFileCannotSay) {
  const std::vector<double> imagenet{0.485, 0.456, 0.406};
  auto options = square_options();
  for (const auto format : {TensorFormat::kNpz, TensorFormat::kSafetensors}) {
    EXPECT_THAT(
        notes_on("big_vision", options, format, imagenet),
        testing::ElementsAre("mean is 0.485 0.456 0.406, big_vision's code has 0.5 0.5 0.5"));
    EXPECT_THAT(notes_on("vision_transformer", options, format, {0.5}), testing::IsEmpty());
  }
  EXPECT_THAT(notes_on("hf_siglip", options, TensorFormat::kSafetensors, imagenet),
              testing::IsEmpty());
  EXPECT_THAT(notes_on("timm", options, TensorFormat::kSafetensors, imagenet), testing::IsEmpty());
  EXPECT_THAT(notes_on("timm", options, TensorFormat::kNpz, imagenet),
              testing::ElementsAre("gelu is tanh, timm's code has exact",
                                   HasSubstr("mean is 0.485 0.456 0.406, timm's")));
  options.class_token = true;
  options.num_classes = 0;
  EXPECT_THAT(notes_on("hf_vit", options, TensorFormat::kSafetensors, imagenet),
              testing::ElementsAre("global-pool is avg, hf_vit's code has token"));
}

TEST(ForeignModel, ReadsModelsWithoutBiasesOfQueriesKeysAndValues) {
  auto options = changed(square_options(), token_pooling);
  const auto weights = named_tensors(*test::lively_model(options));
  const test::TemporaryFolder folder;
  for (const char* family : {"timm", "hf_vit", "vision_transformer"}) {
    auto tensors = to_family_names(weights, find_family(family), options.heads, "model");
    std::erase_if(tensors, [](const auto& item) {
      const auto& name = item.first;
      return name.ends_with("qkv.bias") || name.ends_with("query.bias") ||
             name.ends_with("key.bias") || name.ends_with("value.bias") ||
             name.ends_with("query/bias") || name.ends_with("key/bias") ||
             name.ends_with("value/bias");
    });
    write_npz(folder / "a.npz", tensors);
    const auto model = read_foreign_model(folder / "a.npz");
    check_weights(model.weights, model.description.options, find_family(family), family);
    EXPECT_THAT(model.notes.choices, testing::Contains("qkv-bias 0 (the file has none)")) << family;
    const auto& bias = model.weights.at("blocks.2.attn.qkv.bias");
    EXPECT_TRUE(same_bits(bias, torch::zeros({3 * 192}))) << family;
  }
  auto torn = weights;
  torn.erase("blocks.1.attn.qkv.bias");
  EXPECT_THAT(reading_error(torn), HasSubstr("missing blocks.1.attn.qkv.bias"));
}

TEST(ForeignModel, RefusesNormsAfterAttentionThatLookLikeOthers) {
  auto weights = named_tensors(*test::lively_model(square_options()));
  std::erase_if(weights, [](const auto& item) { return item.first.ends_with("qkv.bias"); });
  EXPECT_THAT(reading_error(weights), HasSubstr("vit_*_rpn_* have too, and no config.json"));
  const test::TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors", weights, {});
  write_text_file(folder / "config.json", R"({"architecture": "vit_base_patch16_rpn_224"})");
  EXPECT_THAT(test::input_error([&] { read_foreign_model(folder / "model.safetensors"); }),
              HasSubstr("norms before attention and MLP, found vit_base_patch16_rpn_224"));
  write_text_file(folder / "config.json", R"({"architecture": "vit_medium_patch16_gap_240"})");
  EXPECT_NO_THROW(read_foreign_model(folder / "model.safetensors"));
}

TEST(ForeignModel, TellsWhetherTimmPoolsThePrefixTokens) {
  auto options = square_options();
  options.reg_tokens = 2;
  options.global_pool = GlobalPool::kMap;
  const test::TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors", named_tensors(*test::lively_model(options)), {});
  for (const auto& [config, expected] :
       {std::pair{R"({"architecture": "vit_x"})", false},
        {R"({"architecture": "test_vit3"})", true},
        {R"({"architecture": "vit_x", "model_args": {"pool_include_prefix": true}})", true},
        {R"({"architecture": "vit_x", "model_args": {"pool_include_prefix": "yes"}})", false}}) {
    write_text_file(folder / "config.json", config);
    const auto model = read_foreign_model(folder / "model.safetensors");
    EXPECT_EQ(model.description.options.pool_include_prefix, expected) << config;
  }
}

TEST(ForeignModel, IsWrittenUnderTheNamesOfItsParts) {
  auto options = changed(square_options(), token_pooling);
  options.layer_scale = 1e-5;
  EXPECT_EQ(output_family("huggingface", options).name, "hf_dinov2");
  EXPECT_EQ(output_family("dinov2", options).name, "dinov2");
  options.mlp_layer = MlpLayer::kSwiGlu;
  EXPECT_EQ(output_family("huggingface", options).name, "hf_dinov2_swiglu");
  EXPECT_EQ(output_family("dinov2", options).name, "dinov2_swiglu");
}

TEST(ForeignModel, TellsTheHeadsOfGiantsWithSwiGlu) {
  auto options = changed(square_options(), token_pooling);
  options.dim = 1536;
  options.depth = 1;
  options.heads = 24;
  options.mlp_layer = MlpLayer::kSwiGlu;
  const test::TemporaryFolder folder;
  write_npz(folder / "a.npz", named_tensors(*test::lively_model(options)));
  const auto model = read_foreign_model(folder / "a.npz");
  EXPECT_EQ(model.description.options.heads, 24);
  EXPECT_EQ(model.description.options.mlp_dim, 40);
}

TEST(ForeignModel, ReadsWhatDinov2TrainsInChunks) {
  const auto options = dinov2_options();
  const auto weights = named_tensors(*test::lively_model(options));
  NamedTensors file{{"teacher.dino_head.mlp.0.weight", torch::ones({2, 2})}};
  for (const auto& [name, tensor] :
       to_family_names(weights, find_family("dinov2"), options.heads, "model")) {
    const bool in_block = name.starts_with("blocks.");
    const auto chunk = in_block && name[7] == '2' ? "1." : "0.";
    file["teacher.backbone." + (in_block ? "blocks." + (chunk + name.substr(7)) : name)] = tensor;
  }
  ASSERT_TRUE(file.contains("teacher.backbone.blocks.1.2.norm1.bias"));
  const auto found = find_model(file, "", "", "file");
  EXPECT_EQ(found.family->name, "dinov2");
  EXPECT_THAT(found.left_out,
              testing::UnorderedElementsAre("mask_token", "dino_head.mlp.0.weight"));
  expect_same_tensors(to_our_names(found, "file").tensors, weights);
  file["teacher.backbone.blocks.1.0.norm1.bias"] = torch::ones({192});
  EXPECT_THAT(reading_error(file), HasSubstr("no counterpart of blocks.1.0.norm1.bias"));
}

TEST(ForeignModel, ResizesAsDinov2DoesWithAndWithoutRegisters) {
  for (const int64_t registers : {0, 2}) {
    auto weights = named_tensors(*test::lively_model(dinov2_options(registers)));
    weights["pos_embed"] = weights.at("pos_embed").detach().zero_();
    const test::TemporaryFolder folder;
    write_npz(folder / "a.npz", to_family_names(weights, find_family("dinov2"), 3, "model"));
    const auto model = read_foreign_model(folder / "a.npz");
    EXPECT_EQ(model.description.resize_mode,
              registers > 0 ? PositionResize::kBicubicAntialias : PositionResize::kBicubic);
    EXPECT_THAT(model.description.preprocess.value().mean,
                testing::ElementsAre(0.485, 0.456, 0.406));
  }
}

TEST(ForeignModel, JoinsTheGatesThatTransformersHoldsApart) {
  const auto options = dinov2_swiglu_options();
  const auto weights = named_tensors(*test::lively_model(options));
  auto tensors = to_family_names(weights, find_family("hf_dinov2_swiglu"), options.heads, "model");
  for (int64_t block = 0; block < options.depth; ++block) {
    const auto mlp = "encoder.layer." + std::to_string(block) + ".mlp.";
    for (const std::string leaf : {"weight", "bias"}) {
      const auto parts = tensors.extract(mlp + "weights_in." + leaf).mapped().chunk(2);
      tensors[mlp + "gate_proj." + leaf] = parts[0];
      tensors[mlp + "up_proj." + leaf] = parts[1];
      auto out = tensors.extract(mlp + "weights_out." + leaf);
      out.key() = mlp + "down_proj." + leaf;
      tensors.insert(std::move(out));
    }
  }
  expect_same_tensors(to_our_names(find_model(tensors, "", "", "file"), "file").tensors, weights);
  tensors.erase("encoder.layer.1.mlp.up_proj.bias");
  EXPECT_THAT(reading_error(tensors), HasSubstr("parameter encoder.layer.1.mlp.up_proj.bias"));
}

}  // namespace
}  // namespace softmoe
