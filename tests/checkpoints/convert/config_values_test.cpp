/// Values in the config of a foreign model that no model can have.

#include <gmock/gmock.h>

#include "checkpoints/convert/configured_model.h"
#include "checkpoints/module_tensors.h"

namespace softmoe {
namespace {

using test::changed;
using test::square_options;
using test::token_pooling;
using testing::HasSubstr;

class ConfigValues : public test::ConfiguredModel {
 protected:
  void write(const std::string& family) {
    ConfiguredModel::write(family, changed(square_options(), token_pooling));
  }

  std::string reading_error(const Json& config) {
    return ConfiguredModel::reading_error(json_text(config));
  }
};

TEST_F(ConfigValues, OfHuggingFaceAreRefusedByName) {
  write("hf_vit");
  for (const auto& [name, value] : {std::pair<std::string, Json>{"num_attention_heads", 0},
                                    {"num_attention_heads", -3},
                                    {"num_attention_heads", "x"},
                                    {"hidden_act", 5},
                                    {"layer_norm_eps", -1.0},
                                    {"layer_norm_eps", 0.0},
                                    {"layer_norm_eps", 1e300},
                                    {"layer_norm_eps", "a"},
                                    {"image_size", 0},
                                    {"image_size", -48},
                                    {"image_size", "big"}}) {
    EXPECT_THAT(reading_error({{"model_type", "vit"}, {name, value}}),
                HasSubstr("model.safetensors: config.json: " + name + ": expected "))
        << value;
  }
}

TEST_F(ConfigValues, OfTimmAreRefusedByName) {
  write("timm");
  for (const auto& [name, value] : {std::pair<std::string, Json>{"num_heads", -3},
                                    {"act_layer", 5},
                                    {"img_size", {224, 224, 3}},
                                    {"img_size", 0}}) {
    EXPECT_THAT(reading_error({{"architecture", "a"}, {"model_args", {{name, value}}}}),
                HasSubstr("model.safetensors: config.json: " + name + ": expected "))
        << value;
  }
}

TEST_F(ConfigValues, AreShownWithoutControlCharacters) {
  write("hf_vit");
  EXPECT_THAT(reading_error({{"model_type", "vit"}, {"hidden_act", "relu\x1b[31mX"}}),
              HasSubstr("found relu?[31mX"));
}

/// The refusal of a file that carries the description of a model with one value changed.
class CarriedDescription : public testing::Test {
 protected:
  std::string reading_error(const std::string& part, const std::string& name, const Json& value) {
    const auto options = square_options();
    ModelDescription description{
        .name = "a", .options = options, .class_names = {}, .preprocess = PreprocessOptions{}};
    auto metadata = to_metadata(description);
    (part.empty() ? metadata : metadata.at(part))[name] = value;
    write_safetensors(folder_ / "model.safetensors", named_tensors(*test::lively_model(options)),
                      {{kDescriptionKey, json_text(metadata)}});
    return test::input_error([&] { read_foreign_model(folder_ / "model.safetensors"); });
  }

  test::TemporaryFolder folder_;
};

TEST_F(CarriedDescription, IsBoundedBeforeAnythingIsMadeOfIt) {
  for (const auto& [name, value] : {std::pair<std::string, Json>{"depth", 40'000'000'000},
                                    {"dim", int64_t{1} << 62},
                                    {"img-size", {int64_t{1} << 40}},
                                    {"experts", int64_t{1} << 40},
                                    {"norm-eps", -1.0}}) {
    const auto text = reading_error("model", name, value);
    EXPECT_THAT(text, HasSubstr("model.safetensors"));
    EXPECT_THAT(text, HasSubstr("model: " + name + ": expected in [")) << name;
  }
}

TEST_F(CarriedDescription, NamesNoMoreClassesThanThereAre) {
  EXPECT_THAT(reading_error("", "classes", std::vector<std::string>(8, "a")),
              HasSubstr("'classes': expected at most 7 names, one a class, found 8"));
}

}  // namespace
}  // namespace softmoe
