#include "eval/multi_label_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace softmoe {
namespace {

TEST(MultiLabelMetrics, GatherBatches) {
  MultiLabelMetrics metrics(3);
  EXPECT_EQ(metrics.note(), "");
  metrics.add(torch::tensor({{2.0, 1.0, 0.0}, {0.5, 1.5, -1.0}}),
              torch::tensor({{1.0, 1.0, 0.0}, {1.0, 0.0, 0.0}}));
  metrics.add(torch::tensor({{-1.0, 0.0, 0.25}}), torch::tensor({{0.0, 0.0, 0.0}}));
  const auto result = metrics.result();
  EXPECT_EQ(result.examples, 3);
  EXPECT_EQ(result.top1, 0.5);  // of the two images with labels
  EXPECT_EQ(result.top5, 1.0);
  ASSERT_EQ(result.average_precision.size(), 3U);
  EXPECT_EQ(result.average_precision[0], 1.0);
  EXPECT_EQ(result.average_precision[1], 0.5);  // the second of three
  EXPECT_EQ(result.average_precision[2], std::nullopt);
  EXPECT_EQ(result.mean_average_precision, 0.75);
  EXPECT_EQ(result.score(), 0.75);
  EXPECT_EQ(result.class_examples, (std::vector<int64_t>{2, 1, 0}));
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  double loss = softplus(-2.0) + softplus(-1.0) + softplus(0.0);
  loss += softplus(-0.5) + softplus(1.5) + softplus(-1.0);
  loss += softplus(-1.0) + softplus(0.0) + softplus(0.25);
  EXPECT_NEAR(result.loss, loss / 3, 1e-6);
  const auto json = to_json(result);
  EXPECT_EQ(json.at("average_precision"), (Json{1.0, 0.5, nullptr}));
  EXPECT_FALSE(json.contains("calibration"));
}

TEST(MultiLabelMetrics, ClassesWithoutDataAreNoLabel) {
  MultiLabelMetrics metrics(3);
  metrics.add(torch::tensor({{0.0, 1.0, 2.0}}), torch::tensor({{1.0, 0.0}}));
  EXPECT_EQ(metrics.result().class_examples, (std::vector<int64_t>{1, 0, 0}));
  EXPECT_THROW(metrics.add(torch::zeros({1, 3}), torch::zeros({1, 4})), InputError);
}

TEST(MultiLabelMetrics, RefuseWhatIsNotFinite) {
  MultiLabelMetrics metrics(2);
  EXPECT_THROW(metrics.result(), InputError);
  metrics.add(torch::tensor({{0.0, std::nan("")}}), torch::tensor({{1.0, 0.0}}));
  EXPECT_THROW(metrics.result(), InputError);
}

}  // namespace
}  // namespace softmoe
