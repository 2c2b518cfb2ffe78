#include "checkpoints/conversion.h"

#include <gmock/gmock.h>

#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/square_models.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::same_bits;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A model of 3 x 3 patches, as a file that was read.
ForeignModel read_square_model(const std::filesystem::path& path) {
  const auto options = test::square_options();
  auto model = test::lively_model(options);
  ModelDescription description;
  description.name = "square";
  description.options = options;
  description.class_names = {"a", "b", "c", "d", "e", "f", "g"};
  description.preprocess = default_preprocess(options);
  save_checkpoint(path, {.metadata = to_metadata(description), .model = named_tensors(*model)});
  return read_foreign_model(path);
}

class Conversion : public testing::Test {
 protected:
  ForeignModel source() const { return read_square_model(path()); }
  std::filesystem::path path() const { return folder_ / "square.h5"; }

  test::TemporaryFolder folder_;
};

TEST_F(Conversion, WithoutChangesKeepsTheModel) {
  const auto expected = source();
  const auto converted = convert_model(source(), "square.h5");
  EXPECT_THAT(converted.changed, IsEmpty());
  EXPECT_THAT(converted.fresh, IsEmpty());
  EXPECT_EQ(converted.model.description.class_names, expected.description.class_names);
  for (const auto& [name, tensor] : expected.weights) {
    EXPECT_TRUE(same_bits(converted.model.weights.at(name), tensor)) << name;
  }
}

TEST_F(Conversion, ResizesToAnotherImage) {
  const auto converted =
      convert_model(source(), "square.h5", {.options = [](VitOptions& to) { to.img_size = {20}; }});
  const auto& description = converted.model.description;
  EXPECT_EQ(description.options.img_size, (std::vector<int64_t>{20}));
  EXPECT_EQ(description.preprocess->input_size, (std::vector<int64_t>{3, 20, 20}));
  EXPECT_EQ(converted.model.weights.at("pos_embed").size(1), 25);
  EXPECT_THAT(converted.changed, ElementsAre(HasSubstr("pos_embed: 3x3 to 5x5 patches")));
}

TEST_F(Conversion, OtherClassesGetAHeadThatStartsAnewAndNames) {
  const auto names = folder_ / "names.txt";
  write_text_file(names, "cat\r\ndog\n\n");
  const auto two_classes = [](VitOptions& to) { to.num_classes = 2; };
  const auto converted =
      convert_model(source(), "square.h5", {.options = two_classes, .class_names = names});
  EXPECT_THAT(converted.fresh, testing::UnorderedElementsAre("head.weight", "head.bias"));
  EXPECT_EQ(converted.model.weights.at("head.weight").abs().max().item<float>(), 0.0F);
  EXPECT_THAT(converted.model.description.class_names, ElementsAre("cat", "dog"));
  EXPECT_THAT(
      test::input_error([&] { convert_model(source(), "square.h5", {.class_names = names}); }),
      HasSubstr("expected 7 names of classes, found 2"));
}

TEST_F(Conversion, PreprocessingThatDoesNotFitTheChannelsIsReplaced) {
  const auto converted =
      convert_model(source(), "square.h5",
                    {.options = [](VitOptions& to) { to.in_chans = 1; },
                     .preprocess =
                         [](PreprocessOptions& preprocess, const VitOptions& to) {
                           EXPECT_EQ(to.in_chans, 1);
                           preprocess.mean = {0.1, 0.2, 0.3};
                           preprocess.std = {0.25};
                         }});
  EXPECT_THAT(converted.model.description.preprocess->mean, ElementsAre(0.5));
  EXPECT_THAT(converted.model.description.preprocess->std, ElementsAre(0.25));
  EXPECT_THAT(converted.changed, testing::Contains("mean: 3 values to 0.5 for 1 channels"));
}

TEST_F(Conversion, RefusesWeightsThatDoNotFitTheOptions) {
  EXPECT_THAT(test::input_error([&] {
                convert_model(source(), "square.h5",
                              {.options = [](VitOptions& to) { to.depth = 4; }});
              }),
              HasSubstr("square.h5"));
}

TEST_F(Conversion, ProtectsConfigsOfOtherModels) {
  const auto config = folder_ / "config.json";
  const auto check = [&](const std::string& output, const std::string& input) {
    check_replaced_configs({config}, folder_ / output, folder_ / input, TensorFormat::kSafetensors);
  };
  check("a.safetensors", "b.safetensors");  // no config is replaced
  write_text_file(config, "{}");
  EXPECT_THAT(test::input_error([&] { check("a.safetensors", "b.safetensors"); }),
              HasSubstr("it belongs to " + (folder_ / "b.safetensors").string()));
  EXPECT_THAT(test::input_error([&] { check("a.safetensors", "elsewhere/b.safetensors"); }),
              HasSubstr("it belongs to another model"));
  write_text_file(folder_ / "a.safetensors", "");
  check("a.safetensors", "elsewhere/b.safetensors");  // the config of the file that is replaced
}

}  // namespace
}  // namespace softmoe
