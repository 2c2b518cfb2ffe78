#include "inference/image_text_inference.h"

#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "inference/packed/packed_errors.h"
#include "vit/image_text_model.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

ImageTextModel lively_pair(const ImageTextOptions& options) {
  torch::manual_seed(4);
  ImageTextModel model(options);
  test::enliven(model);
  model->eval();
  return model;
}

TEST(ImageTextInference, EmbedsAsTheModulesDo) {
  auto options = test::small_image_text_options();
  options.text = test::small_text_moe_options();
  options.has_logit_bias = true;
  auto model = lively_pair(options);
  const auto images = test::random_images(options.image, /*batch=*/3);
  const auto texts = test::small_texts();
  const torch::NoGradGuard no_grad;
  const auto of_images = model->encode_image(images);                  // [images, dim]
  const auto of_texts = model->encode_text(texts.ids, texts.lengths);  // [texts, dim]
  for (const auto precision : test::kPackedPrecisions) {
    ImageTextInference engine(options, named_tensors(*model), "model", precision);
    const auto bound = test::packed_error(precision);
    EXPECT_LT(test::relative_error(engine.encode_image(images), of_images), bound);
    EXPECT_LT(test::relative_error(engine.encode_text(texts.ids, texts.lengths), of_texts), bound);
    EXPECT_LT(test::relative_error(engine.logits(of_images, of_texts),
                                   model->logits(of_images, of_texts)),
              1e-6);
  }
}

TEST(ImageTextInference, RunsModulesForTowersThatCannotBePacked) {
  auto options = test::small_image_text_options();
  options.text = test::small_text_moe_options();
  auto model = lively_pair(options);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    if (parameter.key() == "text.blocks.1.moe.router.scale") {
      parameter.value().fill_(90.0);  // powers of such logits overflow
    }
  }
  const auto texts = test::small_texts();
  ImageTextInference engine(options, named_tensors(*model), "model", Precision::kFloat32);
  EXPECT_FALSE(engine.is_packed());
  EXPECT_LT(test::relative_error(engine.encode_text(texts.ids, texts.lengths),
                                 model->encode_text(texts.ids, texts.lengths)),
            1e-6);
  EXPECT_THROW(ImageTextInference(options, named_tensors(*model), "model", Precision::kInt8),
               UsageError);
}

TEST(ImageTextInference, NamesTheTensorsThatAreMissing) {
  const auto options = test::small_image_text_options();
  auto weights = named_tensors(*lively_pair(options));
  weights.erase("text.token_embed");
  try {
    ImageTextInference(options, weights, "pair.h5", Precision::kFloat32);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("text.token_embed"), std::string::npos);
  }
}

}  // namespace
}  // namespace softmoe
