#include "eval/evaluate.h"

#include "core/error.h"
#include "eval/gray_images.h"
#include "runtime/device.h"

namespace softmoe {
namespace {

using test::gray_transform;
using test::GrayImages;
using test::kClasses;
using test::kImages;
using test::on;
using test::small_batches;

TEST(Evaluate, CountsWhatTheModelGetsRight) {
  const GrayImages images;
  // Right for the labels 0 and 1, wrong for 2, by the image's number.
  const Forward forward = [](const torch::Tensor& batch) {
    const auto number = batch.amax({1, 2, 3}).mul(255.0 / 20).round().to(torch::kInt64);  // [batch]
    return torch::one_hot(number.remainder(kClasses).clamp_max(1), kClasses).to(torch::kFloat32);
  };
  for (const auto& device : present_devices()) {
    Loader loader(images, gray_transform(), small_batches());
    const auto result = evaluate(forward, loader, kClasses, Likelihood::kSoftmax, on(device));
    EXPECT_EQ(result.examples, kImages);
    EXPECT_EQ(result.class_examples, (std::vector<int64_t>{4, 4, 3}));
    EXPECT_EQ(result.class_accuracy[0], 1.0);
    EXPECT_EQ(result.class_accuracy[1], 1.0);
    EXPECT_EQ(result.class_accuracy[2], 0.0);
    EXPECT_EQ(result.confusion[2][1].item<int64_t>(), 3);
  }
}

TEST(Evaluate, RunsInInferenceModeUnderAutocast) {
  const GrayImages images;
  const auto weight = torch::ones({kClasses, 4 * 6}).requires_grad_();
  bool checked = false;
  const Forward forward = [&](const torch::Tensor& batch) {
    const auto logits = batch.flatten(1).matmul(weight.t());  // [batch, classes]
    EXPECT_EQ(batch.scalar_type(), torch::kFloat32);
    EXPECT_EQ(logits.scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(logits.is_inference());
    checked = true;
    return logits;
  };
  Loader loader(images, gray_transform(), small_batches());
  auto options = on(torch::kCPU);
  options.dtype = torch::kBFloat16;
  EXPECT_EQ(evaluate(forward, loader, kClasses, Likelihood::kSigmoid, options).examples, kImages);
  EXPECT_TRUE(checked);
}

TEST(Evaluate, StopsWhereTheCallerSaysSo) {
  const GrayImages images;
  Loader loader(images, gray_transform(), small_batches());
  auto options = on(torch::kCPU);
  int batches = 0;
  options.before_batch = [&batches] {
    if (++batches == 2) {
      throw Interrupted("stop");
    }
  };
  const Forward forward = [](const torch::Tensor& batch) {
    return torch::zeros({batch.size(0), kClasses});
  };
  EXPECT_THROW(evaluate(forward, loader, kClasses, Likelihood::kSoftmax, options), Interrupted);
  EXPECT_EQ(batches, 2);
}

TEST(Evaluate, OutputsMustHaveARowForEachImage) {
  const GrayImages images;
  Loader loader(images, gray_transform(), small_batches());
  const Forward forward = [](const torch::Tensor& batch) {
    return torch::zeros({batch.size(0) + 1, kClasses});
  };
  EXPECT_THROW(evaluate(forward, loader, kClasses, Likelihood::kSoftmax, on(torch::kCPU)),
               c10::ValueError);
}

}  // namespace
}  // namespace softmoe
