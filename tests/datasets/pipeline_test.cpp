#include "datasets/pipeline.h"

#include <gmock/gmock.h>

#include "datasets/transforms.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

using test::usage_error;
using testing::HasSubstr;

/// The options that `text` sets.
PreprocessOptions options_of(const std::string& text) {
  PreprocessOptions options;
  auto steps = parse_pipeline(text);
  apply_image_steps(steps, options);
  EXPECT_TRUE(steps.empty());
  return options;
}

TEST(Pipeline, ReadsBigVisionsStyle) {
  const auto options = options_of("inception_crop(224)|flip_lr|randaug(2,15)|value_range(-1, 1)");
  EXPECT_EQ(options.train_crop, CropMode::kInception);
  EXPECT_EQ(options.input_size, (std::vector<int64_t>{3, 224, 224}));
  EXPECT_EQ(options.hflip, 0.5);
  EXPECT_EQ(options.augment.aa, "rand-m15-n2");
  EXPECT_EQ(options.mean, std::vector<double>{0.5});
  EXPECT_EQ(options.std, std::vector<double>{0.5});
}

class PipelineText : public testing::TestWithParam<std::string> {};

TEST_P(PipelineText, IsReadAsItWasWritten) {
  EXPECT_EQ(Transform::training(options_of(GetParam())).text(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Written, PipelineText,
    testing::Values(
        "to_gray|resize(28)|value_range(-1,1)", "resize(8x9,nearest)|value_range(0,255)",
        "inception_crop(96x64,area=0.25-1,ratio=0.5-2,bicubic)|flip_lr(0.25)|value_range(0,1)",
        "center_crop(64,0.9,box)|normalize(0.485 0.456 0.406,0.229 0.224 0.225)",
        "resize(32)|padded_crop(4)|flip_lr|value_range(-1,1)",
        "resize(32)|flip_lr|flip_ud|grayscale(0.1)|value_range(-1,1)",
        "resize(32)|flip_ud(0.25)|value_range(-1,1)",
        "inception_crop(224)|randaug(2,9,mstd=0.5,inc)|value_range(-1,1)|random_erase(0.25,pixel)",
        "inception_crop(224)|randaug(3,9,mstd=inf,p=0.25,mmax=12,3a)|color_jitter(0.3,0.2,0.1)|"
        "value_range(-1,1)",
        "inception_crop(64)|augmix(5,width=4,depth=2,alpha=1)|value_range(-1,1)",
        "inception_crop(64)|augmix(3,width=3,depth=1-3,alpha=0.5,mstd=1)|value_range(-1,1)",
        "inception_crop(64)|autoaug(originalr,mstd=0.5)|grayscale(0.1)|value_range(-1,1)",
        "inception_crop(64)|trivialaug(wide)|gaussian_blur(0.5)|value_range(-1,1)|"
        "random_erase(0.1,const,count=3)",
        "decode_scaled_jpeg|inception_crop(64)|color_jitter(0.4,p=0.8)|value_range(-1,1)"),
    [](const auto& test_case) { return "Case" + std::to_string(test_case.index); });

TEST(Pipeline, StepsThatAreMissingAreOff) {
  PreprocessOptions options;
  options.hflip = 0.5;
  options.augment.reprob = 0.25;
  options.augment.aug_repeats = 3;
  auto steps = parse_pipeline("resize(32)|mixup(0.2)");
  apply_image_steps(steps, options);
  EXPECT_EQ(options.hflip, 0.0);
  EXPECT_EQ(options.augment.reprob, 0.0);
  EXPECT_EQ(options.augment.aug_repeats, 3);  // no step of an image
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].name, "mixup");
}

TEST(Pipeline, NamesTheStepThatIsWrong) {
  const auto error = [](const std::string& text) {
    return usage_error([&] {
      PreprocessOptions options;
      auto steps = parse_pipeline(text);
      apply_image_steps(steps, options);
      check_pipeline(steps, options, {"mixup"});
    });
  };
  EXPECT_THAT(error("resize(32)|flip_rl"), HasSubstr("found 'flip_rl', did you mean flip_lr?"));
  EXPECT_THAT(error("resize(32"), HasSubstr("found 'resize(32'"));
  EXPECT_EQ(error("resize(big)"),
            "--pp: resize: expected a number from -1e+06 to 1e+06, found 'big'");
  EXPECT_THAT(error("resize"), HasSubstr("--pp: resize: expected a number"));
  EXPECT_THAT(error("resize(32.5)"), HasSubstr("a size such as 224 or 96x64, found '32.5'"));
  EXPECT_THAT(error("resize(32,cubic)"), HasSubstr("one of bilinear, bicubic, box, nearest"));
  EXPECT_THAT(error("flip_lr(2)|resize(3)"), HasSubstr("from 0 to 1, found '2'"));
  EXPECT_THAT(error("flip_lr|resize(3)"), HasSubstr("--pp: resize: expected before flip_lr"));
  EXPECT_THAT(error("flip_lr|flip_lr"), HasSubstr("only one of them"));
  EXPECT_THAT(error("padded_crop(4)"), HasSubstr("resize(SIZE) before it"));
  EXPECT_THAT(error("resize(32)|randaug(2,9,speed=3)"), HasSubstr("no argument of that name"));
  EXPECT_THAT(error("resize(32)|flip_lr(0.5,3)"), HasSubstr("no further argument, found '3'"));
  EXPECT_THAT(error("resize(32)|randaug(2,9,fast)"), HasSubstr("tfast"));
  EXPECT_THAT(error("resize(32)|value_range(1,-1)"), HasSubstr("LOW,HIGH"));
  EXPECT_THAT(error("flip_lr"), HasSubstr("expected a crop such as inception_crop(224)"));
  EXPECT_THAT(error("||"), HasSubstr("found ''"));
}

}  // namespace
}  // namespace softmoe
