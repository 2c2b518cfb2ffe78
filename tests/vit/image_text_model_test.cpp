#include "vit/image_text_model.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "support/tensor_matcher.h"
#include "vit/image_text_zoo.h"
#include "vit/small_texts.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

ImageTextModel small_model(const ImageTextOptions& options) {
  torch::manual_seed(10);
  ImageTextModel model(options);
  test::enliven(model);
  model->eval();
  return model;
}

TEST(ImageTextModel, EmbedsImagesAndTextsAtLengthOne) {
  auto model = small_model(test::small_image_text_options());
  const torch::NoGradGuard no_grad;
  const auto texts = test::small_texts();
  const auto images = test::random_images(model->options().image, 4);
  const auto of_images = model->encode_image(images);
  const auto of_texts = model->encode_text(texts.ids, texts.lengths);
  EXPECT_EQ(of_images.sizes(), (std::vector<int64_t>{4, 18}));
  EXPECT_EQ(of_texts.sizes(), (std::vector<int64_t>{5, 18}));
  for (const auto& embeddings : {of_images, of_texts}) {
    EXPECT_EQ(embeddings.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(test::all_close(embeddings.norm(2, 1), torch::ones({embeddings.size(0)})));
  }
  const auto features = model->image->forward_features(images);
  EXPECT_TRUE(test::same_bits(model->embed_features(features), of_images));
  const auto logits = model->logits(of_images, of_texts);
  EXPECT_TRUE(test::all_close(logits, of_images.matmul(of_texts.t()) / 0.07,
                              test::Tolerance{.absolute = 1e-5}));
}

TEST(ImageTextModel, HasALogitBiasOnlyIfItIsAskedFor) {
  auto options = test::small_image_text_options();
  options.has_logit_bias = true;
  options.logit_scale = 10.0;
  auto model = small_model(options);
  const torch::NoGradGuard no_grad;
  model->logit_bias.fill_(-10.0);
  const auto unit = torch::eye(3, 18);
  EXPECT_TRUE(test::all_close(model->logits(unit, unit), 10.0 * torch::eye(3) - 10.0,
                              test::Tolerance{.absolute = 1e-5}));
  EXPECT_FALSE(small_model(test::small_image_text_options())->logit_bias.defined());
}

TEST(ImageTextOptions, RefuseTowersOfDifferentWidthsWithoutAProjection) {
  auto options = test::small_image_text_options();
  options.image_projection = false;
  EXPECT_THAT(test::usage_error([&] { ImageTextModel model(options); }),
              HasSubstr("image-projection"));
  options.text.embed_dim = options.image.dim;
  EXPECT_NO_THROW(ImageTextModel model(options));
  options.image.num_classes = 3;
  EXPECT_THAT(test::usage_error([&] { validate(options); }), HasSubstr("num-classes"));
}

TEST(ImageTextOptions, SurviveTheirTable) {
  auto options = test::small_image_text_options();
  options.text = test::small_text_moe_options();
  options.image = test::small_moe_options();
  options.image.num_classes = 0;
  options.logit_bias = -3.0;
  const auto json = options_to_json(options);
  EXPECT_EQ(json.at("text-dim"), 48);
  EXPECT_EQ(json.at("dim"), 24);
  EXPECT_EQ(options_from_json<ImageTextOptions>(json, "test"), options);
}

TEST(ImageTextZoo, HasValidModelsOfBothKinds) {
  for (const auto& name : image_text_zoo_names()) {
    EXPECT_TRUE(is_image_text_name(name)) << name;
    EXPECT_FALSE(is_model_name(name)) << name;
    EXPECT_NO_THROW(validate(image_text_preset(name))) << name;
  }
  EXPECT_FALSE(is_image_text_name("vit_b16"));
  EXPECT_FALSE(is_image_text_name("clip_vit_base_patch16_224"));
  EXPECT_THAT(test::usage_error([] { image_text_preset("clip_vit_b61"); }),
              HasSubstr("clip_vit_b16"));
}

TEST(ImageTextZoo, HasTheSizesOfPublishedModels) {
  const auto clip = image_text_preset("clip_vit_l14");
  EXPECT_EQ(clip.image.dim, 1024);
  EXPECT_EQ(clip.text.dim, 768);
  EXPECT_EQ(clip.text.heads, 12);
  EXPECT_EQ(clip.embedding_dim(), 768);
  EXPECT_TRUE(clip.image.pre_norm);
  const auto siglip = image_text_preset("siglip_softmoe_b16_32e");
  EXPECT_EQ(siglip.image.moe.experts, 32);
  EXPECT_EQ(siglip.image.global_pool, GlobalPool::kMap);
  EXPECT_EQ(siglip.text.dim, 768);
  EXPECT_EQ(siglip.text.context, 64);
  EXPECT_FALSE(siglip.image_projection);
  EXPECT_TRUE(siglip.has_logit_bias);
}

}  // namespace
}  // namespace softmoe
