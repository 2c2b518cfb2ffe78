#include "eval/average_precision.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

std::optional<double> of_one_class(const std::vector<double>& scores,
                                   const std::vector<double>& present) {
  return average_precision(torch::tensor(scores, torch::kFloat32).unsqueeze(1),
                           torch::tensor(present, torch::kFloat32).unsqueeze(1))
      .front();
}

// The example of scikit-learn's documentation of average_precision_score.
TEST(AveragePrecision, EqualsAKnownValue) {
  EXPECT_NEAR(*of_one_class({0.1, 0.4, 0.35, 0.8}, {0, 0, 1, 1}), 0.8333333, 1e-6);
}

TEST(AveragePrecision, IsOneIfAllImagesOfAClassComeFirst) {
  EXPECT_EQ(of_one_class({0.3, 0.9, 0.8, 0.1}, {0, 1, 1, 0}), 1.0);
}

TEST(AveragePrecision, OfAConstantIsTheShareOfTheClass) {
  EXPECT_EQ(of_one_class({2, 2, 2, 2}, {0, 1, 0, 0}), 0.25);
  EXPECT_EQ(of_one_class({2, 2, 2, 2}, {1, 0, 0, 0}), 0.25);
}

TEST(AveragePrecision, HasNoValueWithoutImages) {
  EXPECT_EQ(of_one_class({1, 2}, {0, 0}), std::nullopt);
  EXPECT_EQ(mean_of_present({0.5, std::nullopt, 1.0}), 0.75);
  EXPECT_EQ(mean_of_present({std::nullopt}), 0.0);
}

}  // namespace
}  // namespace softmoe
