#include "eval/split_features.h"

#include <gmock/gmock.h>

#include "datasets/subset.h"
#include "eval/digit_model.h"
#include "eval/features.h"
#include "eval/gray_images.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::batches_of;
using test::digits;
using test::same_bits;
using testing::AllOf;
using testing::HasSubstr;

TEST(SplitFeatures, AreThoseOfBothPartsInTheirOrder) {
  const auto all = digits("train");
  const Subset train(*all.set, {3, 1, 5});
  const Subset test(*all.set, {0, 2});
  int64_t batches = 0;
  const auto features = split_features({.name = "digits", .train = train, .test = test},
                                       {.forward = pixel_features,
                                        .transform = all.transform,
                                        .before_batch = [&batches] { ++batches; }},
                                       batches_of(2));
  EXPECT_EQ(features.train.name, "digits train");
  EXPECT_EQ(features.train.features.sizes(), (std::vector<int64_t>{3, 64}));
  EXPECT_EQ(features.train.labels[0].item<int64_t>(), all.set->label(3));
  EXPECT_EQ(features.test.labels[1].item<int64_t>(), all.set->label(2));
  EXPECT_EQ(features.class_names, all.set->class_names());
  EXPECT_EQ(batches, 3);
}

TEST(SplitFeatures, HaveAugmentedViewsOfTrainingImages) {
  const auto all = digits("train");
  const Subset train(*all.set, {3, 1, 5});
  const Subset test(*all.set, {0, 2});
  PreprocessOptions padded{.input_size = {1, 8, 8}, .augment = {}};
  padded.train_crop = CropMode::kPadded;
  padded.hflip = 0.5;
  const auto augment = Transform::training(padded);
  const FeatureExtractor extractor{
      .forward = pixel_features, .transform = all.transform, .augment = augment, .views = 2};
  const DatasetSplits splits{.name = "digits", .train = train, .test = test};
  const auto features = split_features(splits, extractor, batches_of(2));
  ASSERT_EQ(features.views.size(), 2U);
  EXPECT_EQ(features.views[0].sizes(), features.train.features.sizes());
  EXPECT_FALSE(same_bits(features.views[0], features.train.features));
  EXPECT_FALSE(same_bits(features.views[0], features.views[1]));
  const auto again = split_features(splits, extractor, batches_of(3));
  EXPECT_TRUE(same_bits(features.views[1], again.views[1]));
}

TEST(SplitFeatures, NeedTheSameClasses) {
  const auto train = digits("train");
  const test::GrayImages test;
  EXPECT_THAT(test::input_error([&] {
                check_same_classes({.name = "mixed", .train = *train.set, .test = test});
              }),
              AllOf(HasSubstr("mixed split test: expected the 10 classes of split train"),
                    HasSubstr("found 3 classes")));
}

TEST(SplitFeatures, OfFilesComeInPairs) {
  const test::TemporaryFolder folder;
  const auto write = [&folder](const std::string& name, int64_t examples) {
    const auto path = (folder / name).string();
    write_features(path, {.name = name,
                          .features = torch::ones({examples, 2}),
                          .labels = torch::zeros({examples}, torch::kInt64)});
    return path;
  };
  const auto one = write("one.npz", 1);
  const auto two = write("two.npz", 2);
  std::vector<std::string> names;
  for_each_pair_of_files({one, two}, {two, one}, [&names](const SplitFeatures& pair) {
    EXPECT_EQ(pair.train.labels.size(0) + pair.test.labels.size(0), 3);
    names.push_back(pair.name);
  });
  EXPECT_THAT(names, testing::ElementsAre(two, one));
  EXPECT_THAT(test::usage_error([&] { for_each_pair_of_files({one}, {}, {}); }),
              HasSubstr("--test-features: expected 1 file as --train-features"));
}

}  // namespace
}  // namespace softmoe
