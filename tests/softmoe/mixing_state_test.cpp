#include "softmoe/mixing_state.h"

#include <gtest/gtest.h>

#include "softmoe/moe_layer.h"

namespace softmoe {
namespace {

TEST(RelativeEntropy, IsOneForEqualWeightsAndZeroForOneChoice) {
  EXPECT_NEAR(relative_entropy(torch::full({2, 5, 3}, 0.2), 1).item<double>(), 1.0, 1e-6);
  auto chosen = torch::zeros({2, 5, 3});
  chosen.select(1, 2).fill_(1.0);
  EXPECT_NEAR(relative_entropy(chosen, 1).item<double>(), 0.0, 1e-6);
  const auto half = torch::tensor({0.5, 0.5, 0.0, 0.0}).reshape({1, 4, 1});
  EXPECT_NEAR(relative_entropy(half, 1).item<double>(), 0.5, 1e-6);
  EXPECT_EQ(relative_entropy(torch::ones({2, 1, 3}), 1).item<double>(), 1.0);
}

TEST(SlotSimilarity, IsTheMeanCosineOfThePairsOfAnImage) {
  torch::manual_seed(1);
  const int64_t batch = 3;
  const auto rows = torch::randn({4, batch * 2, 5});
  double sum = 0.0;
  int64_t pairs = 0;
  for (int64_t image = 0; image < batch; ++image) {
    const auto slots = rows.slice(1, 2 * image, 2 * image + 2).reshape({8, 5});
    for (int64_t a = 0; a < 8; ++a) {
      for (int64_t b = 0; b < 8; ++b) {
        if (a != b) {
          sum += (slots[a].dot(slots[b]) / (slots[a].norm() * slots[b].norm())).item<double>();
          ++pairs;
        }
      }
    }
  }
  EXPECT_NEAR(slot_similarity(rows, batch).item<double>(), sum / static_cast<double>(pairs), 1e-5);
  EXPECT_NEAR(slot_similarity(torch::ones({4, 6, 5}), batch).item<double>(), 1.0, 1e-5);
  EXPECT_EQ(slot_similarity(torch::randn({1, 3, 5}), batch).item<double>(), 1.0);
}

TEST(MixingStateOfALayer, IsRecordedWithTheLoad) {
  MoeLayerOptions options;
  options.dim = 12;
  options.hidden_dim = 16;
  options.tokens = 9;
  options.moe.experts = 3;
  options.moe.slots_per_expert = 2;
  torch::manual_seed(2);
  MoeLayer layer(options);
  RoutingRecord record;
  record.wants = {.load = true};
  layer->forward(torch::randn({2, 9, 12}), &record);
  const auto values = record.load.mixing.values();
  ASSERT_EQ(values.size(), 5U);
  EXPECT_EQ(values.at("scale").item<double>(), 1.0);
  // Unit vectors and a scale of 1: nearly the mean token for every slot.
  EXPECT_GT(values.at("dispatch_entropy").item<double>(), 0.9);
  EXPECT_GT(values.at("combine_entropy").item<double>(), 0.9);
  EXPECT_GT(values.at("input_similarity").item<double>(), 0.5);
  EXPECT_LT(values.at("output_similarity").item<double>(), 1.0);
}

}  // namespace
}  // namespace softmoe
