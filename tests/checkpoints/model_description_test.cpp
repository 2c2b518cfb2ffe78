#include "checkpoints/model_description.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

ModelDescription small_description() {
  ModelDescription description{.name = "small",
                               .options = test::small_options(),
                               .class_names = {"ant", "bee"},
                               .preprocess = default_preprocess(test::small_options()),
                               .likelihood = Likelihood::kSigmoid,
                               .resize_mode = PositionResize::kBicubic};
  description.preprocess->mean = {0.1, 0.2, 0.3};
  description.preprocess->interpolation = Interpolation::kBox;
  return description;
}

/// The refusal of metadata whose field `name` is `value`.
std::string reading_error(const std::string& name, const Json& value) {
  auto metadata = to_metadata(small_description());
  metadata[name] = value;
  return test::input_error([&] { model_description(metadata, "tiny.h5"); });
}

TEST(ModelDescription, KeepsEveryLikelihoodUnderTheNameOfItsLoss) {
  for (const auto& [likelihood, name] : kEnumNames<Likelihood>) {
    auto description = small_description();
    description.likelihood = likelihood;
    const auto metadata = to_metadata(description);
    EXPECT_EQ(metadata.at("loss"), name);
    EXPECT_EQ(model_description(metadata, "model.h5").likelihood, likelihood);
  }
}

TEST(ModelDescription, SurvivesItsMetadata) {
  const auto metadata = to_metadata(small_description());
  const auto read = model_description(metadata, "tiny.h5");
  EXPECT_EQ(read.preprocess, small_description().preprocess);
  EXPECT_EQ(read.options, small_description().options);
  EXPECT_EQ(read.resize_mode, PositionResize::kBicubic);
  EXPECT_EQ(to_metadata(read), metadata);
}

TEST(ModelDescription, TakesPreprocessingInPartAndNone) {
  auto metadata = to_metadata(small_description());
  metadata["preprocess"] = {{"input-size", {3, 8, 12}}, {"std", {0.25}}};
  const auto part = model_description(metadata, "tiny.h5").preprocess.value();
  EXPECT_EQ(part.std, std::vector<double>{0.25});
  EXPECT_EQ(part.crop_pct, PreprocessOptions{}.crop_pct);
  metadata["preprocess"] = nullptr;
  const auto none = model_description(metadata, "tiny.h5");
  EXPECT_FALSE(none.preprocess);
  EXPECT_TRUE(to_metadata(none).at("preprocess").is_null());
}

TEST(ModelDescription, NamesTheCheckpointWithBadPreprocessing) {
  EXPECT_EQ(reading_error("preprocess", {{"no-such-step", 1}}),
            "tiny.h5: preprocess: unknown option 'no-such-step'");
  EXPECT_THAT(reading_error("preprocess", {{"std", {0.0}}}),
              HasSubstr("tiny.h5: preprocess: std: expected at least 1e-09"));
  EXPECT_EQ(reading_error("preprocess", 5),
            "tiny.h5: preprocess: expected an object of options, found number");
}

TEST(ModelDescription, NamesBadFields) {
  EXPECT_EQ(reading_error("model_name", 1),
            "tiny.h5: metadata field 'model_name' is missing or of another type");
  EXPECT_THAT(reading_error("model", {{"depth", 0}}), HasSubstr("tiny.h5: model: depth"));
  EXPECT_EQ(reading_error("loss", "hinge"),
            "tiny.h5: metadata field 'loss': expected one of softmax, sigmoid, found 'hinge'");
  EXPECT_THAT(reading_error("resize_mode", "cubic"), HasSubstr("tiny.h5: metadata: resize_mode"));
  EXPECT_THAT(reading_error("classes", std::vector<std::string>(8, "a")),
              HasSubstr("'classes': expected at most 7 names"));
}

TEST(StoredPreprocess, FitsTheChannelsOfTheModel) {
  auto description = small_description();
  EXPECT_EQ(stored_preprocess(description, "tiny.h5"), description.preprocess);
  description.preprocess->std = {0.5, 0.25};
  EXPECT_EQ(test::input_error([&] { stored_preprocess(description, "tiny.h5"); }),
            "tiny.h5: preprocess: std: expected one or 3 values above 0, found '0.5 0.25'");
}

TEST(ModelDescription, DerivedModelsKeepTheComputeDtypeOfTheirSource) {
  const Json metadata{{"config", {{"amp-dtype", "bfloat16"}, {"lr", 0.1}}}};
  ModelDescription small;
  small.name = "small";
  const auto derived = derived_metadata(metadata, small);
  EXPECT_EQ(derived.at("model_name"), "small");
  EXPECT_EQ(derived.at("config"), (Json{{"amp-dtype", "bfloat16"}}));
  EXPECT_FALSE(derived_metadata(Json::object(), {}).contains("config"));
}

}  // namespace
}  // namespace softmoe
