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
Json read(const Json& config, std::vector<std::string>& choices) {
  Json preprocess{{"input-size", {3, 224, 224}},
                  {"mean", {0.5}},
                  {"std", {0.5}},
                  {"interpolation", "bilinear"},
                  {"crop-pct", 1.0}};
  read_preprocessor(config, "a.json", preprocess, choices);
  return preprocess;
}

/// The same of configs that ours can follow.
Json read(const Json& config) {
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
  EXPECT_EQ(read({{"resample", 0}}).at("interpolation"), "nearest");
  EXPECT_EQ(read({{"resample", 2}}).at("interpolation"), "bilinear");
  EXPECT_EQ(read({{"resample", 3}}).at("interpolation"), "bicubic");
  EXPECT_EQ(read({{"resample", 4}}).at("interpolation"), "box");
  EXPECT_THAT(choices_of({{"resample", 1}}), ElementsAre(HasSubstr("lanczos")));
  EXPECT_THAT(choices_of({{"resample", 5}}), ElementsAre(HasSubstr("hamming")));
  EXPECT_THAT(refusal({{"resample", 6}}), HasSubstr("a.json: resample: expected"));
}

TEST(Preprocessor, TakesSizesAndCrops) {
  const auto dinov2 = read({{"size", {{"shortest_edge", 256}}},
                            {"do_center_crop", true},
                            {"crop_size", {{"height", 224}, {"width", 224}}}});
  EXPECT_EQ(dinov2.at("crop-mode"), "center");
  EXPECT_EQ(dinov2.at("crop-pct"), 0.875);
  // Of CLIP's processor, one number is the shorter edge.
  const auto clip = read({{"image_processor_type", "CLIPImageProcessor"},
                          {"size", 249},
                          {"do_center_crop", true},
                          {"crop_size", 224}});
  EXPECT_EQ(std::floor(224 / clip.at("crop-pct").get<double>()), 249);
  EXPECT_EQ(read({{"size", {{"height", 224}, {"width", 224}}}}).at("crop-mode"), "none");
  EXPECT_EQ(read({{"size", 224}}).at("crop-mode"), "none");
  EXPECT_FALSE(read(Json::object()).contains("crop-mode"));
  EXPECT_FALSE(read(nullptr).contains("crop-mode"));
}

TEST(Preprocessor, SaysWhatOursDoesOtherwise) {
  const Json squeezed{
      {"size", {{"height", 256}, {"width", 256}}}, {"do_center_crop", true}, {"crop_size", 224}};
  EXPECT_THAT(choices_of(squeezed), ElementsAre(HasSubstr("squeezed to 256x256 px")));
  std::vector<std::string> choices;
  EXPECT_EQ(read(squeezed, choices).at("crop-pct"), 0.875);
  EXPECT_THAT(choices_of({{"size", {{"shortest_edge", 224}}}, {"do_center_crop", false}}),
              ElementsAre(HasSubstr("do_center_crop is false")));
  EXPECT_THAT(choices_of({{"do_resize", false}}), ElementsAre(HasSubstr("do_resize is false")));
  EXPECT_THAT(choices_of({{"size", {{"shortest_edge", 224}}}, {"crop_size", 256}}),
              ElementsAre(HasSubstr("256 px from 224 px")));
}

TEST(Preprocessor, TakesNormalisationForWhiteAtOne) {
  const Json normal{{"image_mean", {0.1, 0.2, 0.3}}, {"image_std", {0.4, 0.5, 0.6}}};
  EXPECT_EQ(read(normal).at("mean"), normal.at("image_mean"));
  EXPECT_EQ(read(normal).at("std"), normal.at("image_std"));
  auto config = normal;
  config["rescale_factor"] = 0.00392156862745098;
  EXPECT_EQ(read(config).at("std"), normal.at("image_std"));
  config["do_normalize"] = false;
  EXPECT_EQ(read(config).at("mean"), Json({0.0}));
  EXPECT_EQ(read(config).at("std"), Json({1.0}));
  // Pixels up to 2, and up to 255.
  config = normal;
  config["rescale_factor"] = 2.0 / 255.0;
  EXPECT_DOUBLE_EQ(read(config).at("mean")[1], 0.1);
  EXPECT_DOUBLE_EQ(read(config).at("std")[2], 0.3);
  config = {{"do_rescale", false}, {"do_normalize", false}};
  EXPECT_EQ(read(config).at("mean"), Json({0.0}));
  EXPECT_DOUBLE_EQ(read(config).at("std")[0], 1.0 / 255.0);
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
  description.options.img_size = {224};
  for (const auto* interpolation : {"nearest", "bilinear", "bicubic", "box"}) {
    for (const auto* mode : {"none", "center"}) {
      description.preprocess = {{"mean", {0.1, 0.2, 0.3}},
                                {"std", {0.4}},
                                {"interpolation", interpolation},
                                {"crop-pct", mode == std::string("none") ? 1.0 : 0.875},
                                {"crop-mode", mode}};
      const auto back = read(huggingface_preprocessor(description));
      EXPECT_EQ(back.at("mean"), description.preprocess.at("mean"));
      EXPECT_EQ(back.at("std"), Json({0.4, 0.4, 0.4}));
      for (const auto* name : {"interpolation", "crop-pct", "crop-mode"}) {
        EXPECT_EQ(back.at(name), description.preprocess.at(name)) << interpolation << mode;
      }
    }
  }
  // From 64 px on, images are cropped unless the options say otherwise.
  description.preprocess.erase("crop-mode");
  EXPECT_EQ(read(huggingface_preprocessor(description)).at("crop-mode"), "center");
  description.options.img_size = {32};
  EXPECT_EQ(read(huggingface_preprocessor(description)).at("crop-mode"), "none");
}

}  // namespace
}  // namespace softmoe
