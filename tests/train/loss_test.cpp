#include "train/loss.h"

#include <torch/nn/functional/loss.h>

#include "core/error.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

class LossParity : public testing::TestWithParam<std::string> {};

TEST_P(LossParity, EqualsReference) {
  const auto path = test::fixture("vmoe/" + GetParam());
  const auto arrays = read_npz(path);
  const auto labels = npz_array(arrays, "labels", path);
  for (const std::string mode : {"fp32", "bf16"}) {
    if (!arrays.contains(mode + "/logits")) {
      continue;
    }
    const auto logits = npz_array(arrays, mode + "/logits", path);
    for (const std::string loss : {"sigmoid", "softmax"}) {
      EXPECT_TRUE(test::all_close(classification_loss({.loss = loss}, logits, labels),
                                  npz_array(arrays, mode + "/" + loss + "_xent", path)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(TinyViT, LossParity,
                         testing::Values("tiny_vit_soft_gap.npz", "tiny_vit_dense_gap.npz"),
                         [](const auto& test_case) {
                           return test_case.param.substr(0, test_case.param.find('.'));
                         });

class EveryLoss : public testing::TestWithParam<size_t> {
 protected:
  LossOptions options(double smoothing = 0.0) const {
    return {.loss = std::string(losses()[GetParam()].name), .smoothing = smoothing};
  }
  torch::Tensor logits_ = torch::randn({5, 7}, torch::kFloat64) * 3;
  torch::Tensor labels_ = torch::tensor({3, 0, 6, 6, 1});
};

TEST_P(EveryLoss, TakesLabelsAsNumbersAndAsProbabilities) {
  const auto one_hot = torch::one_hot(labels_, 7);
  EXPECT_TRUE(test::same_bits(classification_loss(options(0.1), logits_, labels_),
                              classification_loss(options(0.1), logits_, one_hot)));
}

TEST_P(EveryLoss, IsTheMeanOverImages) {
  auto sum = torch::zeros({}, torch::kFloat64);
  for (int64_t image = 0; image < 5; ++image) {
    sum += classification_loss(options(), logits_.slice(0, image, image + 1),
                               labels_.slice(0, image, image + 1));
  }
  EXPECT_TRUE(test::all_close(classification_loss(options(), logits_, labels_), sum / 5));
}

TEST_P(EveryLoss, SmoothingMixesInTheUniformTarget) {
  const auto uniform = torch::full({5, 7}, 1.0 / 7, torch::kFloat64);
  const auto expected = 0.7 * classification_loss(options(), logits_, labels_) +
                        0.3 * classification_loss(options(), logits_, uniform);
  EXPECT_TRUE(test::all_close(classification_loss(options(0.3), logits_, labels_), expected));
}

TEST_P(EveryLoss, GradientFollowsFiniteDifferences) {
  auto logits = logits_.clone().requires_grad_();
  classification_loss(options(0.2), logits, labels_).backward();
  const auto direction = torch::randn({5, 7}, torch::kFloat64);
  const double step = 1e-6;
  const auto up = classification_loss(options(0.2), logits_ + step * direction, labels_);
  const auto down = classification_loss(options(0.2), logits_ - step * direction, labels_);
  EXPECT_TRUE(test::all_close((logits.grad() * direction).sum(), (up - down) / (2 * step),
                              {.absolute = 1e-8}));
}

TEST_P(EveryLoss, IsTakenInSinglePrecisionAndStaysFiniteAtLargeLogits) {
  const auto logits = (logits_ * 1000).to(torch::kBFloat16).requires_grad_();
  const auto loss = classification_loss(options(), logits, labels_);
  EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
  loss.backward();
  EXPECT_TRUE(loss.isfinite().item<bool>());
  EXPECT_TRUE(logits.grad().isfinite().all().item<bool>());
}

TEST_P(EveryLoss, RejectsLabelsThatDoNotFit) {
  EXPECT_THROW(classification_loss(options(), logits_, labels_.slice(0, 0, 4)), c10::ValueError);
  EXPECT_THROW(classification_loss(options(), logits_, torch::zeros({5, 6})), c10::ValueError);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryLoss, testing::Range<size_t>(0, losses().size()),
                         [](const auto& test_case) {
                           return std::string(losses()[test_case.param].name);
                         });

TEST(Loss, SoftmaxEqualsLibtorchWithSmoothing) {
  const auto logits = torch::randn({6, 4});
  const auto labels = torch::tensor({0, 3, 2, 2, 1, 0});
  const auto expected = torch::nn::functional::cross_entropy(
      logits, labels, torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(0.1));
  EXPECT_TRUE(test::all_close(
      classification_loss({.loss = "softmax", .smoothing = 0.1}, logits, labels), expected));
}

TEST(Loss, RowsTellTheLikelihoodAndTheBiasOfANewHead) {
  EXPECT_EQ(loss_row("softmax").likelihood, Likelihood::kSoftmax);
  EXPECT_EQ(loss_row("softmax").head_bias, nullptr);
  EXPECT_EQ(loss_row("sigmoid").likelihood, Likelihood::kSigmoid);
  EXPECT_DOUBLE_EQ(loss_row("sigmoid").head_bias(5), -std::log(5.0));
}

TEST(Loss, UnknownNameIsRefused) {
  EXPECT_THROW(classification_loss({.loss = "hinge"}, torch::zeros({2, 3}), torch::tensor({0, 1})),
               UsageError);
}

}  // namespace
}  // namespace softmoe
