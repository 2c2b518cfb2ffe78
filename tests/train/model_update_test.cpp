#include "train/model_update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/optimizer_update.h"
#include "support/tensor_matcher.h"
#include "train/optimizers.h"
#include "train/router_objective.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;

/// Two models with the same weights, with dropout, and batches for both.
class ModelUpdateTest : public testing::Test {
 protected:
  ModelUpdateTest() {
    sizes_.drop = 0.1;
    for (auto* model : {&model_, &other_}) {
      *model = test::lively_model(sizes_);
      (*model)->train();
    }
    for (int64_t batch = 0; batch < 3; ++batch) {
      batches_.push_back({.images = test::random_images(sizes_, 5) + 0.01 * batch,
                          .labels = torch::randint(sizes_.num_classes, {5}, torch::kInt64),
                          .indices = {}});
    }
  }

  /// Gives the batches in turn.
  std::function<Batch()> feed() {
    return [this, next = size_t{0}]() mutable { return batches_.at(next++); };
  }

  VitOptions sizes_ = test::small_moe_options("tokens_choice");
  ObjectiveOptions objectives_{.loss = {}, .router_losses = default_router_losses(sizes_)};
  VisionTransformer model_{nullptr};
  VisionTransformer other_{nullptr};
  std::vector<Batch> batches_;
};

TEST_F(ModelUpdateTest, IsStepsThenClippingThenTheOptimizer) {
  const OptimizerOptions options;
  const auto optimizer = make_optimizer(named_parameters(*model_), options);
  const UpdateOptions how{.step = {.batches = 3}, .lr = 0.01, .clip_grad = 0.5, .random_key = 77};
  const auto update = update_model(model_, *optimizer, objectives_, feed(), how);
  EXPECT_TRUE(optimizer->gradients().empty());

  torch::manual_seed(77);
  double loss = 0.0;
  for (const auto& batch : batches_) {
    loss += train_step(other_, batch, objectives_, how.step).loss.item<double>();
  }
  const auto by_hand = make_optimizer(named_parameters(*other_), options);
  const auto norm = clip_gradient_norm(by_hand->gradients(), 0.5);
  by_hand->step(0.01);
  EXPECT_EQ(update.loss, loss / 3);
  EXPECT_EQ(update.gradient_norm, norm.item<double>());
  EXPECT_EQ(update.batches.size(), 3U);
  const auto expected = other_->named_parameters();
  for (const auto& item : model_->named_parameters()) {
    EXPECT_TRUE(all_close(item.value().detach(), expected[item.key()].detach())) << item.key();
  }
}

TEST_F(ModelUpdateTest, SharpnessAwareTakesTheGradientsOfTheWorstPlaceNearby) {
  OptimizerOptions options;
  options.opt = "sgd";
  const auto optimizer = make_optimizer(named_parameters(*model_), options);
  const UpdateOptions how{
      .step = {.batches = 2}, .lr = 0.01, .clip_grad = 0.0, .sam_rho = 0.3, .random_key = 5};
  const auto update = update_model(model_, *optimizer, objectives_, feed(), how);

  const auto by_hand = make_optimizer(named_parameters(*other_), options);
  const auto gradients_here = [&] {
    by_hand->zero_grad();
    torch::manual_seed(5);
    double loss = 0.0;
    for (size_t batch = 0; batch < 2; ++batch) {
      loss += train_step(other_, batches_[batch], objectives_, how.step).loss.item<double>();
    }
    return loss / 2;
  };
  EXPECT_EQ(update.loss, gradients_here());
  std::vector<torch::Tensor> before;
  double squares = 0.0;
  for (const auto& gradient : by_hand->gradients()) {
    squares += gradient.square().sum().item<double>();
  }
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : by_hand->parameters()) {
      before.push_back(parameter.tensor.clone());
      parameter.tensor.add_(parameter.tensor.grad(), 0.3 / std::sqrt(squares));
    }
  }
  gradients_here();
  {
    const torch::NoGradGuard no_grad;
    for (size_t index = 0; auto& parameter : by_hand->parameters()) {
      parameter.tensor.copy_(before[index++]);
    }
  }
  by_hand->step(0.01);
  const auto expected = other_->named_parameters();
  for (const auto& item : model_->named_parameters()) {
    EXPECT_TRUE(all_close(item.value().detach(), expected[item.key()].detach())) << item.key();
  }
}

TEST_F(ModelUpdateTest, RecordsNormsByGroupsOfLayers) {
  const auto optimizer = make_optimizer(named_parameters(*model_), {});
  const auto update = update_model(model_, *optimizer, objectives_, feed(),
                                   {.step = {}, .clip_grad = 1e-3, .record_norms = true});
  ASSERT_EQ(update.norms.size(), static_cast<size_t>(sizes_.depth) + 2);
  double gradients = 0.0;
  for (const auto& [group, norms] : update.norms) {
    EXPECT_GT(norms.weight, 0.0) << group;
    gradients = std::hypot(gradients, norms.gradient);
  }
  EXPECT_NEAR(gradients, update.gradient_norm, 1e-5 * update.gradient_norm);
  double head = 0.0;
  for (const auto& item : model_->named_parameters()) {
    if (!item.key().starts_with("blocks.") && item.key().find("embed") == std::string::npos) {
      head = std::hypot(head, item.value().norm().item<double>());
    }
  }
  EXPECT_NEAR(update.norms.at("head").weight, head, 1e-5 * head);
}

TEST_F(ModelUpdateTest, RandomnessDependsOnItsKeyAlone) {
  const auto update = [this](VisionTransformer& model, uint64_t key) {
    torch::rand({3});  // moves the generator
    const auto optimizer = make_optimizer(named_parameters(*model), {});
    return update_model(model, *optimizer, objectives_, feed(), {.step = {}, .random_key = key});
  };
  EXPECT_EQ(update(model_, 1).loss, update(other_, 1).loss);
  auto third = test::lively_model(sizes_);
  third->train();
  auto fourth = test::lively_model(sizes_);
  fourth->train();
  EXPECT_NE(update(third, 1).loss, update(fourth, 2).loss);
}

TEST_F(ModelUpdateTest, ChangesNothingIfTheLossIsNotFinite) {
  batches_[0].images.fill_(std::numeric_limits<float>::quiet_NaN());
  const auto optimizer = make_optimizer(named_parameters(*model_), {});
  const auto update = update_model(model_, *optimizer, objectives_, feed(), {.step = {}});
  EXPECT_TRUE(std::isnan(update.loss));
  EXPECT_EQ(optimizer->steps(), 0);
  EXPECT_TRUE(optimizer->gradients().empty());
  const auto expected = other_->named_parameters();
  for (const auto& item : model_->named_parameters()) {
    EXPECT_TRUE(same_bits(item.value().detach(), expected[item.key()].detach())) << item.key();
  }
}

TEST_F(ModelUpdateTest, ChangesNothingIfAGradientIsNotFinite) {
  auto weights = model_->named_parameters();
  weights["head.bias"].register_hook([](const torch::Tensor& gradient) { return gradient / 0.0; });
  const auto optimizer = make_optimizer(named_parameters(*model_), {});
  const auto update = update_model(model_, *optimizer, objectives_, feed(), {.step = {}});
  EXPECT_TRUE(std::isfinite(update.loss));
  EXPECT_FALSE(update.is_finite());
  EXPECT_EQ(update.bad_gradient, "the gradient of head.bias");
  EXPECT_EQ(optimizer->steps(), 0);
}

TEST_F(ModelUpdateTest, StepOfBenchmarksIsThisUpdate) {
  const OptimizerOptions options;
  const auto optimizer = make_optimizer(named_parameters(*other_), options);
  const auto step = make_train_step(model_, torch::kFloat32);
  for (int64_t number = 0; number < 2; ++number) {
    const auto& batch = batches_[number];
    const auto loss = step(batch.images, batch.labels);
    const auto update = update_model(other_, *optimizer, objectives_, [&] { return batch; },
                                     {.step = {}, .lr = 1e-4, .clip_grad = options.clip_grad});
    EXPECT_EQ(loss.item<float>(), static_cast<float>(update.loss));
  }
  const auto expected = other_->named_parameters();
  for (const auto& item : model_->named_parameters()) {
    EXPECT_TRUE(same_bits(item.value().detach(), expected[item.key()].detach())) << item.key();
  }
}

}  // namespace
}  // namespace softmoe
