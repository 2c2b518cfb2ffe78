#include "train/training_data.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "datasets/sources.h"
#include "softmoe/routers.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

RunOptions digits_options() {
  RunOptions options;
  options.data.dataset = "digits";
  return options;
}

/// A sparse model for images of one channel.
VitOptions sparse_model() {
  auto model = test::small_moe_options("tokens_choice");
  model.in_chans = 1;
  model.num_classes = 3;
  return model;
}

TEST(TrainingData, OpensBothSplitsOfTheSameClasses) {
  const auto data = open_training_data(digits_options().data);
  EXPECT_EQ(data.train->class_names(), data.val->class_names());
  EXPECT_EQ(data.train->size() + data.val->size(), 1797);
}

TEST(FitOptions, FollowTheDataAndTheModel) {
  auto options = digits_options();
  const auto data = open_training_data(options.data);
  options.preprocess.hflip = 0.7;
  auto model = sparse_model();
  fit_options(options, model, data);
  EXPECT_EQ(model.num_classes, 10);
  EXPECT_EQ(options.preprocess.hflip, usual_hflip(options.data));
  EXPECT_EQ(options.preprocess.input_size, (std::vector<int64_t>{1, 8, 12}));
  EXPECT_EQ(options.objectives.router_losses, default_router_losses(router_row("tokens_choice")));
}

TEST(FitOptions, KeepWhatIsNamed) {
  auto options = digits_options();
  const auto data = open_training_data(options.data);
  options.preprocess.hflip = 0.7;
  options.preprocess.input_size = {1, 8, 12};
  const auto usual = default_router_losses(router_row("tokens_choice"));
  const std::string kept(router_loss_rows()[0].flag);
  options.objectives.router_losses.coefficients[0] = 3.5;
  auto model = sparse_model();
  model.num_classes = 12;
  fit_options(options, model, data, {"num-classes", "hflip", "input-size", kept});
  EXPECT_EQ(model.num_classes, 12);
  EXPECT_EQ(options.preprocess.hflip, 0.7);
  const auto& coefficients = options.objectives.router_losses.coefficients;
  EXPECT_EQ(coefficients[0], 3.5);
  EXPECT_EQ(coefficients[1], usual.coefficients[1]);
}

TEST(FitOptions, RefuseLessClassesThanTheDataHave) {
  auto options = digits_options();
  const auto data = open_training_data(options.data);
  auto model = sparse_model();
  model.num_classes = 9;
  EXPECT_THROW(fit_options(options, model, data, {"num-classes"}), UsageError);
}

TEST(FitOptions, LeaveRouterLossesOfADenseModel) {
  auto options = digits_options();
  const auto data = open_training_data(options.data);
  auto model = test::small_options();
  fit_options(options, model, data);
  EXPECT_FALSE(options.objectives.router_losses.any());
}

TEST(FitOptions, RefuseAnInputSizeThatTheModelDoesNotTake) {
  auto options = digits_options();
  const auto data = open_training_data(options.data);
  options.preprocess.input_size = {1, 12, 12};
  auto model = sparse_model();
  EXPECT_THROW(fit_options(options, model, data, {"input-size"}), UsageError);
}

TEST(FitHeadBias, MakesEveryClassEquallyLikelyUnderASigmoid) {
  auto model = test::small_options();
  model.head_bias = 0.25;
  fit_head_bias({.loss = "softmax"}, model);
  EXPECT_EQ(model.head_bias, 0.25);
  fit_head_bias({.loss = "sigmoid"}, model);
  EXPECT_DOUBLE_EQ(model.head_bias, -std::log(7.0));
}

}  // namespace
}  // namespace softmoe
