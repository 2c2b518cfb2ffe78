#include "eval/metrics.h"

#include <fmt/format.h>

#include "core/error.h"
#include "runtime/device.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

/// Six classes, four images: ranks of the labels 0, 1, 5, 0.
torch::Tensor example_logits() {
  return torch::tensor({{3.0F, 1.0F, 0.0F, -1.0F, -2.0F, -3.0F},
                        {0.0F, 2.0F, 4.0F, 1.0F, -1.0F, -2.0F},
                        {6.0F, 5.0F, 4.0F, 3.0F, 2.0F, 1.0F},
                        {0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 9.0F}});
}

torch::Tensor example_labels() { return torch::tensor({0, 1, 5, 5}, torch::kInt64); }

TEST(ClassificationMetrics, CountsAsByHand) {
  ClassificationMetrics metrics(6);
  metrics.add(example_logits(), example_labels());
  const auto result = metrics.result();
  EXPECT_EQ(result.examples, 4);
  EXPECT_EQ(result.top1, 0.5);
  EXPECT_EQ(result.top5, 0.75);
  EXPECT_EQ(result.balanced_accuracy, 0.5);  // of 1, 0 and 1/2
  EXPECT_EQ(result.class_examples, (std::vector<int64_t>{1, 1, 0, 0, 0, 2}));
  EXPECT_EQ(result.class_accuracy[0], 1.0);
  EXPECT_EQ(result.class_accuracy[1], 0.0);
  EXPECT_EQ(result.class_accuracy[5], 0.5);
  EXPECT_FALSE(result.class_accuracy[2].has_value());
  auto confusion = torch::zeros({6, 6}, torch::kInt64);
  confusion[0][0] = 1;
  confusion[1][2] = 1;
  confusion[5][0] = 1;
  confusion[5][5] = 1;
  EXPECT_TRUE(test::same_bits(result.confusion, confusion));
}

TEST(ClassificationMetrics, LossesAreThoseOfTheirLikelihood) {
  const auto logits = torch::tensor({{std::log(2.0F), 0.0F}, {0.0F, 0.0F}});
  const auto labels = torch::tensor({0, 1}, torch::kInt64);
  ClassificationMetrics softmax(2);
  softmax.add(logits, labels);
  EXPECT_NEAR(softmax.result().loss, (std::log(1.5) + std::log(2.0)) / 2, 1e-6);
  ClassificationMetrics sigmoid(2, Likelihood::kSigmoid);
  sigmoid.add(logits, labels);
  // -log(2/3) - log(1/2) for the first image, twice -log(1/2) for the second
  EXPECT_NEAR(sigmoid.result().loss, (std::log(1.5) + 3 * std::log(2.0)) / 2, 1e-6);
}

TEST(ClassificationMetrics, CalibrationErrorIsTheWeightedGapOfTheBins) {
  // Confidence 0.8 four times, right in two; confidence 0.6 once, right.
  const float high = std::log(4.0F);
  const float low = std::log(1.5F);
  ClassificationMetrics metrics(2);
  metrics.add(torch::tensor({{high, 0.0F}, {high, 0.0F}, {0.0F, high}, {0.0F, high}, {low, 0.0F}}),
              torch::tensor({0, 1, 1, 0, 0}, torch::kInt64));
  const auto result = metrics.result();
  EXPECT_NEAR(result.calibration_error, 0.8 * 0.3 + 0.2 * 0.4, 1e-6);
  int64_t examples = 0;
  for (const auto& bin : result.calibration) {
    examples += bin.examples;
  }
  EXPECT_EQ(examples, 5);
  EXPECT_EQ(result.calibration.size(), 15U);
}

TEST(ClassificationMetrics, BatchesAddUpOnEveryDevice) {
  torch::manual_seed(7);
  const auto logits = torch::randn({37, 11});
  const auto labels = torch::randint(11, {37}, torch::kInt64);
  ClassificationMetrics whole(11);
  whole.add(logits, labels);
  const auto expected = to_json(whole.result());
  for (const auto& device : present_devices()) {
    ClassificationMetrics parts(11);
    for (const auto& [first, last] :
         std::vector<std::pair<int64_t, int64_t>>{{0, 16}, {16, 16}, {16, 17}, {17, 37}}) {
      parts.add(logits.slice(0, first, last).to(device), labels.slice(0, first, last));
    }
    const auto found = to_json(parts.result());
    for (const auto* key :
         {"examples", "top1", "top5", "confusion", "class_accuracy", "balanced_accuracy"}) {
      EXPECT_EQ(found[key], expected[key]) << key << " on " << device;
    }
    EXPECT_NEAR(found["loss"].get<double>(), expected["loss"].get<double>(), 1e-6);
    EXPECT_NEAR(found["calibration_error"].get<double>(),
                expected["calibration_error"].get<double>(), 1e-6);
  }
}

TEST(ClassificationMetrics, BalancedAccuracyCountsClassesAlike) {
  ClassificationMetrics metrics(4);
  const auto labels = torch::tensor({0, 0, 0, 0, 0, 0, 0, 0, 2, 2}, torch::kInt64);
  metrics.add(torch::tensor({1.0F, 0.0F, 0.0F, 0.0F}).expand({10, 4}), labels);
  const auto result = metrics.result();
  EXPECT_EQ(result.top1, 0.8);
  EXPECT_EQ(result.balanced_accuracy, 0.5);
  EXPECT_EQ(to_json(result).at("balanced_accuracy"), 0.5);
}

TEST(ClassificationMetrics, AConstantOutputEarnsNoMoreThanItsFirstClasses) {
  const int64_t classes = 10;
  ClassificationMetrics metrics(classes);
  metrics.add(torch::zeros({classes, classes}), torch::arange(classes, torch::kInt64));
  EXPECT_EQ(metrics.result().top1, 0.1);
  EXPECT_EQ(metrics.result().top5, 0.5);
}

TEST(ClassificationMetrics, FewerThanFiveClassesAreAllInTheTopFive) {
  ClassificationMetrics metrics(3);
  metrics.add(torch::tensor({{1.0F, 2.0F, 3.0F}}), torch::tensor({0}, torch::kInt64));
  EXPECT_EQ(metrics.result().top1, 0.0);
  EXPECT_EQ(metrics.result().top5, 1.0);
}

TEST(ClassificationMetrics, ManyClassesHaveNoConfusionMatrix) {
  const int64_t classes = ClassificationMetrics::kMaxConfusionClasses + 1;
  ClassificationMetrics metrics(classes);
  metrics.add(torch::ones({1, classes}, torch::kBFloat16), torch::tensor({0}, torch::kInt64));
  EXPECT_FALSE(metrics.result().confusion.defined());
  EXPECT_FALSE(to_json(metrics.result()).contains("confusion"));
}

TEST(ClassificationMetrics, NoteTellsTheMeansSoFar) {
  ClassificationMetrics metrics(6);
  EXPECT_EQ(metrics.note(), "");
  metrics.add(example_logits().narrow(0, 0, 2), example_labels().narrow(0, 0, 2));
  const auto half = metrics.result();
  EXPECT_EQ(metrics.note(), fmt::format("loss {:.4f}  Acc@1 50.000  Acc@5 100.000", half.loss));
  metrics.add(example_logits().narrow(0, 2, 2), example_labels().narrow(0, 2, 2));
  EXPECT_EQ(metrics.note(),
            fmt::format("loss {:.4f}  Acc@1 50.000  Acc@5 75.000", metrics.result().loss));
}

TEST(ClassificationMetrics, BadInputIsOneClearLine) {
  const auto message = [](const torch::Tensor& logits, const torch::Tensor& labels) -> std::string {
    try {
      ClassificationMetrics metrics(6);
      metrics.add(logits, labels);
      metrics.result();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(example_logits(), torch::tensor({0, 1, 6, 5}, torch::kInt64)),
            "labels: expected classes 0 to 5 of the model, found 6");
  EXPECT_EQ(message(example_logits(), torch::tensor({0, -1, 2, 5}, torch::kInt64)),
            "labels: expected classes 0 to 5 of the model, found -1");
  auto broken = example_logits();
  broken[2][3] = NAN;
  EXPECT_EQ(message(broken, example_labels()),
            "logits: expected finite numbers, found NaN or infinity for 1 of 4 images");
  EXPECT_EQ(message(torch::zeros({0, 6}), torch::zeros({0}, torch::kInt64)),
            "evaluation: expected at least one image, found none");
  ClassificationMetrics metrics(6);
  EXPECT_THROW(metrics.add(torch::zeros({4, 7}), example_labels()), c10::ValueError);
  EXPECT_THROW(metrics.add(torch::zeros({3, 6}), example_labels()), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
