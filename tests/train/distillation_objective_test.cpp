#include "train/distillation_objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "support/tensor_matcher.h"
#include "train/objective_case.h"

namespace softmoe {
namespace {

using test::all_close;

torch::Tensor row(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat64).unsqueeze(0);  // [1, classes]
}

TEST(DistillationLosses, SoftLabelsAreComparedAtTheTemperatureAndScaledByItsSquare) {
  const DistillationOptions warm{.temperature = 2.0};
  const auto teacher = row({0.8, 0.2});
  // The student gives 1/2 and 1/2: 4 (0.8 ln(0.8 / 0.5) + 0.2 ln(0.2 / 0.5)).
  EXPECT_TRUE(all_close(distillation_losses({}, warm, row({5.0, 5.0}), teacher)[0],
                        torch::tensor(0.7709790, torch::kFloat64), {.absolute = 1e-6}));
  // Its logits halved give 3/4 and 1/4: 4 (0.8 ln(0.8 / 0.75) + 0.2 ln(0.2 / 0.25)).
  EXPECT_TRUE(all_close(distillation_losses({}, warm, row({2.0 * std::log(3.0), 0.0}), teacher)[0],
                        torch::tensor(0.0280085, torch::kFloat64), {.absolute = 1e-6}));
}

TEST(DistillationLosses, SoftLabelsOfASigmoidLossAreComparedClassByClass) {
  const auto losses =
      distillation_losses({.loss = "sigmoid"}, {}, row({0.0, std::log(3.0)}), row({0.8, 0.75}));
  // The second class agrees: 0.8 ln(0.8 / 0.5) + 0.2 ln(0.2 / 0.5).
  EXPECT_TRUE(all_close(losses[0], torch::tensor(0.1927448, torch::kFloat64), {.absolute = 1e-6}));
}

TEST(DistillationLosses, HardLabelsAreTheLossOfTheMostProbableClass) {
  const DistillationOptions hard{.labels = DistillationLabels::kHard, .temperature = 7.0};
  const auto logits = torch::randn({4, 3}, torch::kFloat64);
  const auto teacher = torch::tensor(
      {{0.2, 0.5, 0.3}, {0.9, 0.1, 0.0}, {0.1, 0.2, 0.7}, {0.3, 0.4, 0.3}}, torch::kFloat64);
  for (const auto& kind : losses()) {
    const LossOptions loss{.loss = std::string(kind.name), .smoothing = 0.1};
    const auto expected = classification_losses({.loss = loss.loss}, logits,
                                                torch::tensor({1, 0, 2, 1}));  // not smoothed
    EXPECT_TRUE(all_close(distillation_losses(loss, hard, logits, teacher), expected));
  }
}

TEST(DistillationLosses, ProbabilitiesOfClassesByThemselvesAreMadeToSumToOne) {
  const auto logits = row({0.3, -0.2, 1.0});
  EXPECT_TRUE(all_close(distillation_losses({}, {}, logits, row({0.4, 0.1, 0.3})),
                        distillation_losses({}, {}, logits, row({0.5, 0.125, 0.375}))));
  const auto nothing = torch::zeros({1, 3});
  EXPECT_TRUE(distillation_losses({}, {}, logits, nothing).isfinite().all().item<bool>());
}

TEST(DistillationLosses, OfSoftLabelsAreZeroForTheTeacherItselfAndPositiveForOthers) {
  const auto logits = torch::randn({5, 7}, torch::kFloat64) * 3;
  for (const auto& kind : losses()) {
    const auto teacher = class_probabilities(logits / 3.0, kind.likelihood);
    const auto losses_of = [&](const torch::Tensor& own) {
      return distillation_losses({.loss = std::string(kind.name)}, {.temperature = 3.0}, own,
                                 teacher);  // [5]
    };
    EXPECT_TRUE(
        all_close(losses_of(logits), torch::zeros({5}, torch::kFloat64), {.absolute = 1e-12}));
    EXPECT_TRUE(losses_of(logits.flip(0) + logits).gt(1e-6).all().item<bool>());
  }
}

struct DistillationCase {
  std::string loss;
  DistillationLabels labels;
};

void PrintTo(const DistillationCase& test_case, std::ostream* out) {
  *out << test_case.loss << " with " << enum_name(test_case.labels) << " labels";
}

class DistillationLoss : public testing::TestWithParam<DistillationCase> {
 protected:
  torch::Tensor losses_of(const torch::Tensor& logits) const {
    return distillation_losses({.loss = GetParam().loss},
                               {.labels = GetParam().labels, .temperature = 3.0}, logits,
                               teacher());  // [batch]
  }
  /// [5, 7]
  torch::Tensor teacher() const {
    return class_probabilities(teacher_logits_ / 3.0, loss_row(GetParam().loss).likelihood);
  }

  torch::Tensor logits_ = torch::randn({5, 7}, torch::kFloat64) * 3;
  torch::Tensor teacher_logits_ = torch::randn({5, 7}, torch::kFloat64) * 3;
};

TEST_P(DistillationLoss, GradientFollowsFiniteDifferences) {
  auto logits = logits_.clone().requires_grad_();
  losses_of(logits).mean().backward();
  const auto direction = torch::randn({5, 7}, torch::kFloat64);
  const double step = 1e-6;
  const auto up = losses_of(logits_ + step * direction).mean();
  const auto down = losses_of(logits_ - step * direction).mean();
  EXPECT_TRUE(
      all_close((logits.grad() * direction).sum(), (up - down) / (2 * step), {.absolute = 1e-7}));
}

TEST_P(DistillationLoss, IsTakenInSinglePrecisionAndStaysFiniteAtLargeLogits) {
  const auto logits = (logits_ * 1000).to(torch::kBFloat16).requires_grad_();
  const auto losses = losses_of(logits);
  EXPECT_EQ(losses.scalar_type(), torch::kFloat32);
  losses.sum().backward();
  EXPECT_TRUE(losses.isfinite().all().item<bool>());
  EXPECT_TRUE(logits.grad().isfinite().all().item<bool>());
}

TEST_P(DistillationLoss, RejectsTeachersOfOtherShapes) {
  for (const auto& shape : {std::vector<int64_t>{5, 6}, {4, 7}}) {
    EXPECT_THROW(distillation_losses({}, {}, logits_, torch::zeros(shape)), c10::ValueError);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, DistillationLoss,
                         testing::Values(DistillationCase{"softmax", DistillationLabels::kSoft},
                                         DistillationCase{"softmax", DistillationLabels::kHard},
                                         DistillationCase{"sigmoid", DistillationLabels::kSoft},
                                         DistillationCase{"sigmoid", DistillationLabels::kHard}),
                         [](const auto& test_case) {
                           return test_case.param.loss + "_" + enum_name(test_case.param.labels);
                         });

TEST(DistillationObjective, SharesTheWeightWithTheLabels) {
  const test::ObjectiveCase example;
  auto context = example.context();
  ObjectiveOptions labels;
  ObjectiveOptions both;
  both.distillation = {
      .alpha = 0.75, .final_alpha = 0.25, .schedule = WeightSchedule::kLinear, .temperature = 2.0};
  for (const double progress : {0.0, 0.5, 1.0}) {
    context.progress = progress;
    const double weight = 0.75 - 0.5 * progress;
    const auto taught =
        distillation_losses({}, *both.distillation, context.distillation_logits, context.teacher);
    const auto labelled = objective_loss(labels, context).image_losses;
    const auto sum = objective_loss(both, context);
    const auto expected = weight * taught + (1.0 - weight) * labelled;  // [batch]
    EXPECT_TRUE(all_close(sum.image_losses.detach(), expected.detach())) << progress;
    EXPECT_TRUE(all_close(sum.loss.detach(), expected.mean().detach())) << progress;
  }
}

TEST(DistillationObjective, NeedsATeacher) {
  const test::ObjectiveCase example;
  auto context = example.context();
  context.teacher = torch::Tensor();
  EXPECT_THROW(distillation_objective(example.options(), context), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
