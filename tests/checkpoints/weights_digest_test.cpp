#include "checkpoints/weights_digest.h"

#include <gtest/gtest.h>

#include "vit/small_models.h"

namespace softmoe {
namespace {

LoadedWeights small_weights() {
  LoadedWeights model;
  model.description.name = "small";
  model.description.options = test::small_options();
  for (const auto& [name, tensor] : named_tensors(*test::lively_model(test::small_options()))) {
    model.weights[name] = tensor.detach().clone();
  }
  return model;
}

TEST(WeightsDigest, IsThatOfEveryCopyOfAModel) {
  auto copy = small_weights();
  copy.metadata = {{"progress", 3}};  // no part of the model
  EXPECT_EQ(weights_digest(copy), weights_digest(small_weights()));
  EXPECT_EQ(weights_digest(copy).size(), 16U);
}

TEST(WeightsDigest, ChangesWithAnyValueNameShapeAndOption) {
  const auto digest = weights_digest(small_weights());
  auto changed = small_weights();
  changed.weights.at("blocks.1.mlp.fc1.bias")[5] += 1e-3;
  EXPECT_NE(weights_digest(changed), digest);
  changed = small_weights();
  changed.weights["another"] = torch::zeros({0});
  EXPECT_NE(weights_digest(changed), digest);
  changed = small_weights();
  changed.weights.at("head.bias") = changed.weights.at("head.bias").view({7, 1});
  EXPECT_NE(weights_digest(changed), digest);
  changed = small_weights();
  changed.description.options.norm_eps = 1e-5;
  EXPECT_NE(weights_digest(changed), digest);
}

}  // namespace
}  // namespace softmoe
