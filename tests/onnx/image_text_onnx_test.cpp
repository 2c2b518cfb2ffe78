/// Exported towers of models of images and texts in other runtimes: the embeddings of ours.

#include <gmock/gmock.h>

#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/module_tensors.h"
#include "io/npz.h"
#include "onnx/onnx_image_text.h"
#include "support/error_text.h"
#include "support/peers.h"
#include "support/temporary_folder.h"
#include "vit/small_texts.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

/// Towers that are exported.
struct TowersToExport {
  std::string name;
  ImageTextOptions options;
};

TowersToExport of_texts(const std::string& name, const TextOptions& texts) {
  TowersToExport towers{.name = name, .options = small_image_text_options()};
  towers.options.text = texts;
  return towers;
}

/// small_text_options() after `change`.
TextOptions changed_texts(const std::function<void(TextOptions&)>& change) {
  auto options = small_text_options();
  change(options);
  return options;
}

/// CLIP's and SigLIP's towers, and every pooling and router that takes each text by itself.
std::vector<TowersToExport> towers_to_export() {
  TowersToExport clip{.name = "clip", .options = small_image_text_options()};
  auto& image = clip.options.image;
  image.class_token = true;
  image.global_pool = GlobalPool::kToken;
  image.pre_norm = true;
  image.patch_bias = false;
  TowersToExport siglip{.name = "siglip", .options = small_image_text_options()};
  siglip.options.image.global_pool = GlobalPool::kMap;
  siglip.options.image_projection = false;
  siglip.options.text = changed_texts([](TextOptions& texts) {
    texts.causal = false;
    texts.pool = TextPool::kLast;
    texts.embed_dim = 24;
    texts.projection_bias = true;
    texts.gelu = Activation::kGeluTanh;
  });
  std::vector<TowersToExport> towers{
      clip, siglip,
      of_texts("end_token", changed_texts([](TextOptions& texts) { texts.eot_token = 7; })),
      of_texts("first", changed_texts([](TextOptions& texts) { texts.pool = TextPool::kFirst; })),
      of_texts("mean_of_causal", changed_texts([](TextOptions& texts) {
                 texts.pool = TextPool::kMean;
                 texts.embed_dim = 0;
                 texts.dim = 18;
               }))};
  for (const auto* const router : {"soft", "soft_uniform", "uniform_soft", "uniform", "smear"}) {
    towers.push_back(of_texts(router, small_text_moe_options(router)));
  }
  return towers;
}

/// Writes both towers and their embeddings of random images and texts into `folder`.
void write_towers(const TemporaryFolder& folder, const TowersToExport& towers) {
  torch::manual_seed(11);
  ImageTextModel model(towers.options);
  enliven(model);
  model->eval();
  const torch::NoGradGuard no_grad;
  const auto weights = named_tensors(*model);
  ImageTextDescription description;
  description.name = towers.name;
  description.options = towers.options;
  const auto texts = small_texts();
  // Padding to the full context is whatever it is.
  const auto padded = more_padding(texts, towers.options.text.context - texts.ids.size(1), 28);
  const auto images = random_images(towers.options.image, 3);
  write_onnx(onnx_text_tower(description, weights, {}), folder / (towers.name + "_text.onnx"),
             ExternalData::kAuto);
  write_npz(folder / (towers.name + "_text.npz"),
            {{"ids_5", padded.ids},
             {"lengths_5", padded.lengths},
             {"embeddings_5", model->encode_text(texts.ids, texts.lengths)}});
  write_onnx(onnx_image_tower(description, weights, {}), folder / (towers.name + "_image.onnx"),
             ExternalData::kAuto);
  write_npz(folder / (towers.name + "_image.npz"),
            {{"images_3", images}, {"embeddings_3", model->encode_image(images)}});
}

TEST(OnnxTowers, GiveTheEmbeddingsOfOursInOnnxRuntime) {
  if (!peers_python()) {
    GTEST_SKIP() << kNoPeers;
  }
  const TemporaryFolder folder;
  const auto all = towers_to_export();
  for (const auto& towers : all) {
    write_towers(folder, towers);
  }
  const auto run = run_peer("onnx/onnx_runtimes.py", {folder.path().string()});
  ASSERT_EQ(run.exit_code, 0) << run.error;
  const auto results = Json::parse(run.output);
  ASSERT_EQ(results.size(), 2 * all.size());
  for (const auto& [name, result] : results.items()) {
    EXPECT_TRUE(result.at("complaint").is_null()) << name << result.at("complaint");
    const auto& errors = result.at("onnxruntime");
    EXPECT_FALSE(errors.contains("error")) << name << ": " << errors;
    for (const auto& [output, error] : errors.items()) {
      EXPECT_TRUE(error.is_number() && error.get<double>() <= 1e-5)
          << name << ", " << output << ": " << error;
    }
  }
}

TEST(OnnxTowers, RefuseTextsThatCompeteForExperts) {
  ImageTextDescription description;
  description.options = small_image_text_options();
  description.options.text = small_text_moe_options("tokens_choice");
  const auto weights = named_tensors(*make_image_text_model(description.options, 2));
  EXPECT_THAT(usage_error([&] { onnx_text_tower(description, weights, {}); }),
              HasSubstr("text-router: expected one that routes each text by itself"));
}

}  // namespace
}  // namespace softmoe::test
