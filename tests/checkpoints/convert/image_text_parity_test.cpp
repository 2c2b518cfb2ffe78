/// Models of open_clip and Hugging Face with an image tower and a text tower, with random weights:
/// they give the same embeddings here, the same bits when they are written back, and the same
/// embeddings there when they read that.

#include <gmock/gmock.h>

#include "checkpoints/convert/image_text_configs.h"
#include "checkpoints/convert/image_text_foreign.h"
#include "checkpoints/formats/safetensors.h"
#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/module_tensors.h"
#include "io/npz.h"
#include "support/error_text.h"
#include "support/peers.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/image_text_zoo.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

/// A case of image_text_peers.py, and what its files say.
struct TowersCase {
  std::string name;
  std::string file;
  void (*check)(const ImageTextOptions&);
};

void PrintTo(const TowersCase& towers, std::ostream* out) { *out << towers.name; }

const std::vector<TowersCase> kTowersCases{
    {"hf_clip", "model.safetensors",
     [](const ImageTextOptions& o) {
       EXPECT_EQ(o.text.eot_token, 36);
       EXPECT_EQ(o.text.gelu, Activation::kGeluQuick);
       EXPECT_EQ(o.embedding_dim(), 14);
     }},
    {"hf_siglip", "model.safetensors",
     [](const ImageTextOptions& o) {
       EXPECT_EQ(o.text.pool, TextPool::kLast);
       EXPECT_EQ(o.text.gelu, Activation::kGeluTanh);
       EXPECT_TRUE(o.has_logit_bias);
       EXPECT_EQ(o.image.global_pool, GlobalPool::kMap);
     }},
    {"open_clip", "open_clip_model.safetensors",
     [](const ImageTextOptions& o) {
       EXPECT_EQ(o.text.eot_token, kLargestId);
       EXPECT_EQ(o.image.gelu, Activation::kGeluQuick);
       EXPECT_EQ(o.image.mlp_dim, 48);
       EXPECT_EQ(o.text.mlp_dim, 28);
     }},
    {"open_clip_siglip", "open_clip_model.safetensors",
     [](const ImageTextOptions& o) {
       EXPECT_FALSE(o.text.causal);
       EXPECT_TRUE(o.text.projection_bias);
       EXPECT_EQ(o.text.gelu, Activation::kGeluTanh);
       EXPECT_EQ(o.image.gelu, Activation::kGeluExact);
     }},
};

/// Expects the embeddings in `folder` of the model in `folder`.
void expect_parity(const std::filesystem::path& folder, const std::filesystem::path& model_file) {
  // Heads of 8 channels are in every config but timm's, which has the architecture alone.
  auto loaded = load_image_text(model_file);
  const torch::NoGradGuard no_grad;
  const auto arrays = read_npz(folder / "inputs.npz");
  const test::Tolerance tolerance{.absolute = 1e-5};
  EXPECT_TRUE(test::all_close(loaded.model->encode_image(arrays.at("images")),
                              arrays.at("image_embeds"), tolerance));
  EXPECT_TRUE(test::all_close(loaded.model->encode_text(arrays.at("ids"), arrays.at("lengths")),
                              arrays.at("text_embeds"), tolerance));
}

void expect_written_back(const std::filesystem::path& written,
                         const std::filesystem::path& original) {
  const auto back = read_safetensors(written);
  auto tensors = read_safetensors(original);
  std::erase_if(tensors, [](const auto& item) { return !item.second.is_floating_point(); });
  EXPECT_EQ(back.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(back.contains(name)) << name;
    EXPECT_TRUE(test::same_bits(back.at(name), tensor)) << name;
  }
}

/// Reads the model in `folder`, writes it to `back` under its own names, and reads that.
void expect_round_trip(const TowersCase& towers, const std::filesystem::path& folder,
                       const std::filesystem::path& back) {
  ASSERT_TRUE(is_foreign_image_text(folder));
  auto model = read_foreign_image_text(folder);
  EXPECT_EQ(model.family, towers.name);
  towers.check(model.description.options);
  expect_parity(folder, folder);
  if (towers.name == "open_clip_siglip") {
    return;  // timm has no tower of this size by name
  }
  std::filesystem::create_directory(back);
  const auto& family = *std::find_if(image_text_families().begin(), image_text_families().end(),
                                     [&](const auto& row) { return row.name == towers.name; });
  write_foreign_image_text(back / towers.file, family, model.description, model.weights);
  expect_written_back(back / towers.file, folder / towers.file);
  expect_parity(folder, back);
  EXPECT_EQ(read_foreign_image_text(back).description.options, model.description.options);
}

class ImageTextFixtures : public testing::TestWithParam<TowersCase> {};

INSTANTIATE_TEST_SUITE_P(All, ImageTextFixtures, testing::ValuesIn(kTowersCases),
                         [](const auto& row) { return row.param.name; });

TEST_P(ImageTextFixtures, GiveTheEmbeddingsOfTheirLibraryAndAreWrittenBack) {
  const test::TemporaryFolder folder;
  expect_round_trip(GetParam(),
                    std::filesystem::path(SOFTMOE_FIXTURES) / "image_text" / GetParam().name,
                    folder / "back");
}

TEST(ImageTextPeers, HoldParityInBothDirections) {
  if (!test::peers_python()) {
    GTEST_SKIP() << test::kNoPeers;
  }
  const test::TemporaryFolder folder;
  const std::string script = "checkpoints/convert/image_text_peers.py";
  const auto made = test::run_peer(script, {"make", folder.path().string()});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  for (const auto& towers : kTowersCases) {
    SCOPED_TRACE(towers.name);
    if (std::filesystem::exists(folder / towers.name / "inputs.npz")) {
      expect_round_trip(towers, folder / towers.name, folder / towers.name / "back");
    }
  }
  const auto checked = test::run_peer(script, {"check", folder.path().string()});
  EXPECT_EQ(checked.exit_code, 0) << checked.error;
}

/// A model of images and texts that is to be written.
struct Written {
  ImageTextDescription description;
  NamedTensors weights;
};

Written small_clip() {
  Written model;
  auto& options = model.description.options;
  options = test::small_image_text_options();
  options.image.img_size = {12};
  options.image.class_token = true;
  options.image.global_pool = GlobalPool::kToken;
  options.image.pre_norm = true;
  options.image.patch_bias = false;
  model.weights = named_tensors(*make_image_text_model(options, 4));
  return model;
}

TEST(WriteForeignImageText, NamesWhatAFamilyDoesNotHave) {
  const test::TemporaryFolder folder;
  const auto path = folder / "model.safetensors";
  const auto error_of = [&](const char* naming, const auto& change) {
    auto model = small_clip();
    change(model.description.options);
    model.weights = named_tensors(*make_image_text_model(model.description.options, 4));
    const auto& family = image_text_family(naming, model.description.options);
    const auto error = test::input_error(
        [&] { write_foreign_image_text(path, family, model.description, model.weights); });
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_FALSE(std::filesystem::exists(folder / "config.json"));
    return error;
  };
  EXPECT_THAT(error_of("huggingface", [](auto& options) { options.text.causal = false; }),
              HasSubstr("text-causal: expected true, as hf_clip has, found false"));
  EXPECT_THAT(error_of("open_clip", [](auto& options) { options.text.pool = TextPool::kMean; }),
              HasSubstr("pool_type"));
  EXPECT_THAT(error_of("huggingface", [](auto& options) { options.has_logit_bias = true; }),
              HasSubstr("no counterpart of logit_bias"));
  EXPECT_THAT(
      error_of("huggingface", [](auto& options) { options.text = test::small_text_moe_options(); }),
      HasSubstr("no counterpart of text.blocks.1.moe"));
}

TEST(WriteForeignImageText, WritesSmallModelsOfTheZooForHuggingFace) {
  const test::TemporaryFolder folder;
  for (const auto* const name : {"clip_vit_ti16", "siglip_vit_ti16"}) {
    ImageTextDescription description{
        .name = name, .options = image_text_preset(name), .preprocess = {}, .tokenizer = {}};
    description.options.text.vocab_size = 64;
    description.options.image.depth = description.options.text.depth = 1;
    const auto weights = named_tensors(*make_image_text_model(description.options, 4));
    const auto& family = image_text_family("huggingface", description.options);
    write_foreign_image_text(folder / "model.safetensors", family, description, weights);
    const auto read = read_foreign_image_text(folder.path());
    EXPECT_EQ(read.family, family.name);
    EXPECT_EQ(read.weights.size(), weights.size());
    for (const auto& [tensor_name, tensor] : weights) {
      EXPECT_TRUE(test::same_bits(read.weights.at(tensor_name), tensor)) << tensor_name;
    }
  }
}

TEST(OpenClipSiglipConfig, NamesTheTowerOfTimmOrSaysThatThereIsNone) {
  ImageTextDescription description;
  description.options = image_text_preset("siglip_vit_b16");
  const auto model = open_clip_siglip_config(description).at("model_cfg");
  EXPECT_EQ(model.at("vision_cfg").at("timm_model_name"), "vit_base_patch16_siglip_224");
  EXPECT_EQ(model.at("text_cfg").at("pool_type"), "last");
  description.options = image_text_preset("siglip_vit_s16");
  EXPECT_THAT(test::input_error([&] { open_clip_siglip_config(description); }),
              HasSubstr("--names huggingface"));
}

TEST(ReadForeignImageText, NamesTensorsThatNoFamilyHasOrThatAreMissing) {
  const test::TemporaryFolder folder;
  const auto original = std::filesystem::path(SOFTMOE_FIXTURES) / "image_text" / "hf_clip";
  const auto error_of = [&](const auto& change) {
    auto tensors = read_safetensors(original / "model.safetensors");
    change(tensors);
    write_safetensors(folder / "model.safetensors", tensors);
    return test::input_error([&] { load_image_text(folder.path()); });
  };
  EXPECT_THAT(
      error_of([](auto& tensors) { tensors["text_model.adapter.weight"] = torch::ones(2); }),
      HasSubstr("no counterpart of text_model.adapter.weight"));
  EXPECT_THAT(error_of([](auto& tensors) { tensors.erase("text_model.final_layer_norm.bias"); }),
              HasSubstr("missing text_model.final_layer_norm.bias (text.norm.bias)"));
  EXPECT_THAT(error_of([](auto& tensors) { tensors.erase("visual_projection.weight"); }),
              HasSubstr("projection of images: expected one"));
  EXPECT_THAT(error_of([](auto& tensors) {
                tensors["text_model.encoder.layers.7.layer_norm1.bias"] = torch::ones({16});
              }),
              HasSubstr("blocks numbered from 0"));
}

}  // namespace
}  // namespace softmoe
