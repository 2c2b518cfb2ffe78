#include "eval/evaluate.h"

#include "core/error.h"
#include "eval/features.h"
#include "runtime/device.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;

constexpr int64_t kImages = 11;
constexpr int64_t kClasses = 3;

/// Gray 4 x 6 images, number i of the brightness 20 i and the label i mod 3; some unreadable.
class GrayImages : public Dataset {
 public:
  explicit GrayImages(std::vector<int64_t> bad = {}) : bad_(std::move(bad)) {}

  int64_t size() const override { return kImages; }
  Sample get(int64_t index) const override {
    if (std::find(bad_.begin(), bad_.end(), index) != bad_.end()) {
      throw InputError(sample_name(index), "an image", "noise");
    }
    return {.image = cv::Mat(4, 6, CV_8UC1, cv::Scalar(static_cast<double>(20 * index))),
            .label = index % kClasses};
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override {
    return "gray[" + std::to_string(index) + "]";
  }

 private:
  std::vector<int64_t> bad_;
  std::vector<std::string> names_{"a", "b", "c"};
};

Transform gray_transform() {
  PreprocessOptions options;
  options.input_size = {1, 4, 6};
  options.mean = {0.0};
  options.std = {1.0};
  return Transform::evaluation(options);
}

LoaderOptions small_batches() {
  LoaderOptions options;
  options.batch_size = 4;
  options.workers = 2;
  options.max_bad_images = 0.5;
  return options;
}

BatchLoopOptions on(const torch::Device& device) {
  return {.device = device, .label = "Test", .images = kImages};
}

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

TEST(Features, ComeInTheOrderOfTheSetWithTheirLabels) {
  const GrayImages images;
  for (const auto& device : present_devices()) {
    Loader loader(images, gray_transform(), small_batches());
    const auto set = extract_features(pixel_features, loader, "gray", on(device));
    EXPECT_EQ(set.name, "gray");
    const auto brightness = torch::arange(kImages, torch::kFloat32).mul(20.0 / 255).unsqueeze(1);
    EXPECT_TRUE(all_close(set.features, brightness.expand({kImages, 4 * 6})));
    EXPECT_TRUE(same_bits(set.labels, torch::arange(kImages, torch::kInt64).remainder(kClasses)));
  }
}

TEST(Features, LeaveOutWhatCannotBeRead) {
  const GrayImages images({0, 5});
  Loader loader(images, gray_transform(), small_batches());
  const auto set = extract_features(pixel_features, loader, "gray", on(torch::kCPU));
  EXPECT_TRUE(same_bits(set.labels, torch::tensor({1, 2, 0, 1, 0, 1, 2, 0, 1}, torch::kInt64)));
}

TEST(Features, ThatAreNotFiniteAreAnError) {
  const GrayImages images;
  Loader loader(images, gray_transform(), small_batches());
  const Forward forward = [](const torch::Tensor& batch) { return batch.flatten(1).log(); };
  try {
    extract_features(forward, loader, "gray", on(torch::kCPU));
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "gray: features: expected finite numbers, found NaN or infinity in 1 of 11 rows, "
                 "first in row 0");
  }
}

}  // namespace
}  // namespace softmoe
