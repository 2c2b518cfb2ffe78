#include "eval/pruning.h"

#include <gmock/gmock.h>

#include "checkpoints/load_into.h"
#include "eval/digit_model.h"
#include "eval/model_evaluation.h"
#include "support/error_text.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::batches_of;
using test::digit_model;
using test::digits;
using testing::HasSubstr;

LoadedModel loaded_digit_model() {
  LoadedModel loaded{.model = digit_model(), .description = {}, .metadata = {}};
  loaded.description.name = "tiny";
  loaded.description.options = loaded.model->options();
  return loaded;
}

/// Images that importance and accuracy are measured on.
struct Measured {
  test::Digits digits = test::digits("val");

  PruneImages images() const {
    return {.importance = digits.set.get(),
            .test = digits.set.get(),
            .transform = digits.transform,
            .loader = batches_of(64)};
  }
};

TEST(Pruning, MeasuresTheModelBeforeAndAfter) {
  const auto source = loaded_digit_model();
  const Measured measured;
  const auto pruning =
      prune(source, "tiny.h5", {.experts = {4, 2}, .importance_images = 100}, measured.images());
  ASSERT_TRUE(pruning.before.has_value());
  EXPECT_EQ(pruning.before->examples, 899);
  EXPECT_EQ(pruning.importance.at(2).size(0), 5);
  ASSERT_EQ(pruning.models.size(), 2U);
  for (const auto& pruned : pruning.models) {
    const auto experts = pruned.description.options.moe.experts;
    EXPECT_EQ(pruned.kept.at(0).size(0), experts);
    // The weights are those of the model whose accuracy was measured.
    auto model = unfilled_model(pruned.description.options, torch::kFloat32);
    load_into(*model, pruned.weights, "tiny.h5");
    model->eval();
    const auto again = evaluate_model([&](const torch::Tensor& images) { return model(images); },
                                      pruned.description, measured.digits.transform,
                                      *measured.digits.set, batches_of(64), {.images = 899});
    EXPECT_EQ(again.loss, pruned.result->loss);
  }
  const auto json = to_json(pruning);
  EXPECT_EQ(json.at("before").at("top1"), pruning.before->top1);
  EXPECT_EQ(json.at("results").at(1).at("experts"), 2);
  EXPECT_EQ(json.at("results").at(1).at("kept_experts").at("2").size(), 2U);
}

TEST(Pruning, AveragesExpertsWithoutImages) {
  const auto source = loaded_digit_model();
  const auto pruning = prune(source, "tiny.h5", {.to = PruneTarget::kDense}, {});
  EXPECT_FALSE(pruning.before.has_value());
  EXPECT_TRUE(pruning.importance.empty());
  ASSERT_EQ(pruning.models.size(), 1U);
  EXPECT_TRUE(pruning.models[0].kept.empty());
  const auto checkpoint = pruned_checkpoint(pruning.models[0], source, "tiny.h5");
  EXPECT_EQ(checkpoint.metadata.at("pruned").at("from"), "tiny.h5");
  EXPECT_EQ(checkpoint.metadata.at("model").at("moe-blocks"), "none");
  EXPECT_TRUE(checkpoint.model.contains("blocks.0.mlp.fc1.weight"));
}

TEST(Pruning, KeepsNoWeightsUnlessTheyAreWanted) {
  const Measured measured;
  const auto pruning =
      prune(loaded_digit_model(), "tiny.h5",
            {.to = PruneTarget::kDense, .how = DenseFrom::kMostImportant, .importance_images = 64},
            measured.images(), /*keeps_weights=*/false);
  EXPECT_TRUE(pruning.models[0].weights.empty());
  EXPECT_EQ(pruning.models[0].kept.at(2).size(0), 1);
  EXPECT_TRUE(pruning.models[0].result.has_value());
}

TEST(Pruning, RefusesWhatContradictsItself) {
  const auto source = loaded_digit_model();
  const auto message = [&source](const PruneOptions& options) {
    return test::input_error([&] { prune(source, "tiny.h5", options, {}); });
  };
  EXPECT_THAT(message({}), HasSubstr("--experts is missing"));
  EXPECT_THAT(message({.to = PruneTarget::kDense, .experts = {2}}), HasSubstr("not both"));
  EXPECT_THAT(message({.experts = {5}}), HasSubstr("tiny.h5"));
  EXPECT_THROW(prune(source, "tiny.h5", {.experts = {2}}, {}), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
