#include "train/distillation_options.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

DistillationOptions from_one_to_zero(WeightSchedule schedule) {
  return {.alpha = 1.0, .final_alpha = 0.0, .schedule = schedule};
}

TEST(DistillationOptions, WeightStaysOrGoesFromItsFirstValueToItsLast) {
  const auto weight = [](WeightSchedule schedule, double progress) {
    return teacher_weight(from_one_to_zero(schedule), progress);
  };
  for (const auto& [progress, linear, cosine] : {std::tuple{0.0, 1.0, 1.0},
                                                 {0.25, 0.75, 0.8535533905932737},
                                                 {0.5, 0.5, 0.5},
                                                 {1.0, 0.0, 0.0}}) {
    EXPECT_DOUBLE_EQ(weight(WeightSchedule::kConstant, progress), 1.0);
    EXPECT_NEAR(weight(WeightSchedule::kLinear, progress), linear, 1e-12);
    EXPECT_NEAR(weight(WeightSchedule::kCosine, progress), cosine, 1e-12);
  }
}

TEST(DistillationOptions, LabelsHaveTheWeightThatIsLeft) {
  for (const double progress : {0.0, 0.3, 1.0}) {
    const auto options = from_one_to_zero(WeightSchedule::kCosine);
    EXPECT_DOUBLE_EQ(teacher_weight(options, progress) + label_weight(options, progress), 1.0);
  }
}

TEST(DistillationOptions, TheWeightOfTokensFollowsTheSameScheduleFromItsOwnValues) {
  const DistillationOptions options{
      .schedule = WeightSchedule::kLinear, .feature_weight = 4.0, .final_feature_weight = 2.0};
  EXPECT_DOUBLE_EQ(feature_weight(options, 0.25), 3.5);
  EXPECT_DOUBLE_EQ(feature_weight({.feature_weight = 4.0}, 0.25), 4.0);
}

TEST(DistillationOptions, AreReadBackByName) {
  const DistillationOptions options{.labels = DistillationLabels::kHard,
                                    .alpha = 0.25,
                                    .final_alpha = 0.75,
                                    .schedule = WeightSchedule::kLinear,
                                    .temperature = 4.0,
                                    .features = {1, 3},
                                    .feature_weight = 2.0,
                                    .final_feature_weight = 0.5};
  EXPECT_EQ(options_from_json<DistillationOptions>(options_to_json(options), "test"), options);
}

}  // namespace
}  // namespace softmoe
