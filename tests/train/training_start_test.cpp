#include "train/training_start.h"

#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

TEST(FreshStart, DrawsTheWeightsOfItsSeed) {
  const auto options = test::small_moe_options();
  const auto start = fresh_start("small", options, /*seed=*/3, PositionResize::kBicubic);
  EXPECT_EQ(start.model_name, "small");
  EXPECT_EQ(start.resize_mode, PositionResize::kBicubic);
  EXPECT_EQ(start.model->options(), options);
  EXPECT_TRUE(start.optimizer_state.empty());
  const auto expected = named_tensors(*make_model(options, /*seed=*/3));
  for (const auto& [name, tensor] : named_tensors(*start.model)) {
    EXPECT_TRUE(test::same_bits(tensor, expected.at(name))) << name;
  }
}

TEST(FreshStart, RefusesOptionsThatContradictEachOther) {
  auto options = test::small_options();
  options.heads = 5;
  EXPECT_THROW(fresh_start("small", options, 0), UsageError);
}

}  // namespace
}  // namespace softmoe
