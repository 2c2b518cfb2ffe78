#include "eval/linear_probe.h"

#include <gmock/gmock.h>

#include <limits>

#include "core/log.h"
#include "eval/few_shot_cases.h"
#include "support/error_text.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::clusters;
using test::same_bits;
using testing::AllOf;
using testing::HasSubstr;

SplitFeatures probe_features(double spread = 0.3) {
  return {.name = "set",
          .train = clusters("train", 103, 6, 4, spread, 1),
          .test = clusters("test", 61, 6, 4, spread, 2)};
}

LinearProbeOptions quick() {
  return {.learning_rates = {1e-5, 0.3, 1e-2},
          .epochs = 2,
          .epoch_length = 40,
          .probe_batch_size = 32,
          .seed = 5};
}

TEST(LinearProbe, ChoosesTheRateOnHeldOutExamplesAndLearnsFromAll) {
  const auto result = linear_probe(probe_features(), quick());
  EXPECT_EQ(result.train_examples, 103);
  EXPECT_EQ(result.held_out_examples, 12);  // 3 of 26 or 25 in each class, rounded
  EXPECT_EQ(result.updates, 80);
  EXPECT_EQ(result.dim, 6);
  EXPECT_EQ(result.classes, 4);
  ASSERT_EQ(result.candidates.size(), 3U);
  EXPECT_EQ(result.learning_rate, 0.3);
  EXPECT_GT(result.test.top1, 0.85);
  EXPECT_EQ(result.test.examples, 61);
  EXPECT_EQ(result.weight.sizes(), (std::vector<int64_t>{4, 6}));
  auto alone = quick();
  alone.learning_rates = {0.3};
  const auto same = linear_probe(probe_features(), alone);
  EXPECT_EQ(same.held_out_examples, 0);
  EXPECT_TRUE(same.candidates.empty());
  EXPECT_TRUE(same_bits(same.weight, result.weight));
}

// The test examples are shifted as those of the view are, away from those of the set itself.
TEST(LinearProbe, LearnsFromViewsInTurns) {
  auto features = probe_features();
  const auto alone = linear_probe(features, quick());
  features.views = {features.train.features, features.train.features};
  EXPECT_TRUE(same_bits(linear_probe(features, quick()).weight, alone.weight));
  const auto shift = 3 * torch::ones({1, 6});
  features.test.features = features.test.features + shift;
  const auto shifted = linear_probe(features, quick());
  features.views = {features.train.features + shift};
  EXPECT_GT(linear_probe(features, quick()).test.top1, shifted.test.top1 + 0.2);
}

TEST(LinearProbe, TheTestSetDecidesNothing) {
  const auto result = linear_probe(probe_features(), quick());
  auto other = probe_features();
  other.test = clusters("test", 17, 6, 4, 2.0, 3);
  const auto again = linear_probe(other, quick());
  EXPECT_EQ(again.learning_rate, result.learning_rate);
  EXPECT_TRUE(same_bits(again.weight, result.weight));
  EXPECT_TRUE(same_bits(again.bias, result.bias));
  EXPECT_NE(again.test.top1, result.test.top1);
}

TEST(LinearProbe, SaysThatABetterRateMayLieBeyondTheGrid) {
  std::vector<std::string> lines;
  const auto previous = set_log_sink([&lines](const std::string& line) { lines.push_back(line); });
  linear_probe(probe_features(), quick());
  auto wider = quick();
  wider.learning_rates.push_back(1e39);
  linear_probe(probe_features(), wider);
  set_log_sink(previous);
  EXPECT_THAT(lines,
              testing::ElementsAre("0.3 is the largest of --learning-rates; others may be better"));
}

TEST(LinearProbe, IsDeterministicBySeed) {
  const auto features = probe_features();
  const auto first = linear_probe(features, quick());
  EXPECT_TRUE(same_bits(linear_probe(features, quick()).weight, first.weight));
  auto other = quick();
  other.seed = 6;
  EXPECT_FALSE(linear_probe(features, other).weight.equal(first.weight));
}

TEST(LinearProbe, LeavesOutRatesThatDiverge) {
  auto options = quick();
  options.learning_rates = {1e39, 0.1};
  const auto result = linear_probe(probe_features(), options);
  EXPECT_EQ(result.learning_rate, 0.1);
  const auto json = to_json(result);
  EXPECT_TRUE(json.at("selection")[0].at("loss").is_null());
  EXPECT_EQ(json.at("selection")[1].at("top1"), result.candidates[1].top1);
  EXPECT_EQ(json.at("top1"), result.test.top1);
  options.learning_rates = {1e39, 2e39};
  EXPECT_THAT(test::input_error([&] { linear_probe(probe_features(), options); }),
              HasSubstr("learning-rates: expected one that does not diverge"));
}

TEST(LinearProbe, BalancedSamplingHelpsSmallClasses) {
  auto features = probe_features(0.5);
  // Of the last class, only the first three examples stay.
  const auto keep = features.train.labels.ne(3).logical_or(torch::arange(103).lt(12));
  features.train.features = features.train.features.index({keep});
  features.train.labels = features.train.labels.index({keep});
  auto options = quick();
  options.learning_rates = {0.3};
  const auto uniform = linear_probe(features, options);
  options.sampling.sampling = Sampling::kBalanced;
  const auto balanced = linear_probe(features, options);
  EXPECT_GT(balanced.test.class_accuracy[3].value(), uniform.test.class_accuracy[3].value());
}

TEST(LinearProbe, HasTheClassesOfTheSet) {
  auto features = probe_features();
  features.class_names = {"a", "b", "c", "d", "never"};
  EXPECT_EQ(linear_probe(features, quick()).weight.size(0), 5);
}

TEST(LinearProbe, StopsWhenAsked) {
  int64_t updates = 0;
  const auto stop = [&updates] {
    if (++updates == 7) {
      throw Interrupted("stop");
    }
  };
  EXPECT_THROW(linear_probe(probe_features(), quick(), {.before_update = stop}), Interrupted);
}

TEST(LinearProbe, SaysWhatIsWrong) {
  const auto refused = [](const std::function<void(LinearProbeOptions&)>& change) {
    auto options = quick();
    change(options);
    return test::usage_error([&] { linear_probe(probe_features(), options); });
  };
  EXPECT_THAT(refused([](auto& options) { options.learning_rates = {}; }),
              HasSubstr("learning-rates: expected at least one"));
  EXPECT_THAT(refused([](auto& options) {
                options.learning_rates = {0.1, 0.0};
              }),
              HasSubstr("learning-rates: expected positive numbers, found 0"));
  EXPECT_THAT(refused([](auto& options) { options.epoch_length = 0; }),
              HasSubstr("epoch-length: expected a positive number, found 0"));
  EXPECT_THAT(refused([](auto& options) { options.held_out = 1.0; }),
              HasSubstr("held-out: expected a share"));
  auto features = probe_features();
  features.test.labels = features.test.labels + 1;
  EXPECT_THAT(
      test::input_error([&] { linear_probe(features, quick()); }),
      AllOf(HasSubstr("test: labels: expected classes 0 to 3 of train"), HasSubstr("found 4")));
  features = probe_features();
  features.train = clusters("train", 4, 6, 4, 0.3, 1);
  EXPECT_THAT(test::input_error([&] { linear_probe(features, quick()); }),
              HasSubstr("train: labels: expected a class with two examples"));
}

}  // namespace
}  // namespace softmoe
