#include "train/classification_objective.h"

#include <gtest/gtest.h>

#include "support/tensor_matcher.h"
#include "train/objective_case.h"

namespace softmoe {
namespace {

using test::all_close;

/// The losses per image of the labels of an example, or of `targets` instead of them.
torch::Tensor image_losses(const ObjectiveOptions& options, const test::ObjectiveCase& example,
                           const torch::Tensor& labels, const torch::Tensor& targets = {}) {
  const auto context = example.context();
  Batch batch = context.batch;
  batch.labels = labels;
  batch.targets = targets;
  return classification_objective(options,
                                  {.batch = batch, .logits = context.logits, .routing = {}})
      .image_losses;  // [batch]
}

TEST(ClassificationObjective, TargetsOfTheBatchReplaceItsLabels) {
  const test::ObjectiveCase example;
  const auto labels = example.context().batch.labels;
  const auto classes = example.context().logits.size(1);
  const auto one_hot = target_probabilities(labels, classes, 0.0, torch::kFloat32);
  const auto mixed = one_hot * 0.3 + one_hot.flip(0) * 0.7;  // [batch, classes]
  for (const auto& row : losses()) {
    for (const double smoothing : {0.0, 0.1}) {
      ObjectiveOptions options;
      options.loss = {.loss = std::string(row.name), .smoothing = smoothing};
      const auto own = image_losses(options, example, labels);
      const auto other = image_losses(options, example, labels.flip(0));
      EXPECT_TRUE(all_close(image_losses(options, example, labels.flip(0), one_hot), own));
      EXPECT_TRUE(all_close(image_losses(options, example, labels, mixed), own * 0.3 + other * 0.7,
                            {.absolute = 1e-5}));
    }
  }
}

}  // namespace
}  // namespace softmoe
