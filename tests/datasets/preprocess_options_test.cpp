#include "datasets/preprocess_options.h"

#include <gmock/gmock.h>

#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

TEST(PreprocessOptions, SurviveTheirJson) {
  PreprocessOptions options;
  options.input_size = {1, 40, 28};
  options.train_crop = CropMode::kPadded;
  options.mean = {0.25};
  options.interpolation = Interpolation::kBicubic;
  options.augment = {.aa = "rand-m9",
                     .color_jitter = {0.1, 0.2, 0.3},
                     .color_jitter_prob = 0.5,
                     .grayscale_prob = 0.25,
                     .gaussian_blur_prob = 0.125,
                     .reprob = 0.75,
                     .remode = EraseMode::kRand,
                     .recount = 2,
                     .aug_repeats = 3};
  EXPECT_EQ(options_from_json<PreprocessOptions>(options_to_json(options), "test"), options);
}

TEST(PreprocessOptions, CropLargeImagesUnlessTheySayOtherwise) {
  PreprocessOptions options;
  options.input_size = {3, 64, 28};
  EXPECT_EQ(options.training_crop(), CropMode::kInception);
  EXPECT_EQ(options.evaluation_crop(), CropMode::kCenter);
  options.input_size = {3, 63, 28};
  EXPECT_EQ(options.training_crop(), CropMode::kNone);
  EXPECT_EQ(options.evaluation_crop(), CropMode::kNone);
  options.train_crop = CropMode::kPadded;
  options.crop = CropMode::kCenter;
  EXPECT_EQ(options.training_crop(), CropMode::kPadded);
  EXPECT_EQ(options.evaluation_crop(), CropMode::kCenter);
}

TEST(PreprocessOptions, NormalizeByOneValueOrOnePerChannel) {
  PreprocessOptions options;
  options.mean = {0.1, 0.2, 0.3, 0.4, 0.5};
  EXPECT_NO_THROW(check_normalization(options, 5));
  EXPECT_EQ(test::usage_error([&] { check_normalization(options, 3); }),
            "mean: expected one or 3 values, found '0.1 0.2 0.3 0.4 0.5'");
  options.mean = {0.5};
  options.std = {0.0};
  EXPECT_THAT(test::usage_error([&] { check_normalization(options, 1); }),
              HasSubstr("std: expected one value above 0, found '0'"));
}

}  // namespace
}  // namespace softmoe
