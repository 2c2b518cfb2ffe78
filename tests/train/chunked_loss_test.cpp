#include "train/chunked_loss.h"

#include <gtest/gtest.h>

#include "ops/compute_precision.h"
#include "support/tensor_matcher.h"
#include "train/router_objective.h"
#include "train/train_step.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;

TEST(ChunkedLoss, RowsAreAsAskedOrByTheSizeOfTheLogits) {
  EXPECT_EQ(loss_rows({}, 256, 1000), 256);
  EXPECT_EQ(loss_rows({}, 1024, 16'384), 1024);
  EXPECT_EQ(loss_rows({}, 1024, 16'385), 512);
  EXPECT_EQ(loss_rows({}, 1000, 50'000), 334);
  EXPECT_EQ(loss_rows({}, 3, 100'000'000), 1);
  EXPECT_EQ(loss_rows({.loss_chunk = 7}, 256, 10), 7);
  EXPECT_EQ(loss_rows({.loss_chunk = 7}, 5, 10), 5);
}

struct ChunkCase {
  std::string loss;
  bool is_mixed;
};
void PrintTo(const ChunkCase& test_case, std::ostream* out) {
  *out << test_case.loss << (test_case.is_mixed ? " of mixed images" : " of labels");
}

class ChunkedLoss : public testing::TestWithParam<ChunkCase> {
 protected:
  /// The losses of 11 images and their gradients for features, weight and bias, if each image's
  /// loss has a weight of its own.
  std::vector<torch::Tensor> results(int64_t rows) const {
    torch::manual_seed(3);
    const auto features = torch::randn({11, 5}).requires_grad_();
    const auto weight = torch::randn({13, 5}).requires_grad_();
    const auto bias = torch::randn({13}).requires_grad_();
    const auto labels = torch::randint(13, {11}, torch::kInt64);
    const auto one_hot = target_probabilities(labels, 13, 0.0, torch::kFloat32);
    const auto targets = GetParam().is_mixed ? one_hot * 0.3 + one_hot.flip(0) * 0.7 : labels;
    const LossOptions options{.loss = GetParam().loss, .smoothing = 0.1};
    const Head head = [&](const torch::Tensor& x) { return torch::linear(x, weight, bias); };
    const auto losses = rows == 0 ? classification_losses(options, head(features), targets)
                                  : chunked_losses(options, head, features, targets, rows);
    (losses * torch::arange(1, 12)).sum().backward();
    return {losses.detach(), features.grad(), weight.grad(), bias.grad()};
  }
};

TEST_P(ChunkedLoss, EqualsThatOfAllLogitsAndSoDoItsGradients) {
  const auto whole = results(0);
  for (const int64_t rows : {1, 4, 11, 20}) {
    const auto parts = results(rows);
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_TRUE(all_close(parts[i], whole[i], {.absolute = 1e-5, .relative = 1e-5}))
          << rows << " rows, result " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, ChunkedLoss,
                         testing::Values(ChunkCase{"softmax", false}, ChunkCase{"softmax", true},
                                         ChunkCase{"sigmoid", false}, ChunkCase{"sigmoid", true}),
                         [](const auto& test_case) {
                           return test_case.param.loss +
                                  (test_case.param.is_mixed ? "_mixed" : "_labels");
                         });

/// The loss of a step and the gradients of all parameters.
std::map<std::string, torch::Tensor> step_results(VisionTransformer& model, const Batch& batch,
                                                  int64_t rows, torch::Dtype dtype) {
  ObjectiveOptions objectives{.loss = {.loss_chunk = rows},
                              .router_losses = default_router_losses(model->options())};
  model->zero_grad();
  torch::manual_seed(9);
  std::map<std::string, torch::Tensor> results;
  results["loss"] = train_step(model, batch, objectives, {.compute_dtype = dtype}).loss;  // []
  for (const auto& item : model->named_parameters()) {
    if (item.value().grad().defined()) {
      results[item.key()] = item.value().grad().clone();
    }
  }
  return results;
}

TEST(ChunkedLossOfAStep, LeavesLossesAndGradientsAsTheyAre) {
  for (const std::string router : {"soft", "reinforced"}) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      const auto options = test::small_moe_options(router);
      auto model = test::lively_model(options);
      model->train();
      const Batch batch{.images = test::random_images(options, 5),
                        .labels = torch::tensor({3, 0, 6, 6, 1}),
                        .indices = {}};
      const auto whole = step_results(model, batch, 5, dtype);
      const auto parts = step_results(model, batch, 2, dtype);
      ASSERT_EQ(parts.size(), whole.size());
      const double tolerance = dtype == torch::kFloat32 ? 1e-5 : 2e-2;
      for (const auto& [name, value] : whole) {
        EXPECT_TRUE(
            all_close(parts.at(name), value, {.absolute = tolerance, .relative = tolerance}))
            << router << " " << name;
      }
    }
  }
}

}  // namespace
}  // namespace softmoe
