#include "train/train_step.h"

#include <gtest/gtest.h>

#include "ops/compute_precision.h"
#include "runtime/autocast_guard.h"
#include "support/tensor_matcher.h"
#include "train/distillation_objective.h"
#include "train/router_objective.h"
#include "train/teacher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;

Batch batch_of(const VitOptions& options, int64_t size) {
  const auto images = test::random_images(options, size);
  return {.images = images,
          .labels = torch::randint(options.num_classes, {size}, torch::kInt64),
          .indices = {}};
}

/// The gradients of all parameters; those that have none are left out.
std::map<std::string, torch::Tensor> gradients_of(const VisionTransformer& model) {
  std::map<std::string, torch::Tensor> gradients;
  for (const auto& item : model->named_parameters()) {
    if (item.value().grad().defined()) {
      gradients[item.key()] = item.value().grad().clone();
    }
  }
  return gradients;
}

struct StepCase {
  std::string router;  ///< empty: a dense model
  Precision precision;

  torch::Dtype dtype() const { return tensor_dtype(precision); }
};

void PrintTo(const StepCase& test_case, std::ostream* out) {
  *out << (test_case.router.empty() ? "dense" : test_case.router) << " in "
       << enum_name(test_case.precision);
}

class TrainStep : public testing::TestWithParam<StepCase> {
 protected:
  void SetUp() override {
    options_ = GetParam().router.empty() ? test::small_options()
                                         : test::small_moe_options(GetParam().router);
    objectives_.router_losses = default_router_losses(options_);
    model_ = test::lively_model(options_);
    model_->train();
    batch_ = batch_of(options_, 5);
  }

  VitOptions options_;
  ObjectiveOptions objectives_;
  VisionTransformer model_{nullptr};
  Batch batch_;
};

TEST_P(TrainStep, EqualsAStepWrittenByHand) {
  torch::manual_seed(9);
  const auto step = train_step(model_, batch_, objectives_, {.compute_dtype = GetParam().dtype()});
  const auto actual = gradients_of(model_);
  model_->zero_grad();

  torch::manual_seed(9);
  torch::Tensor loss;
  {
    const AutocastGuard autocast(torch::kCPU, GetParam().dtype());
    auto records = model_->routing_records({.scores = true});
    const auto logits = model_->forward(batch_.images, &records);  // [batch, classes]
    const auto losses = torch::nll_loss(logits.to(torch::kFloat32).log_softmax(1), batch_.labels,
                                        /*weight=*/{}, at::Reduction::None);  // [batch]
    loss = losses.mean();                                                     // []
    for (const auto& [block, record] : records) {
      const auto total =
          router_losses(objectives_.router_losses, record.scores, losses.detach()).total;
      loss = total.defined() ? loss + total : loss;
    }
  }
  loss.backward();
  EXPECT_TRUE(all_close(step.loss, loss.detach()));
  EXPECT_FALSE(step.loss.requires_grad());
  const auto expected = gradients_of(model_);
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, gradient] : expected) {
    EXPECT_TRUE(all_close(actual.at(name), gradient)) << name;
  }
}

TEST_P(TrainStep, StepsThatShareAnUpdateAddTheirShareOfTheGradients) {
  const std::vector<Batch> batches{batch_, batch_of(options_, 5)};
  std::vector<std::map<std::string, torch::Tensor>> parts;
  for (const auto& batch : batches) {
    torch::manual_seed(9);
    train_step(model_, batch, objectives_, {.compute_dtype = GetParam().dtype()});
    parts.push_back(gradients_of(model_));
    model_->zero_grad();
  }
  for (const auto& batch : batches) {
    torch::manual_seed(9);
    train_step(model_, batch, objectives_, {.compute_dtype = GetParam().dtype(), .batches = 2});
  }
  for (const auto& [name, gradient] : gradients_of(model_)) {
    EXPECT_TRUE(all_close(gradient, (parts[0].at(name) + parts[1].at(name)) / 2)) << name;
  }
}

TEST_P(TrainStep, RecordingTheLoadChangesNoBit) {
  torch::manual_seed(9);
  const auto plain = train_step(model_, batch_, objectives_, {.compute_dtype = GetParam().dtype()});
  const auto expected = gradients_of(model_);
  model_->zero_grad();
  torch::manual_seed(9);
  const auto recorded = train_step(model_, batch_, objectives_,
                                   {.compute_dtype = GetParam().dtype(), .record_load = true});
  EXPECT_TRUE(same_bits(recorded.loss, plain.loss));
  for (const auto& [name, gradient] : gradients_of(model_)) {
    EXPECT_TRUE(same_bits(gradient, expected.at(name))) << name;
  }
  EXPECT_TRUE(plain.loads.empty());
  EXPECT_EQ(recorded.loads.size(), has_moe(options_) ? 2U : 0U);
  for (const auto& [block, load] : recorded.loads) {
    EXPECT_EQ(load.load.sizes(), (std::vector<int64_t>{3})) << block;
    EXPECT_NEAR(load.load.sum().item<double>(), 1.0, 1e-5) << block;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, TrainStep,
                         testing::Values(StepCase{"", Precision::kFloat32},
                                         StepCase{"soft", Precision::kFloat32},
                                         StepCase{"soft", Precision::kBFloat16},
                                         StepCase{"tokens_choice", Precision::kFloat32},
                                         StepCase{"reinforced", Precision::kFloat32}),
                         [](const auto& test_case) {
                           const auto& router = test_case.param.router;
                           return (router.empty() ? "dense" : router) + "_" +
                                  std::string(enum_name(test_case.param.precision));
                         });

TEST(TrainStepLoss, LeavesGradientsAlone) {
  const auto options = test::small_options();
  auto model = test::lively_model(options);
  const auto loss = step_loss(model, batch_of(options, 4), {}, {}).loss;  // []
  EXPECT_TRUE(loss.requires_grad());
  EXPECT_TRUE(gradients_of(model).empty());
}

/// Gives the same probabilities for all batches.
class FixedTeacher : public Teacher {
 public:
  explicit FixedTeacher(torch::Tensor probabilities) : probabilities_(std::move(probabilities)) {}
  torch::Tensor probabilities(const Batch& /*batch*/, double temperature) override {
    temperature_ = temperature;
    return probabilities_;
  }
  double temperature() const { return temperature_; }

 private:
  torch::Tensor probabilities_;
  double temperature_ = 0.0;
};

TEST(DistillingStep, TheTokenOfDistillationLearnsFromTheTeacherAndTheClassTokenFromLabels) {
  auto options = test::small_options();
  options.global_pool = GlobalPool::kToken;
  options.class_token = true;
  for (const bool has_token : {true, false}) {
    options.dist_token = has_token;
    auto model = test::lively_model(options);
    const auto batch = batch_of(options, 5);
    FixedTeacher teacher(torch::randn({5, 7}).softmax(1));
    ObjectiveOptions objectives;
    objectives.distillation = {.alpha = 0.25, .temperature = 3.0};
    const auto loss = step_loss(model, batch, objectives, {.teacher = &teacher}).loss;
    const auto logits = model->head_logits(model->forward_features(batch.images));
    const auto taught = distillation_losses({}, *objectives.distillation, logits.back(),
                                            teacher.probabilities(batch, 3.0));
    const auto expected =
        0.75 * classification_loss({}, logits.front(), batch.labels) + 0.25 * taught.mean();
    EXPECT_TRUE(all_close(loss.detach(), expected.detach())) << has_token;
    EXPECT_EQ(teacher.temperature(), 3.0);
  }
}

TEST(DistillingStep, NeedsATeacher) {
  auto model = test::lively_model(test::small_options());
  ObjectiveOptions objectives;
  objectives.distillation.emplace();
  EXPECT_THROW(step_loss(model, batch_of(test::small_options(), 5), objectives, {}),
               c10::ValueError);
}

}  // namespace
}  // namespace softmoe
