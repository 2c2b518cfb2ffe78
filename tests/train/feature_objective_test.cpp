#include "train/feature_objective.h"

#include <gtest/gtest.h>

#include "support/tensor_matcher.h"
#include "train/objective_case.h"

namespace softmoe {
namespace {

using test::all_close;

TEST(TokenLosses, AreTheMeanSquareOfTheDistanceFromNormalisedTokens) {
  // Normalised, 1 and 5 are -1 and 1.
  const auto teacher = torch::tensor({{{1.0, 5.0}}}, torch::kFloat64);   // [1, 1, 2]
  const auto student = torch::tensor({{{-1.0, 4.0}}}, torch::kFloat64);  // [1, 1, 2]
  const auto losses = token_losses({.student = student, .teacher = teacher});
  EXPECT_TRUE(all_close(losses, torch::tensor({4.5}, torch::kFloat64), {.absolute = 1e-4}));
}

TEST(TokenLosses, DoNotDependOnTheScaleOfTheTeacher) {
  const auto teacher = torch::randn({3, 4, 8}, torch::kFloat64);
  const auto student = torch::randn({3, 4, 8}, torch::kFloat64);
  EXPECT_TRUE(all_close(token_losses({.student = student, .teacher = teacher * 50 + 3}),
                        token_losses({.student = student, .teacher = teacher}),
                        {.absolute = 1e-3}));
}

TEST(TokenLosses, GradientFollowsFiniteDifferences) {
  const auto teacher = torch::randn({3, 4, 8}, torch::kFloat64);
  auto student = torch::randn({3, 4, 8}, torch::kFloat64).requires_grad_();
  const auto loss = [&](const torch::Tensor& tokens) {
    return token_losses({.student = tokens, .teacher = teacher}).mean();
  };
  loss(student).backward();
  const auto direction = torch::randn({3, 4, 8}, torch::kFloat64);
  const auto here = student.detach();
  const auto difference = (loss(here + 1e-6 * direction) - loss(here - 1e-6 * direction)) / 2e-6;
  EXPECT_TRUE(all_close((student.grad() * direction).sum(), difference, {.absolute = 1e-7}));
}

TEST(TokenLosses, RejectTokensOfOtherShapes) {
  EXPECT_THROW(
      token_losses({.student = torch::zeros({3, 4, 8}), .teacher = torch::zeros({3, 4, 7})}),
      c10::ValueError);
}

TEST(FeatureObjective, IsTheMeanOverBlocksWithItsWeight) {
  const test::ObjectiveCase example;
  auto context = example.context();
  context.matched.push_back(
      {.student = torch::randn({5, 6, 7}), .teacher = torch::randn({5, 6, 7})});
  ObjectiveOptions options;
  options.distillation = {.schedule = WeightSchedule::kLinear,
                          .features = {0, 1},
                          .feature_weight = 3.0,
                          .final_feature_weight = 1.0};
  context.progress = 0.5;
  const auto expected = token_losses(context.matched[0]) + token_losses(context.matched[1]);
  EXPECT_TRUE(all_close(feature_objective(options, context).image_losses.detach(),
                        expected.detach()));  // weight 2, mean over two blocks
  context.matched.clear();
  EXPECT_THROW(feature_objective(options, context), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
