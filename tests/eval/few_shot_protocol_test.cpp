#include "eval/few_shot_protocol.h"

#include <gmock/gmock.h>

#include "eval/digit_model.h"
#include "eval/features.h"
#include "eval/few_shot_cases.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::clusters;
using test::digit_model;
using test::digits;

/// Both parts of the embedded digits.
struct DigitSet {
  test::Digits train = digits("train");
  test::Digits test = digits("val");

  DatasetSplits set() const {
    return {.name = "digits", .train = *train.set, .test = *test.set, .test_split = "val"};
  }
  FeatureExtractor extractor(Forward forward) const {
    return {.forward = std::move(forward), .transform = train.transform};
  }
};

FewShotProtocol few_draws() {
  FewShotProtocol protocol;
  protocol.probes.shots = {1, 4};
  protocol.probes.fewshot_seeds = 2;
  protocol.probes.seed = 3;
  return protocol;
}

TEST(FewShotProtocol, ProbesAModel) {
  const DigitSet digit_set;
  auto model = digit_model();
  const auto result =
      few_shot(digit_set.set(), digit_set.extractor([&model](const torch::Tensor& images) {
        return model->forward_features(images);
      }),
               few_draws());
  EXPECT_EQ(result.name, "digits");
  EXPECT_EQ(result.dim, 12);
  EXPECT_EQ(result.classes, 10);
  EXPECT_EQ(result.train_examples, 898);
  EXPECT_EQ(result.test_examples, 899);
  ASSERT_EQ(result.scores.size(), 2U);
  EXPECT_GT(result.scores[1].mean(), 0.15);
}

TEST(FewShotProtocol, ScoresDoNotDependOnFeaturesThatNoProbeNeeds) {
  const DigitSet digit_set;
  auto protocol = few_draws();
  const auto few =
      few_shot_features(digit_set.set(), digit_set.extractor(pixel_features), protocol);
  protocol.all_features = true;
  const auto all =
      few_shot_features(digit_set.set(), digit_set.extractor(pixel_features), protocol);
  EXPECT_LE(few.train.labels.size(0), 2 * 4 * 10);
  EXPECT_EQ(all.train.labels.size(0), 898);
  EXPECT_EQ(to_json(few_shot(few, protocol.probes)), to_json(few_shot(all, protocol.probes)));
  EXPECT_EQ(few.train.name, "digits train");
  EXPECT_EQ(few.test.name, "digits val");
}

TEST(FewShotProtocol, APoolHasSomeImagesOfEachClass) {
  const DigitSet digit_set;
  auto protocol = few_draws();
  protocol.pool = 6;
  protocol.all_features = true;
  const auto features =
      few_shot_features(digit_set.set(), digit_set.extractor(pixel_features), protocol);
  EXPECT_TRUE(test::same_bits(features.train.labels.bincount({}, /*minlength=*/10),
                              torch::full({10}, 6, torch::kInt64)));
  protocol.probes.seed = 4;
  const auto others =
      few_shot_features(digit_set.set(), digit_set.extractor(pixel_features), protocol);
  EXPECT_FALSE(others.train.features.equal(features.train.features));
}

TEST(FewShotProtocol, TakesFeaturesOfSeveralSetsFromFiles) {
  const test::TemporaryFolder folder;
  std::vector<std::string> train;
  std::vector<std::string> test;
  for (const int64_t seed : {1, 2}) {
    train.push_back((folder / ("train" + std::to_string(seed) + ".npz")).string());
    test.push_back((folder / ("test" + std::to_string(seed) + ".npz")).string());
    write_features(train.back(), clusters("train", 60, 5, 3, 0.5, seed));
    write_features(test.back(), clusters("test", 30, 5, 3, 0.5, seed + 10));
  }
  FewShotOptions options{.shots = {5}, .lambdas = {1, 1024}};
  const auto results = few_shot_files(train, test, options);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].name, test[1]);
  EXPECT_EQ(results[0].scores.size(), 2U);
  options.test_selected_lambda = true;
  const auto selected = few_shot_files(train, test, options);
  ASSERT_EQ(selected[0].scores.size(), 1U);
  EXPECT_EQ(selected[0].scores[0].lambda, selected[1].scores[0].lambda);
  test.pop_back();
  EXPECT_THAT(test::usage_error([&] { few_shot_files(train, test, options); }),
              testing::HasSubstr("2 files as --train-features, found 1"));
}

}  // namespace
}  // namespace softmoe
