/// The preprocessor_config.json of Hugging Face, in and out.

#include "checkpoints/convert/preprocessor.h"

#include <gmock/gmock.h>

#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Our options of a model of 224 px for `config`, over those of its family.
PreprocessOptions read(const Json& config, std::vector<std::string>& choices) {
  PreprocessOptions preprocess;
  preprocess.crop_pct = 1.0;
  read_preprocessor(config, "a.json", preprocess, choices);
  return preprocess;
}

/// Our options for a config that is followed in all.
PreprocessOptions read(const Json& config) {
  std::vector<std::string> choices;
  const auto preprocess = read(config, choices);
  EXPECT_THAT(choices, IsEmpty()) << config;
  return preprocess;
}

std::vector<std::string> choices_of(const Json& config) {
  std::vector<std::string> choices;
  read(config, choices);
  return choices;
}

std::string refusal(const Json& config) {
  return test::input_error([&] { choices_of(config); });
}

TEST(Preprocessor, TakesTheFiltersOfPil) {
  EXPECT_EQ(read({{"resample", 0}}).interpolation, Interpolation::kNearest);
  EXPECT_EQ(read({{"resample", 2}}).interpolation, Interpolation::kBilinear);
  EXPECT_EQ(read({{"resample", 3}}).interpolation, Interpolation::kBicubic);
  EXPECT_EQ(read({{"resample", 4}}).interpolation, Interpolation::kBox);
  EXPECT_THAT(choices_of({{"resample", 1}}), ElementsAre(HasSubstr("lanczos")));
  EXPECT_THAT(choices_of({{"resample", 5}}), ElementsAre(HasSubstr("hamming")));
  EXPECT_THAT(refusal({{"resample", 6}}), HasSubstr("a.json: resample: expected"));
}

TEST(Preprocessor, TakesSizesAndCrops) {
  const auto dinov2 = read({{"size", {{"shortest_edge", 256}}},
                            {"do_center_crop", true},
                            {"crop_size", {{"height", 224}, {"width", 224}}}});
  EXPECT_EQ(dinov2.crop, CropMode::kCenter);
  EXPECT_EQ(dinov2.crop_pct, 0.875);
  // Of CLIP's processor, one number is the shorter edge.
  const auto clip = read({{"image_processor_type", "CLIPImageProcessor"},
                          {"size", 249},
                          {"do_center_crop", true},
                          {"crop_size", 224}});
  EXPECT_EQ(std::floor(224 / clip.crop_pct), 249);
  EXPECT_EQ(read({{"size", {{"height", 224}, {"width", 224}}}}).crop, CropMode::kNone);
  EXPECT_EQ(read({{"size", 224}}).crop, CropMode::kNone);
  EXPECT_EQ(read(Json::object()).crop, CropMode::kAuto);
  EXPECT_EQ(read(nullptr).crop, CropMode::kAuto);
}

TEST(Preprocessor, SaysWhatOursDoesOtherwise) {
  const Json squeezed{
      {"size", {{"height", 256}, {"width", 256}}}, {"do_center_crop", true}, {"crop_size", 224}};
  EXPECT_THAT(choices_of(squeezed), ElementsAre(HasSubstr("squeezed to 256x256 px")));
  std::vector<std::string> choices;
  EXPECT_EQ(read(squeezed, choices).crop_pct, 0.875);
  EXPECT_THAT(choices_of({{"size", {{"shortest_edge", 224}}}, {"do_center_crop", false}}),
              ElementsAre(HasSubstr("do_center_crop is false")));
  EXPECT_THAT(choices_of({{"do_resize", false}}), ElementsAre(HasSubstr("do_resize is false")));
  EXPECT_THAT(choices_of({{"size", {{"shortest_edge", 224}}}, {"crop_size", 256}}),
              ElementsAre(HasSubstr("256 px from 224 px")));
}

TEST(Preprocessor, TakesNormalisationForWhiteAtOne) {
  const Json normal{{"image_mean", {0.1, 0.2, 0.3}}, {"image_std", {0.4, 0.5, 0.6}}};
  EXPECT_THAT(read(normal).mean, ElementsAre(0.1, 0.2, 0.3));
  EXPECT_THAT(read(normal).std, ElementsAre(0.4, 0.5, 0.6));
  auto config = normal;
  config["rescale_factor"] = 0.00392156862745098;
  EXPECT_THAT(read(config).std, ElementsAre(0.4, 0.5, 0.6));
  config["do_normalize"] = false;
  EXPECT_THAT(read(config).mean, ElementsAre(0.0));
  EXPECT_THAT(read(config).std, ElementsAre(1.0));
  // Pixels up to 2, and up to 255.
  config = normal;
  config["rescale_factor"] = 2.0 / 255.0;
  EXPECT_DOUBLE_EQ(read(config).mean[1], 0.1);
  EXPECT_DOUBLE_EQ(read(config).std[2], 0.3);
  config = {{"do_rescale", false}, {"do_normalize", false}};
  EXPECT_THAT(read(config).mean, ElementsAre(0.0));
  EXPECT_DOUBLE_EQ(read(config).std[0], 1.0 / 255.0);
}

TEST(Preprocessor, RefusesValuesThatMakeNoSense) {
  EXPECT_THAT(refusal({{"size", 0}}), HasSubstr("a.json: size: expected 1 to 65536 px, found 0"));
  EXPECT_THAT(refusal({{"size", {{"shortest_edge", -3}}}}), HasSubstr("size"));
  EXPECT_THAT(refusal({{"crop_size", 100000}}), HasSubstr("crop_size"));
  EXPECT_THAT(refusal({{"rescale_factor", 0}}), HasSubstr("rescale_factor"));
  EXPECT_THAT(refusal({{"resample", "bicubic"}}), HasSubstr("resample: expected a filter of PIL"));
  EXPECT_THAT(refusal({{"image_mean", "x"}}), HasSubstr("image_mean: expected a list of numbers"));
  EXPECT_THAT(refusal({{"do_normalize", 1.5}}), HasSubstr("do_normalize: expected true or false"));
  EXPECT_THAT(refusal(Json::array()), HasSubstr("a.json: expected an object, found []"));
}

TEST(Preprocessor, WritesWhatItReads) {
  ModelDescription description;
  for (const auto interpolation : {Interpolation::kNearest, Interpolation::kBilinear,
                                   Interpolation::kBicubic, Interpolation::kBox}) {
    for (const auto mode : {CropMode::kNone, CropMode::kCenter}) {
      auto& preprocess = description.preprocess.emplace();
      preprocess.mean = {0.1, 0.2, 0.3};
      preprocess.std = {0.4};
      preprocess.interpolation = interpolation;
      preprocess.crop_pct = mode == CropMode::kNone ? 1.0 : 0.875;
      preprocess.crop = mode;
      const auto back = read(huggingface_preprocessor(description));
      EXPECT_EQ(back.mean, preprocess.mean);
      EXPECT_THAT(back.std, ElementsAre(0.4, 0.4, 0.4));
      EXPECT_EQ(back.interpolation, interpolation);
      EXPECT_EQ(back.crop_pct, preprocess.crop_pct);
      EXPECT_EQ(back.crop, mode);
    }
  }
  // From 64 px on, images are cropped unless the options say otherwise.
  description.preprocess->crop = CropMode::kAuto;
  EXPECT_EQ(read(huggingface_preprocessor(description)).crop, CropMode::kCenter);
  description.options.img_size = {32};
  description.preprocess->input_size = {3, 32, 32};
  EXPECT_EQ(read(huggingface_preprocessor(description)).crop, CropMode::kNone);
}

}  // namespace
}  // namespace softmoe
