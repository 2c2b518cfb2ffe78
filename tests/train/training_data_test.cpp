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

/// Four images, number i with the labels of the bits of i.
class BitLabels : public Dataset {
 public:
  int64_t size() const override { return 4; }
  Sample get(int64_t) const override { return {.image = cv::Mat(8, 12, CV_8UC1), .label = -1}; }
  bool is_multi_label() const override { return true; }
  std::vector<int64_t> labels(int64_t index) const override {
    std::vector<int64_t> labels;
    for (int64_t bit = 0; bit < 2; ++bit) {
      if ((index >> bit) % 2 == 1) {
        labels.push_back(bit);
      }
    }
    return labels;
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override { return std::to_string(index); }

 private:
  std::vector<std::string> names_{"one", "two"};
};

TEST(FitOptions, TakeTheSigmoidForSeveralLabelsPerImage) {
  auto options = digits_options();
  const TrainingData data{.train = std::make_unique<BitLabels>(),
                          .val = std::make_unique<BitLabels>()};
  auto model = sparse_model();
  fit_options(options, model, data);
  EXPECT_EQ(options.objectives.loss.loss, "sigmoid");
  options.objectives.loss.loss = "softmax";
  try {
    fit_options(options, model, data, {"loss"});
    FAIL() << "softmax was taken";
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()),
              "--loss: expected sigmoid for images with several labels (--multi-label), found "
              "softmax");
  }
}

TEST(MultiLabelBatches, HaveOnesWhereClassesAre) {
  const BitLabels set;
  PreprocessOptions preprocess;
  preprocess.input_size = {1, 8, 12};
  Loader loader(set, Transform::training(preprocess), {.batch_size = 4, .workers = 0});
  loader.start(0);
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_TRUE(torch::equal(
      batch->labels, torch::tensor({{0., 0.}, {1., 0.}, {0., 1.}, {1., 1.}}, torch::kFloat32)));
  EXPECT_THROW(Loader(set, Transform::training(preprocess),
                      {.batch_size = 4, .sampling = Sampling::kBalanced, .shuffle = true}),
               UsageError);
}

TEST(MultiLabelBatches, AreMixedLikeOthers) {
  Batch batch{.images = torch::arange(4.0).view({4, 1, 1, 1}).expand({4, 1, 8, 12}),
              .labels = torch::tensor({{0., 0.}, {1., 0.}, {0., 1.}, {1., 1.}}, torch::kFloat32),
              .indices = {}};
  Rng rng(3);
  mix_batch({.mixup = 0.5}, /*classes=*/2, rng, batch);
  const double share = 1.0 - batch.images[0][0][0][0].item<double>() / 3.0;
  EXPECT_NEAR(batch.targets[3][0].item<double>(), share, 1e-5);
  EXPECT_NEAR(batch.targets[1][0].item<double>(), share, 1e-5);
  EXPECT_NEAR(batch.targets[1][1].item<double>(), 1.0 - share, 1e-5);
}

}  // namespace
}  // namespace softmoe
