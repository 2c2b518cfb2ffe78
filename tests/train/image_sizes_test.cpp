#include "train/image_sizes.h"

#include <gmock/gmock.h>

#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"
#include "train/training_data.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::Corners;
using testing::HasSubstr;

VitOptions square_model() {
  auto model = test::small_options();
  model.img_size = {32};
  model.patch_size = 8;
  return model;
}

std::vector<ImageSizeStage> stages_of(const std::string& text,
                                      const VitOptions& model = square_model()) {
  TrainOptions options;
  options.image_size_schedule = text;
  return image_size_stages(options, model);
}

TEST(ImageSizes, ChangeAtSharesOfTheRun) {
  EXPECT_TRUE(stages_of("").empty());
  EXPECT_EQ(image_size_at({}, 3, 10), 0);
  const auto stages = stages_of("8@0, 16@0.4,32@0.75");
  std::vector<int64_t> sizes;
  for (int64_t step = 0; step < 10; ++step) {
    sizes.push_back(image_size_at(stages, step, 10));
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{8, 8, 8, 8, 16, 16, 16, 16, 32, 32}));
}

TEST(ImageSizes, RefuseWhatCannotBe) {
  const auto error = [](const std::string& text) {
    return test::usage_error([&] { stages_of(text); });
  };
  for (const std::string text : {"16", "16@", "@0", "16@x", "-8@0", "16@1", "8.5@0", "16@0@1"}) {
    EXPECT_THAT(error(text), HasSubstr("--image-size-schedule: expected SIZE@SHARE,")) << text;
  }
  EXPECT_THAT(error("16@0.1,32@0.5"), HasSubstr("shares that begin at 0 and grow, found 0.1"));
  EXPECT_THAT(error("16@0,24@0.5,32@0.5"), HasSubstr("grow, found 0.5"));
  EXPECT_THAT(error("20@0,32@0.5"), HasSubstr("multiples of --patch-size 8 up to --img-size 32"));
  EXPECT_THAT(error("40@0,32@0.5"), HasSubstr("found 40"));
  EXPECT_THAT(error("8@0,16@0.5"), HasSubstr("--img-size 32 as the last size, found 16"));
  auto model = square_model();
  model.img_size = {32, 16};
  EXPECT_THAT(test::usage_error([&] { stages_of("8@0,32@0.5", model); }),
              HasSubstr("a model of square images, found 32 x 16"));
  TrainOptions timed;
  timed.image_size_schedule = "16@0,32@0.5";
  timed.max_time = {60.0};
  EXPECT_THAT(test::usage_error([&] { image_size_stages(timed, square_model()); }),
              HasSubstr("found --max-time"));
}

TEST(ImageSizes, AreTriedBeforeARun) {
  for (const std::string router : {"soft", "experts_choice", "hash_block"}) {
    auto options = test::small_moe_options(router);
    options.img_size = {32};
    options.patch_size = 8;
    auto model = test::lively_model(options);
    model->set_any_image_size(true);
    const auto stages = stages_of("8@0,32@0.5", options);
    if (router == "hash_block") {
      EXPECT_THAT(test::usage_error([&] { try_image_sizes(model, stages); }),
                  HasSubstr("any number of tokens, found hash_block, which refuses images of 8"));
    } else {
      try_image_sizes(model, stages);
    }
  }
}

TEST(AnyImageSize, OfTheOptionsChangesNoBit) {
  const auto options = square_model();
  auto model = test::lively_model(options);
  const auto images = test::random_images(options, 3);
  const auto expected = model->forward(images);
  model->set_any_image_size(true);
  EXPECT_TRUE(test::same_bits(model->forward(images), expected));
}

TEST(AnyImageSize, InterpolatesPositionsAndTheirGradients) {
  const auto options = square_model();
  auto model = test::lively_model(options);
  const auto images = torch::randn({2, options.in_chans, 16, 24});
  EXPECT_THROW(model->forward(images), c10::ValueError);
  model->set_any_image_size(true);
  EXPECT_THROW(model->forward(torch::randn({2, options.in_chans, 16, 20})), c10::ValueError);
  const auto logits = model->forward(images);

  auto small_options = options;
  small_options.img_size = {16, 24};
  auto small = test::lively_model(small_options);
  const torch::NoGradGuard no_grad;
  auto others = small->named_parameters();
  for (const auto& item : model->named_parameters()) {
    auto& other = others[item.key()];
    other.copy_(item.key() == "pos_embed"
                    ? resize_position_embedding(item.value(), options.prefix_positions(), {4, 4},
                                                {2, 3}, PositionResize::kBicubicAntialias)
                    : item.value());
  }
  EXPECT_TRUE(test::all_close(small->forward(images), logits.detach()));
  {
    const torch::AutoGradMode with_gradients(true);
    logits.square().sum().backward();
  }
  const auto gradient = model->named_parameters()["pos_embed"].grad();
  EXPECT_GT(gradient.abs().min().item<double>(), 0.0);
}

TEST(ImageSizes, RunsResumeToTheSameBits) {
  auto run = test::tiny_run();
  run.model.img_size = {16};
  fit_preprocessing(run.preprocess, run.model);
  run.preprocess.hflip = 0.5;
  run.train.image_size_schedule = "8@0,12@0.3,16@0.75";
  const test::TemporaryFolder whole;
  const Corners train(60);
  const Corners val(20);
  const auto result = test::train(run, whole.path(), train, val);
  EXPECT_EQ(result.steps, 15);
  const auto metrics = read_text_file(whole / "metrics.jsonl");
  EXPECT_THAT(metrics, testing::AllOf(HasSubstr("\"image_size\":8"), HasSubstr("\"image_size\":12"),
                                      HasSubstr("\"image_size\":16")));
  for (const int64_t stop : {30, 80, 150}) {
    Corners stopping(60);
    stopping.interrupt_after(stop);
    test::expect_resumes(run, whole.path(), {stopping, val}, {train, val});
  }
}

}  // namespace
}  // namespace softmoe
