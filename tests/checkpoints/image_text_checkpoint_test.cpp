#include "checkpoints/image_text_checkpoint.h"

#include <gmock/gmock.h>

#include "checkpoints/image_tower.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/square_models.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

ImageTextDescription small_image_text() {
  ImageTextDescription description;
  description.name = "clip_small";
  description.options = test::small_image_text_options();
  description.options.text = test::small_text_moe_options();
  description.preprocess = default_preprocess(description.options.image);
  description.tokenizer = {.kind = "bytes", .data = std::string("\0\xff text", 7)};
  description.resize_mode = PositionResize::kBicubic;
  return description;
}

TEST(ImageTextCheckpoint, KeepsModelOptionsPixelsAndTokenizer) {
  const test::TemporaryFolder folder;
  const auto path = folder / "model.h5";
  const auto description = small_image_text();
  auto model = make_image_text_model(description.options, /*seed=*/3);
  model->eval();
  save_checkpoint(path, image_text_checkpoint(model, description));
  EXPECT_TRUE(is_image_text_checkpoint(path));
  auto loaded = load_image_text(path);
  EXPECT_EQ(loaded.description.name, description.name);
  EXPECT_EQ(loaded.description.options, description.options);
  EXPECT_EQ(loaded.description.preprocess, description.preprocess);
  EXPECT_EQ(loaded.description.tokenizer, description.tokenizer);
  EXPECT_EQ(loaded.description.resize_mode, description.resize_mode);
  test::expect_same_tensors(named_tensors(*loaded.model), named_tensors(*model));
  const torch::NoGradGuard no_grad;
  const auto texts = test::small_texts();
  EXPECT_TRUE(test::same_bits(loaded.model->encode_text(texts.ids, texts.lengths),
                              model->encode_text(texts.ids, texts.lengths)));
}

TEST(ImageTextCheckpoint, NeedsNoTokenizer) {
  const test::TemporaryFolder folder;
  auto description = small_image_text();
  description.tokenizer = {};
  save_checkpoint(
      folder / "model.h5",
      image_text_checkpoint(make_image_text_model(description.options, 3), description));
  EXPECT_EQ(load_image_text(folder / "model.h5").description.tokenizer, StoredTokenizer{});
}

TEST(ImageTextCheckpoint, GivesItsImageTowerAsAModelOfImages) {
  const test::TemporaryFolder folder;
  auto description = small_image_text();
  description.name = "siglip_softmoe_ti16";
  auto model = make_image_text_model(description.options, 3);
  model->eval();
  auto checkpoint = image_text_checkpoint(model, description);
  checkpoint.optimizer = {{"exp_avg/image.norm.weight", torch::ones({2})},
                          {"exp_avg/text.norm.weight", torch::ones({3})}};
  save_checkpoint(folder / "both.h5", checkpoint);
  const auto tower = load_image_checkpoint(folder / "both.h5");
  ASSERT_EQ(tower.optimizer.size(), 1U);
  EXPECT_EQ(tower.optimizer.begin()->first, "exp_avg/norm.weight");
  EXPECT_TRUE(tower.tokenizer.empty());
  EXPECT_EQ(load_image_metadata(folder / "both.h5"), tower.metadata);
  auto loaded = load_model(folder / "both.h5");
  EXPECT_EQ(loaded.description.name, "softmoe_ti16");
  EXPECT_EQ(loaded.description.preprocess, description.preprocess);
  const torch::NoGradGuard no_grad;
  const auto& image = description.options.image;
  const auto pictures =
      torch::randn({2, image.in_chans, image.image_height(), image.image_width()});  // [batch, ...]
  EXPECT_TRUE(test::same_bits(loaded.model->forward_features(pictures),
                              model->image->forward_features(pictures)));
}

TEST(ImageTextCheckpoint, IsNoModelOfImagesAlone) {
  const test::TemporaryFolder folder;
  const ModelDescription images{
      .name = "small", .options = test::small_options(), .class_names = {}, .preprocess = {}};
  save_checkpoint(folder / "images.h5",
                  {.metadata = to_metadata(images),
                   .model = named_tensors(*test::lively_model(images.options))});
  EXPECT_FALSE(is_image_text_checkpoint(folder / "images.h5"));
  EXPECT_THAT(test::input_error([&] { load_image_text(folder / "images.h5"); }),
              HasSubstr("expected a model of images and texts"));
}

TEST(ImageTextDescription, NamesTheFieldThatIsWrong) {
  auto metadata = to_metadata(small_image_text());
  metadata[kImageTextKey]["text-heads"] = 5;
  EXPECT_THAT(test::input_error([&] { image_text_description(metadata, "tiny.h5"); }),
              HasSubstr("tiny.h5: text-dim"));
  metadata = to_metadata(small_image_text());
  metadata.erase("tokenizer");
  EXPECT_THAT(test::input_error([&] { image_text_description(metadata, "tiny.h5"); }),
              HasSubstr("metadata field 'tokenizer'"));
}

TEST(StoredTokenizer, RefusesDataThatAreNotBytes) {
  EXPECT_THAT(test::input_error([] {
                tokenizer_data({{"data", torch::zeros({2, 2})}}, "tiny.h5");
              }),
              HasSubstr("tiny.h5: tokenizer"));
}

}  // namespace
}  // namespace softmoe
